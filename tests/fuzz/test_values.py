"""Whatever a task returns or raises: its slot goes on, and its reader has the other results.

The way is the real one, from the slot's outbox over a socket to the reading of results; only the
agent and the head, which look into nothing, are left out.
"""

from __future__ import annotations

import random
import socket
import threading
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import pytest
from nasty import Liar, nasty_error, nasty_value

from jupyter_cluster.agent.frames import Connection as SlotConnection
from jupyter_cluster.agent.frames import Reader
from jupyter_cluster.agent.outbox import Outbox
from jupyter_cluster.client.channel import JobChannel, Part
from jupyter_cluster.client.connection import Connection
from jupyter_cluster.client.reading import Failure, raise_first, values_of
from jupyter_cluster.errors import ClusterError, TaskError
from jupyter_cluster.raised import steers
from jupyter_cluster.wire import Block, Status

if TYPE_CHECKING:
    from conftest import Fuzz

pytestmark = pytest.mark.fuzz


class Arrived:
    """A connection whose job has ended, with all its results here."""

    connections = 1

    def __init__(self, frames: bytes, folder: Path) -> None:
        self._folder = folder
        self.changed = threading.Condition()
        channel = JobChannel("job", [])
        self.channels = {"job": channel}
        for message in Reader().feed(frames):
            if "statuses" in message:
                channel.outcomes.take(message["statuses"], Block.unpack(message["block"]), "node-1")

    def wait_until(self, condition: Callable[[], bool], *_rest: Any) -> None:
        assert condition()

    def channel(self, job: str) -> JobChannel:
        return self.channels[job]

    def send(self, op: str, job: str, index: int) -> None:
        """A large result is asked for, which lies on its node."""
        assert op == "fetch_stored"
        data = bytearray((self._folder / f"{job}-{index}").read_bytes())
        self.channels[job].parts[index] = Part(len(data), data)


@pytest.fixture
def way(tmp_path: Path) -> Callable[[list[tuple[Status, Any]]], list[Any]]:
    """From the results of tasks to what their reader has."""

    def travel(results: list[tuple[Status, Any]]) -> list[Any]:
        ours, theirs = socket.socketpair()
        received = bytearray()

        def receive() -> None:
            while data := ours.recv(1 << 20):
                received.extend(data)

        thread = threading.Thread(target=receive)
        thread.start()
        outbox = Outbox(SlotConnection(theirs), tmp_path)
        outbox.begin("job", 0)
        for status, value in results:
            outbox.add(status, value)
        outbox.finish()
        theirs.shutdown(socket.SHUT_WR)
        thread.join()
        connection = cast(Connection, Arrived(bytes(received), tmp_path))
        found = values_of(connection, "job", 0, len(results), "job")
        ours.close()
        theirs.close()
        return found

    return travel


def test_a_nasty_error_is_raised_in_words_and_costs_no_other_result(
    fuzz: Fuzz, way: Callable[..., list[Any]]
) -> None:
    for rng in fuzz.rounds(60):
        errors = [nasty_error(rng) for _ in range(3)]
        results = [(Status.ERROR, error) for error in errors]
        first, *failures, last = way([(Status.OK, 1), *results, (Status.OK, [2])])
        assert (first, last) == (1, [2])
        for failure, error in zip(failures, errors, strict=True):
            assert type(failure) is Failure
            _check(failure.error, error)


def _check(raised: BaseException, error: BaseException) -> None:
    assert not steers(raised)
    kind = type(raised)
    assert issubclass(kind, TaskError) or kind.__mro__[1:] == type(error).__mro__[1:]
    assert len(str(raised)) < 4_000_000
    assert len(repr(raised)) < 8_000_000
    try:
        raise raised
    except Exception as caught:
        assert caught is raised  # noqa: PT017


def test_a_nasty_result_is_read_or_said_and_costs_no_other(
    fuzz: Fuzz, way: Callable[..., list[Any]]
) -> None:
    for rng in fuzz.rounds(100):
        results = [(Status.OK, _value(rng)) for _ in range(4)]
        first, *_, last = way([(Status.OK, b"first"), *results, (Status.OK, {"last": 1})])
        assert (first, last) == (b"first", {"last": 1})


def _value(rng: random.Random) -> Any:
    return nasty_value(rng) if rng.random() < 0.7 else rng.choice([1, "text", [None], {1: 2.5}])


def test_a_value_that_lies_about_its_class_is_a_value(way: Callable[..., list[Any]]) -> None:
    values = way([(Status.OK, Liar())])
    raise_first(values)
    assert type(values[0]) is Liar


def test_what_cannot_be_read_says_so(fuzz: Fuzz, way: Callable[..., list[Any]]) -> None:
    for rng in fuzz.rounds(60):
        for value in way([(Status.OK, nasty_value(rng))]):
            if type(value) is Failure:
                assert isinstance(value.error, ClusterError | TypeError)
                assert "cannot be" in str(value.error)
