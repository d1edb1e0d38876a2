"""The agent's parts that need no processes."""

from __future__ import annotations

import signal

import pytest

from jupyter_cluster.agent.bundle import Bundle
from jupyter_cluster.agent.devices import Devices
from jupyter_cluster.agent.frames import Reader, pack
from jupyter_cluster.agent.shared import IDLE, Shared
from jupyter_cluster.agent.slot import describe_end
from jupyter_cluster.resources import UNITS, Resources
from jupyter_cluster.wire import Block

pytestmark = pytest.mark.unit


def test_fractions_share_a_device_and_whole_ones_stay_free() -> None:
    devices = Devices(2)
    first = devices.take(UNITS // 2)
    assert devices.take(UNITS // 2) == first
    assert devices.take(UNITS) == (1,)
    assert devices.take(1) is None
    devices.give_back((1,), UNITS)
    assert devices.take(2 * UNITS) is None
    devices.give_back((0,), UNITS // 2)
    devices.give_back((0,), UNITS // 2)
    assert devices.take(2 * UNITS) == (0, 1)


def test_a_task_without_gpus_gets_none() -> None:
    assert Devices(0).take(0) == ()
    assert Devices(0).take(UNITS) is None


def test_a_bundle_forgets_what_was_reported_and_what_was_dropped() -> None:
    blocks = [Block.of(5, [b"5", b"6"]), Block.of(7, [b"7", b"8", b"9"])]
    bundle = Bundle("j", 5, 10, 0, "map", "f", Resources(), blocks)
    bundle.reported(6)
    assert bundle.next == 6
    bundle.drop(7, 9)
    assert [bytes(i) for b in bundle.blocks for i in b.items()] == [b"6", b"9"]
    bundle.reported(10)
    assert bundle.next == 10
    assert not bundle.blocks


def test_frames_come_out_whole_however_they_are_cut() -> None:
    messages = [{"op": "a", "data": bytes(range(256))}, {"op": "b"}, {"op": "c", "n": 1}]
    stream = b"".join(pack(message) for message in messages)
    for size in (1, 7, 64, len(stream)):
        reader, found = Reader(), []
        for at in range(0, len(stream), size):
            found += reader.feed(stream[at : at + size])
        assert found == messages


def test_two_views_of_the_same_cells_see_the_same() -> None:
    descriptor = Shared.new_descriptor()
    mine, theirs = Shared(descriptor), Shared(descriptor)
    mine.reset()
    assert theirs.view[0] == IDLE
    theirs.view[0] = 17.0
    assert mine.view[0] == 17.0
    mine.close()
    theirs.close()


@pytest.mark.parametrize(
    ("code", "said"),
    [
        (3, "exited with code 3"),
        (-signal.SIGSEGV, "was ended by signal 11 (SIGSEGV)"),
        (-signal.SIGKILL, "memory running out"),
    ],
)
def test_the_end_of_a_process_is_described_with_its_last_lines(code: int, said: str) -> None:
    assert said in describe_end(code, [])
    assert describe_end(code, ["one", "two"]).endswith("stderr:\none\ntwo")
