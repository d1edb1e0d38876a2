"""What the nodes cost: what each machine is, and not what its type would be."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from jupyter_cluster.head.fleet import Fleet
from jupyter_cluster.head.journal import Journal
from jupyter_cluster.model import Launch, NodeType
from jupyter_cluster.resources import Resources

pytestmark = pytest.mark.unit

SPOT = NodeType("big", Resources.of(CPU=1), max_workers=4, price=0.3, on_demand=0.9, spot=True)


def test_on_demand_instances_of_a_spot_type_cost_what_they_are(tmp_path: Path) -> None:
    async def live() -> None:
        journal = Journal(tmp_path / "journal", asyncio.get_running_loop())
        fleet = Fleet(journal, {"big": SPOT})
        fleet.head_type = "big"
        first, second = fleet.request(Launch("big", 2, "two are needed", loads=((), ())))
        assert fleet.cost()["per_hour"] == pytest.approx(0.3 * 2 + 0.9)  # a head is never spot
        fleet.note_price(first, on_demand=False)
        fleet.note_price(second, on_demand=True)
        assert fleet.cost()["per_hour"] == pytest.approx(0.3 + 0.9 + 0.9)
        await journal.flushed()
        journal.close()

    async def live_on_without_the_type() -> None:
        journal = Journal(tmp_path / "journal", asyncio.get_running_loop())
        fleet = Fleet(journal, {})
        assert fleet.cost()["per_hour"] == pytest.approx(0.3 + 0.9)
        journal.close()

    asyncio.run(live())
    asyncio.run(live_on_without_the_type())
