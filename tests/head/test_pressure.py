"""A node whose disk refuses files: it gets no work, counts as no capacity, and is replaced."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

import pytest
from real_head import real_head, said, until

from jupyter_cluster.config import parse
from jupyter_cluster.head import scaling
from jupyter_cluster.head.job import Job, JobSpec
from jupyter_cluster.head.link import NodeLink
from jupyter_cluster.head.service import Head
from jupyter_cluster.head.waiting import Place, why_waiting
from jupyter_cluster.model import Limits, NodeState
from jupyter_cluster.providers.memory import MemoryProvider
from jupyter_cluster.resources import Resources

pytestmark = pytest.mark.unit

ONE = """
head_node_type: one
available_node_types: {one: {min_workers: 1, max_workers: 2, resources: {CPU: 1}}}
"""
WHY = "No space left on device"


async def meet(head: Head) -> NodeLink:
    """The newest node, as if its agent had connected."""
    await until(lambda: head.fleet.in_state(NodeState.BOOTING))
    [member] = head.fleet.in_state(NodeState.BOOTING)
    link = NodeLink(member.id, "one", Resources.of(CPU=1), "tls://x", 1, lambda _message: None)
    link.settled = True
    head.dispatcher.nodes[member.id] = head.dispatcher._by_address["tls://x"] = link
    head._scaling.on_node(link)
    assert link.accepts
    return link


@pytest.fixture
def provider(monkeypatch: pytest.MonkeyPatch) -> MemoryProvider:
    monkeypatch.setattr(scaling, "WATCH_SECONDS", 0.02)
    return MemoryProvider(
        parse("cluster_name: real\nprovider: {type: local}\n" + ONE).node_types(), time.time
    )


def test_it_is_no_capacity_and_after_a_while_another_node_takes_its_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, provider: MemoryProvider
) -> None:
    async def main() -> None:
        async with real_head(tmp_path, ONE, provider) as head:
            link = await meet(head)
            head.dispatcher.on_pressure("tls://x", WHY)
            head.dispatcher.on_pressure("tls://x", WHY)  # said once
            assert not link.accepts
            [seen] = head.fleet.nodes(head.dispatcher.nodes)
            assert not seen.resources
            assert not seen.free
            head.dispatcher.on_pressure("tls://x", "")
            assert link.accepts
            [seen] = head.fleet.nodes(head.dispatcher.nodes)
            assert seen.free == Resources.of(CPU=1)
            monkeypatch.setattr(scaling, "PRESSURE_SECONDS", 0.0)
            head.dispatcher.on_pressure("tls://x", WHY)
            await until(lambda: "one-2" in head.fleet.members)
            assert head.fleet.members["one-1"].state in (NodeState.DRAINING, NodeState.TERMINATED)
            warning = f"one-1 gets no work: its disk refuses files: {WHY}"
            assert said(head, "warning") == [warning, warning]
            [ended] = [text for text in said(head, "scale-down") if text.startswith("one-1")]
            assert ended.endswith(WHY)

    asyncio.run(main())


def test_a_node_where_sessions_live_is_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, provider: MemoryProvider
) -> None:
    monkeypatch.setattr(scaling, "PRESSURE_SECONDS", 0.0)

    async def main() -> None:
        async with real_head(tmp_path, ONE, provider) as head:
            link = await meet(head)
            kept = [object()]
            monkeypatch.setattr(head.dispatcher.cell_sessions, "on_node", lambda _node: kept)
            head.dispatcher.on_pressure("tls://x", WHY)
            checked = asyncio.Event()
            check = head._scaling._check_pressure

            def note(member: scaling.Member, link: NodeLink) -> None:
                check(member, link)
                checked.set()

            monkeypatch.setattr(head._scaling, "_check_pressure", note)
            await asyncio.wait_for(checked.wait(), 20)
            assert head.fleet.members[link.id].state is NodeState.READY
            kept.clear()
            await until(lambda: head.fleet.members[link.id].state is not NodeState.READY)

    asyncio.run(main())


def test_what_fits_on_no_disk_does_not_buy_one_node_after_another(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, provider: MemoryProvider
) -> None:
    monkeypatch.setattr(scaling, "PRESSURE_SECONDS", 0.0)

    async def main() -> None:
        async with real_head(tmp_path, ONE, provider) as head:
            for _ in range(scaling.MAX_SETUP_FAILURES):
                link = await meet(head)
                head.dispatcher.on_pressure("tls://x", WHY)
                member = head.fleet.members[link.id]
                await until(lambda member=member: member.state.is_gone)
            await until(lambda: said(head, "error"))
            [error] = said(head, "error")
            assert error.startswith("the disks of 5 nodes of type one in a row refused files")
            assert "one" in head._scaling._plain_snapshot(time.time()).cooling
            assert not head.fleet.alive

    asyncio.run(main())


def test_a_task_that_waits_for_such_a_disk_says_so() -> None:
    link = NodeLink("one-1", "one", Resources.of(CPU=1), "tls://x", 1, lambda _message: None)
    job = Job(JobSpec("j", "j", "map", "me", shape=[["CPU", 10_000]]), 0.0)
    job.add(0, 1)
    place = Place([link], [], {}, Limits(1))
    assert "busy" in why_waiting(job, place)
    link.pressure = WHY
    assert why_waiting(job, place) == f"waiting for a node: the disk of one-1 refuses files ({WHY})"
