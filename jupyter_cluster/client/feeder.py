"""Feeds the inputs of a map to the head, no faster than they can be taken."""

from __future__ import annotations

import itertools
import threading
from array import array
from collections import deque
from collections.abc import Callable, ItemsView, Iterable, KeysView, ValuesView
from typing import Any

from jupyter_cluster.background import describe, start_thread
from jupyter_cluster.client.calls import BLOCK_BYTES, CallStream
from jupyter_cluster.client.channel import JobChannel
from jupyter_cluster.client.connection import MAX_UNTAKEN, Connection
from jupyter_cluster.errors import ClusterError, JobError, SerializationError
from jupyter_cluster.model import JobState

# How far ahead of the work a generator is read. A list is sent as a whole: it is there anyway,
# and then the job no longer needs this process.
AHEAD = 10_000
_AT_ONCE = 5000
# So many items of an iterator are sent, or so long is waited for them, before `map` returns: what
# cannot be sent is mostly said at once, and an iterator that blocks holds up nobody.
_FIRST_ITEMS, _FIRST_SECONDS = 500, 0.1
# Their items are all there: reading them cannot block.
_CONTAINERS: tuple[type, ...] = (
    *(list, tuple, range, str, bytes, bytearray, dict, set, frozenset, deque, array),
    *(KeysView, ValuesView, ItemsView),
)


class Feeder:
    """Reads the items of one job; those of an iterator on a thread of its own."""

    def __init__(
        self,
        connection: Connection,
        channel: JobChannel,
        items: Iterable[Any],
        on_error: Callable[[BaseException], None],
    ) -> None:
        self._connection = connection
        self._channel = channel
        self._items = iter(items)
        self._is_sized = hasattr(items, "__len__")
        self._is_here = isinstance(items, _CONTAINERS)
        self._is_empty = False
        self._read_ahead: list[Any] = []  # read, but no longer within the last block
        self._on_error = on_error
        self._calls = CallStream(connection, channel)
        self._has_begun = threading.Event()
        self._unsendable: SerializationError | None = None

    def start(self) -> None:
        """Send the first items.

        Raises
        ------
        SerializationError
            One of them cannot be sent; of an iterator, where it comes at once.
        """
        if self._is_here and self._feed_container():
            self._seal()
            return
        start_thread("jupyter_cluster feeder", self._run, self._on_error)
        if not self._is_here:
            self._has_begun.wait(_FIRST_SECONDS)
            if self._unsendable is not None:
                raise self._unsendable

    def _run(self) -> None:
        try:
            self._feed_all()
        except SerializationError as error:
            if not self._has_begun.is_set():  # `map` waits, and is to say it itself
                self._unsendable = error
            self._on_error(error)
        except Exception as error:
            self._on_error(error)
        except BaseException as error:  # it must not act as the caller's own where it is raised
            problem = JobError(
                f"the items of job {self._channel.job} have raised {describe(error)}"
            )
            problem.__cause__ = error
            self._on_error(problem)
        del self._items  # a generator that is not read to its end may clean up now
        try:
            self._seal()
        except ClusterError as error:
            self._on_error(error)
        self._has_begun.set()

    def _feed_all(self) -> None:
        if self._is_here:
            while not self._is_over and not self._feed_container():
                self._wait_for_room()
            return
        for number, item in enumerate(self._items, 1):
            if self._is_over:
                return
            self._calls.add((item,), _name_of)
            if number % _FIRST_ITEMS == 0 or self._calls.waiting_bytes > BLOCK_BYTES:
                self._has_begun.set()
                self._wait_for_room()

    def _feed_container(self) -> bool:
        """Send some items; whether there are no more."""
        if not self._read_ahead:
            self._read_ahead = list(itertools.islice(self._items, _AT_ONCE))
            self._is_empty = len(self._read_ahead) < _AT_ONCE
        before = self._calls.count
        self._calls.add(self._read_ahead, _name_of)
        self._read_ahead = self._read_ahead[self._calls.count - before :]
        return self._is_empty and not self._read_ahead

    @property
    def _is_over(self) -> bool:
        """Whether nobody wants more items: the job was cancelled, deleted or refused."""
        channel = self._channel
        return bool(channel.problem) or channel.info.get("state") == JobState.CANCELLED

    def _wait_for_room(self) -> None:
        channel = self._channel

        def has_room() -> bool:
            ahead = self._calls.count - channel.outcomes.ended
            untaken = channel.untaken_bytes + self._calls.waiting_bytes
            is_near = self._is_sized or ahead < AHEAD
            return self._is_over or (untaken < MAX_UNTAKEN and is_near)

        with self._connection.changed:
            self._connection.wait_until(has_room, None, "")

    def _seal(self) -> None:
        if not self._channel.problem:
            self._connection.send(op="seal", job=self._channel.job)


def _name_of(index: int) -> str:
    return f"item {index}"
