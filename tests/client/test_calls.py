"""Items on their way: whole or not at all, in blocks that stay small."""

from __future__ import annotations

import pickle
import threading
from typing import Any, cast

import pytest

from jupyter_cluster.client import calls
from jupyter_cluster.client.calls import CallStream
from jupyter_cluster.client.channel import JobChannel
from jupyter_cluster.client.connection import Connection
from jupyter_cluster.client.feeder import Feeder
from jupyter_cluster.codec import note_ref
from jupyter_cluster.errors import SerializationError
from jupyter_cluster.wire import Block

pytestmark = pytest.mark.unit


class Wire:
    """What a stream of calls asks of a connection, without the head at its other end."""

    def __init__(self) -> None:
        self.woken = 0
        self.changed = threading.Condition()

    def wake(self) -> None:
        self.woken += 1


class Interrupting:
    """Ctrl-C arrives while it is pickled."""

    def __reduce__(self) -> Any:
        raise KeyboardInterrupt


class Reference:
    """Notes itself as an argument, as a ref does."""

    def __reduce__(self) -> Any:
        note_ref("key")
        return str, ("value",)


def make_stream() -> tuple[CallStream, JobChannel]:
    channel = JobChannel("job", [])
    return CallStream(cast(Connection, Wire()), channel), channel


def taken(channel: JobChannel) -> list[tuple[Block, dict[str, Any]]]:
    assert channel.outbox is not None
    return [(Block.unpack(message["block"]), message) for _, _, message in channel.outbox()]


def values(channel: JobChannel) -> list[Any]:
    return [pickle.loads(item) for block, _ in taken(channel) for item in block.items()]


def what(index: int) -> str:
    return f"item {index}"


def test_an_interrupted_item_leaves_nothing_behind() -> None:
    stream, channel = make_stream()
    shared = ["shared text"]
    stream.add([1, shared], what)
    large = b"x" * 100_000  # more than the pickler holds back
    with pytest.raises(KeyboardInterrupt):
        stream.add([[Reference(), large, shared, Interrupting()]], what)
    assert stream.count == 2
    mixed = [shared, shared, {"a": shared}]
    assert stream.add([mixed], what) == 2
    ((block, message),) = taken(channel)
    assert [pickle.loads(item) for item in block.items()] == [1, shared, mixed]
    assert message["refs"] == []


def test_items_before_and_after_one_that_cannot_be_pickled_are_whole() -> None:
    stream, channel = make_stream()
    stream.add(["before"], what)
    with pytest.raises(SerializationError, match="item 1 cannot be sent"):
        stream.add([[b"x" * 100_000, threading.Lock()]], what)
    stream.add(["after"], what)
    assert values(channel) == ["before", "after"]


def test_what_gathers_is_cut_into_blocks_that_stay_small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(calls, "BLOCK_BYTES", 1000)
    stream, channel = make_stream()
    items = [b"a" * 400, [Reference()], b"b" * 400, b"c" * 5000, b"d" * 10, [Reference()]]
    for item in items:
        stream.add([item], what)
    sent = taken(channel)
    assert [(block.start, block.stop) for block, _ in sent] == [(0, 3), (3, 4), (4, 6)]
    assert [message["refs"] for _, message in sent] == [[(1, ["key"])], [], [(5, ["key"])]]
    assert [len(block.data) > 1000 for block, _ in sent] == [False, True, False]
    found = [pickle.loads(item) for block, _ in sent for item in block.items()]
    assert found == [["value"] if isinstance(item, list) else item for item in items]


def test_one_addition_stops_where_a_block_is_full(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(calls, "BLOCK_BYTES", 1000)
    stream, channel = make_stream()
    items = [bytes(300) for _ in range(100)]
    while stream.count < len(items):
        assert stream.add(items[stream.count :], what) == stream.count - 4
        assert stream.waiting_bytes < 2000
        assert all(len(block.data) <= 1000 for block, _ in taken(channel))
    assert stream.count == 100


def test_a_map_of_large_items_is_not_pickled_ahead_of_the_connection(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(calls, "BLOCK_BYTES", 1000)
    channel = JobChannel("job", [])
    items = [bytes(300) for _ in range(50)]
    feeder = Feeder(cast(Connection, Wire()), channel, items, pytest.fail)
    received: list[Any] = []
    rounds = 0
    while not feeder._feed_container():
        received += values(channel)
        rounds += 1
    assert received + values(channel) == items
    assert rounds >= 10
