"""A launch that is granted in part: what is there stays, what was refused has failed at nothing."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

import pytest
from real_head import real_head, said, until

from jupyter_cluster.config import parse
from jupyter_cluster.head import scaling
from jupyter_cluster.model import NodeState
from jupyter_cluster.providers.memory import Failure, MemoryProvider, quota_exceeded

pytestmark = pytest.mark.unit

EIGHT = """
max_workers: 8
head_node_type: one
available_node_types: {one: {min_workers: 8, resources: {CPU: 1}}}
"""


class Looks(Failure):
    """Counts the calls of a provider."""

    count = 0

    def on_call(self) -> None:
        self.count += 1


def test_what_was_launched_before_the_quota_ended_stays_and_refusals_are_no_failed_setups(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scaling, "WATCH_SECONDS", 0.05)
    looks = Looks()
    config = parse("cluster_name: real\nprovider: {type: local}\n" + EIGHT)
    provider = MemoryProvider(config.node_types(), time.time, [quota_exceeded(2), looks])

    async def main() -> None:
        async with real_head(tmp_path, EIGHT, provider) as head:
            await until(lambda: len(head.fleet.in_state(NodeState.FAILED)) == 6)
            assert len(head.fleet.alive) == 2
            seen = looks.count + 3  # looks find nothing to end
            await until(lambda: looks.count >= seen)
            assert [one.node_id for one in provider.instances()] == ["one-1", "one-2"]
            assert len(head.fleet.alive) == 2
            errors = "\n".join(said(head, "error"))
            assert "could not be launched" in errors
            assert "in a row could not be set up" not in errors

    asyncio.run(main())
