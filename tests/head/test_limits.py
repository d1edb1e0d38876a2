"""Limits are changed as a whole or not at all, hold after a restart, lift no type above its own."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest
from real_head import real_head, said, until

from jupyter_cluster.errors import ClusterError
from jupyter_cluster.head import service
from jupyter_cluster.head.asked import Scale
from jupyter_cluster.head.service import Head
from jupyter_cluster.model import NodeType
from jupyter_cluster.providers.memory import MemoryProvider
from jupyter_cluster.resources import Resources

pytestmark = pytest.mark.unit

TYPES = """
max_workers: 4
head_node_type: cpu
available_node_types:
  cpu: {resources: {CPU: 1}}
  gpu: {resources: {CPU: 1, GPU: 1}, max_workers: 1}
  equal: {resources: {CPU: 2}, max_workers: 4}
"""


def caps(head: Head) -> dict[str, int]:
    return {name: one.max_workers for name, one in head.fleet.node_types.items()}


def test_the_clusters_limit_lifts_no_type_above_its_own(tmp_path: Path) -> None:
    async def main() -> None:
        async with real_head(tmp_path, TYPES) as head:
            assert caps(head) == {"cpu": 4, "gpu": 1, "equal": 4}
            head.scale(Scale(max_workers=8))
            assert caps(head) == {"cpu": 8, "gpu": 1, "equal": 4}
            wanted = "max_workers is 8 from now on; gpu keeps its own, 1, equal keeps its own, 4"
            assert wanted in said(head, "node")
            head.scale(Scale(max_workers=0))
            assert caps(head) == {"cpu": 0, "gpu": 0, "equal": 0}
            head.scale(Scale(max_workers=3))
            assert caps(head) == {"cpu": 3, "gpu": 1, "equal": 3}

    asyncio.run(main())


@pytest.mark.parametrize(
    "wanted",
    [
        Scale(max_workers=9, min_workers={"cpu": 2, "nope": 1}),
        Scale(max_workers=9, min_workers={"cpu": 2, "gpu": 2}),
        Scale(max_workers=1, min_workers={"cpu": 2}),
        Scale(max_workers=9, request=[({"CPU": 1}, 2), ({"CPU": 0.00001}, 1)]),
    ],
)
def test_a_change_that_cannot_be_is_left_out_as_a_whole(tmp_path: Path, wanted: Scale) -> None:
    async def main() -> None:
        async with real_head(tmp_path, TYPES) as head:
            before = (head.targets.limits, dict(head.fleet.node_types), head.targets.requests)
            with pytest.raises(ClusterError):
                head.scale(wanted)
            assert before == (head.targets.limits, head.fleet.node_types, head.targets.requests)
            assert not [text for text in said(head, "node") if "from now on" in text]

    asyncio.run(main())


def test_changes_hold_after_a_restart_and_end_with_the_cluster(tmp_path: Path) -> None:
    wanted = Scale(max_workers=3, min_workers={"cpu": 1}, request=[({"CPU": 2}, 1)])

    async def main() -> None:
        async with real_head(tmp_path, TYPES) as head:
            now = head.scale(wanted)
            head._leave()  # another head follows
        async with real_head(tmp_path, TYPES) as head:
            assert head.targets.limits.max_workers == 3
            assert caps(head) == {"cpu": 3, "gpu": 1, "equal": 3}
            assert head.scale(Scale()) == now
            head._leave()
        other = TYPES.replace("max_workers: 4", "max_workers: 5", 1)
        async with real_head(tmp_path, other) as head:
            assert head.targets.limits.max_workers == 5  # the new YAML's
            assert not head.targets.requests
            head.scale(wanted)
        async with real_head(tmp_path, TYPES) as head:
            assert head.targets.limits.max_workers == 4  # that cluster has ended

    asyncio.run(main())


class Dear(MemoryProvider):
    """Machines at 10 USD a second."""

    def node_types(self, known: Mapping[str, NodeType]) -> dict[str, NodeType]:
        return {name: replace(one, price=36_000.0) for name, one in known.items()}


def test_a_budget_ends_a_cluster_that_may_idle_for_ever(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(service, "DUE_SECONDS", 0.05)

    async def main() -> None:
        text = "cluster_idle_timeout_minutes: 0\nbudget: 5\nmax_workers: 1\n"
        dear = Dear({"local": NodeType("local", Resources())}, time.time)
        async with real_head(tmp_path, text, dear) as head:
            head.scale(Scale(request=[({"CPU": 1}, 1)]))
            await until(lambda: head.is_ending, 30)
            assert "the budget is used up and all nodes have ended" in said(head, "node")

    asyncio.run(main())
