"""No loop of the head dies in silence: whatever fails is said, and the head goes on."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Collection, Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from real_head import Head, real_head, said, until

from jupyter_cluster.head import scaling
from jupyter_cluster.head.asked import Scale
from jupyter_cluster.model import NodeState, NodeType
from jupyter_cluster.providers.base import Instance
from jupyter_cluster.providers.memory import MemoryProvider
from jupyter_cluster.resources import Resources

pytestmark = pytest.mark.unit

ONE = Scale(request=[({"CPU": 1}, 1)])
NONE = Scale(request=[])


class Flawed(MemoryProvider):
    """A provider of another's that raises what no contract names, as often as it is told to."""

    def __init__(self) -> None:
        super().__init__({"local": NodeType("local", Resources(), boot_seconds=0)}, time.time)
        self.flaws: dict[str, int] = {}

    @property
    def machines(self) -> list[str]:
        with self._lock:
            return list(self._machines)

    def lose(self, name: str) -> None:
        """A machine is gone."""
        with self._lock:
            del self._machines[name]

    def _fail(self, call: str) -> None:
        if self.flaws.get(call, 0) > 0:
            self.flaws[call] -= 1
            raise KeyError(f"{call} is odd")

    def create(self, node_type: str, node_ids: Sequence[str]) -> None:
        self._fail("create")
        super().create(node_type, node_ids)

    def instances(self) -> Sequence[Instance]:
        self._fail("instances")
        return super().instances()

    def terminate(self, node_ids: Collection[str]) -> None:
        self._fail("terminate")
        super().terminate(node_ids)


def test_nodes_are_watched_launched_and_ended_after_any_exception_of_a_provider(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scaling, "WATCH_SECONDS", 0.05)
    monkeypatch.setattr(scaling.Scaling, "_cool", lambda *_words: None)  # again at once
    provider = Flawed()
    provider.flaws = {"create": 1, "instances": 3, "terminate": 2}

    async def main() -> None:
        async with real_head(tmp_path, "max_workers: 1\n", provider) as head:
            head.scale(ONE)
            await until(lambda: head.fleet.in_state(NodeState.BOOTING))
            (name,) = provider.machines
            provider.lose(name)
            await until(lambda: head.fleet.members[name].state is NodeState.FAILED)
            await until(lambda: provider.machines)
            head.scale(NONE)
            head.end_workers(keep_min=False)
            await until(lambda: not provider.machines)
            errors = "\n".join(said(head, "error"))
            assert "local could not be launched: KeyError: 'create is odd'" in errors
            looking = "looking for nodes that died failed, trying again: KeyError: 'instances"
            assert looking in errors
            assert errors.count(looking) == 1
            assert "could not be ended, trying again: KeyError: 'terminate is odd'" in errors

    asyncio.run(main())


def test_a_node_whose_draining_failed_is_ended_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scaling, "WATCH_SECONDS", 0.05)
    provider = Flawed()

    async def main() -> None:
        async with real_head(tmp_path, "max_workers: 1\n", provider) as head:
            head.scale(ONE)
            await until(lambda: head.fleet.in_state(NodeState.BOOTING, NodeState.READY))
            head.scale(NONE)
            (member,) = head.fleet.alive
            monkeypatch.setattr(head.dispatcher, "drain", _fail)
            head._scaling._start_draining(member, "it is not needed")  # type: ignore[union-attr]
            await until(lambda: member.state is NodeState.TERMINATED)
            assert not provider.machines
            assert f"draining {member.id} failed, trying again: KeyError: 'odd'" in said(
                head, "error"
            )

    asyncio.run(main())


class Sending(Flawed):
    """A provider whose machines are being sent files."""

    progressed = 0.0
    looks = 0

    def instances(self) -> Sequence[Instance]:
        self.looks += 1
        return [
            replace(one, state=NodeState.SYNCING_FILES, progressed=self.progressed)
            for one in super().instances()
        ]


def test_a_node_at_which_something_arrives_is_not_ended_and_one_where_nothing_does_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scaling, "WATCH_SECONDS", 0.05)
    provider = Sending()
    provider.progressed = time.time() + 1000  # it goes on and on

    async def main() -> None:
        async with real_head(tmp_path, "max_workers: 1\n", provider) as head:
            head.scale(ONE)
            await until(lambda: head.fleet.in_state(NodeState.SYNCING_FILES))
            (member,) = head.fleet.alive
            head._scaling.setup_seconds = 0.0  # type: ignore[union-attr]
            seen = provider.looks
            await until(lambda: provider.looks > seen + 5)
            assert member.state is NodeState.SYNCING_FILES
            head.scale(NONE)
            provider.progressed = 0.0
            await until(lambda: member.state is NodeState.FAILED)
            assert "it was not ready after 0 s" in member.why

    asyncio.run(main())


def test_a_machine_that_somebody_has_stopped_is_said_to_be_and_ended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scaling, "WATCH_SECONDS", 0.05)
    provider = Flawed()
    stopped: set[str] = set()

    def instances() -> Sequence[Instance]:
        return [
            replace(one, state=NodeState.STOPPED, detail="i-1") if one.node_id in stopped else one
            for one in MemoryProvider.instances(provider)
        ]

    monkeypatch.setattr(provider, "instances", instances)

    async def main() -> None:
        async with real_head(tmp_path, "max_workers: 1\n", provider) as head:
            head.scale(ONE)
            await until(lambda: head.fleet.in_state(NodeState.BOOTING, NodeState.CONNECTING))
            (name,) = provider.machines
            stopped.add(name)
            await until(lambda: head.fleet.members[name].state is NodeState.FAILED)
            await until(lambda: name not in provider.machines)
            wanted = f"{name} has failed: its machine was stopped (i-1)"
            await until(lambda: wanted in said(head, "node"))

    asyncio.run(main())


def _fail(*_words: object) -> None:
    raise KeyError("odd")


def test_what_a_round_stumbles_over_keeps_nothing_else_from_being_done(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def main() -> None:
        async with real_head(tmp_path, "max_workers: 1\n") as head:
            monkeypatch.setattr(head._scaling, "_check_budget", _fail)
            monkeypatch.setattr(head._scaling, "_report_infeasible", _fail)
            head.scale(ONE)
            await until(lambda: head.fleet.alive)
            errors = said(head, "error")
            assert "looking at the budget failed, trying again: KeyError: 'odd'" in errors
            assert len(errors) == 2, "each is said once, not every second"

    asyncio.run(main())


def test_steps_of_the_head_that_fail_are_said_and_taken_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[int] = []

    def stumble(self: Head) -> None:
        calls.append(1)
        if len(calls) < 3:
            raise KeyError("odd")

    monkeypatch.setattr(Head, "_look_around", stumble)
    monkeypatch.setattr("jupyter_cluster.head.service.SAMPLE_SECONDS", 0.01)

    async def main() -> None:
        async with real_head(tmp_path) as head:
            await until(lambda: len(calls) > 3)
            wanted = "looking for silent nodes failed, trying again: KeyError: 'odd'"
            assert said(head, "error") == [wanted]

    asyncio.run(main())


def test_an_error_that_nobody_caught_is_said(tmp_path: Path) -> None:
    async def main() -> None:
        async with real_head(tmp_path) as head:
            for _ in range(3):
                asyncio.get_running_loop().call_soon(_fail)
            wanted = "something in the head's background failed: KeyError: 'odd'"
            await until(lambda: said(head, "error") == [wanted])

    asyncio.run(main())


def test_a_head_without_its_scaling_loop_makes_room_for_another(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def dies(_self: object) -> None:
        raise KeyError("odd")

    monkeypatch.setattr(scaling.Scaling, "run", dies)

    async def main() -> None:
        async with real_head(tmp_path) as head:
            await until(lambda: head.is_ending)

    with pytest.raises(RuntimeError, match="another one follows"):
        asyncio.run(main())


def test_a_head_without_the_writer_of_its_journal_makes_room_for_another(tmp_path: Path) -> None:
    async def main() -> None:
        async with real_head(tmp_path) as head:
            head.journal.write([("no statement",)])  # type: ignore[list-item]
            await until(lambda: head.is_ending)

    with pytest.raises(RuntimeError, match="another one follows"):
        asyncio.run(main())
