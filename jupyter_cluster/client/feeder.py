"""Feeds the inputs of a map to the head, no faster than they can be taken."""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Callable, Iterable
from typing import Any

from jupyter_cluster.client.calls import CallStream
from jupyter_cluster.client.channel import JobChannel
from jupyter_cluster.client.connection import MAX_UNTAKEN, Connection
from jupyter_cluster.errors import ClusterError

# How far ahead of the work a generator is read. A list is sent as a whole: it is there anyway,
# and then the job no longer needs this process.
AHEAD = 10_000
_AT_ONCE = 5000
_AT_ONCE_LAZY = 500
_MOMENT_SECONDS = 0.01


class Feeder:
    """Reads the items of one job on a thread of its own."""

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
        self._is_empty = False
        self._read_ahead: list[Any] = []  # read, but no longer within the last block
        self._on_error = on_error
        self._calls = CallStream(connection, channel)

    def start(self) -> None:
        """Send the first items at once, so that what cannot be sent is said at once."""
        if self._feed():
            self._seal()
        else:
            threading.Thread(target=self._run, name="jupyter_cluster feeder", daemon=True).start()

    def _run(self) -> None:
        try:
            while not self._feed():
                self._wait_for_room()
        except BaseException as error:
            self._on_error(error)
        try:
            self._seal()
        except ClusterError as error:
            self._on_error(error)

    def _feed(self) -> bool:
        """Send some items; whether there are no more."""
        items = self._read_ahead or self._next_items()
        before = self._calls.count
        self._calls.add(items, lambda index: f"item {index}")
        self._read_ahead = items[self._calls.count - before :]
        return self._is_empty and not self._read_ahead

    def _next_items(self) -> list[Any]:
        """The next items: as many as there are at once, or those that came in a moment."""
        if self._is_sized:
            items = list(itertools.islice(self._items, _AT_ONCE))
            self._is_empty = len(items) < _AT_ONCE
            return items
        items, until = [], time.monotonic() + _MOMENT_SECONDS
        for item in self._items:
            items.append(item)
            if len(items) == _AT_ONCE_LAZY or time.monotonic() > until:
                return items
        self._is_empty = True
        return items

    def _wait_for_room(self) -> None:
        channel = self._channel

        def has_room() -> bool:
            ahead = self._calls.count - channel.outcomes.ended
            untaken = channel.untaken_bytes + self._calls.waiting_bytes
            return untaken < MAX_UNTAKEN and (self._is_sized or ahead < AHEAD)

        with self._connection.changed:
            self._connection.wait_until(has_room, None, "")

    def _seal(self) -> None:
        with self._connection.changed:
            self._connection.collect_inputs()
            self._channel.sealed = True
            self._connection.send(op="seal", job=self._channel.job)
