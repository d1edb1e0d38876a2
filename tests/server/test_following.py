"""All clusters followed at once, for whoever looks."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from jupyter_cluster.server.following import Following

pytestmark = pytest.mark.unit


def test_of_several_who_look_at_first_one_begins_for_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("JUPYTER_CLUSTER_HOME", str(tmp_path))

    async def main() -> list[str]:
        following = Following()
        await asyncio.gather(*(following.ready() for _ in range(5)))
        return [task.get_name() for task in asyncio.all_tasks()]

    assert asyncio.run(main()).count("following clusters") == 1
