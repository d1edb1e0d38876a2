"""Calls of one function on their way: `.remote()` in a loop travels together."""

from __future__ import annotations

import threading
from array import array
from io import BytesIO
from typing import Any

from jupyter_cluster.client.connection import Connection, JobChannel
from jupyter_cluster.codec import Pickler, collecting, unpicklable
from jupyter_cluster.errors import SerializationError
from jupyter_cluster.wire import MAX_ITEM, Block

Sending = tuple[int, int, dict[str, Any]]


class CallStream:
    """Appends pickled items to a job; the connection takes all that has gathered at once."""

    def __init__(self, connection: Connection, channel: JobChannel) -> None:
        self._connection = connection
        self._channel = channel
        self._lock = threading.Lock()
        self._next = 0
        self._clear()
        channel.outbox = self._take

    def _clear(self) -> None:
        self._start = self._next
        self._buffer = BytesIO()
        self._pickler = Pickler(self._buffer)
        self._ends = array("Q")
        self._refs: list[tuple[int, list[str]]] = []

    @property
    def count(self) -> int:
        """How many items were added so far."""
        return self._next

    def add(self, item: Any, what: str) -> int:
        """Append one item; returns its position in the job.

        Raises
        ------
        SerializationError
            It cannot be pickled, or is too large.
        """
        with self._lock:
            before = self._buffer.tell()
            try:
                with collecting() as refs:
                    self._pickler.dump_one(item)
                self._check(self._buffer.tell() - before, what)
            except Exception as error:
                self._buffer.seek(before)
                self._buffer.truncate()
                if isinstance(error, SerializationError):
                    raise
                raise unpicklable(item, what, error) from error
            index = self._next
            if refs:
                self._refs.append((index, refs))
            self._ends.append(self._buffer.tell())
            self._next += 1
            is_first = len(self._ends) == 1
        if is_first:
            self._connection.wake()
        return index

    def _check(self, size: int, what: str) -> None:
        if size > MAX_ITEM:
            raise SerializationError(
                f"{what} takes {size / 1e9:.1f} GB; at most {MAX_ITEM / 1e9:.1f} GB can be sent:"
                " write it to a file that the nodes can read, and pass the path"
            )

    @property
    def waiting_bytes(self) -> int:
        """Bytes that have not been taken by the connection."""
        return self._buffer.tell()

    def _take(self) -> list[Sending]:
        with self._lock:
            if not self._ends:
                return []
            block = Block(self._start, 0, self._ends, self._buffer.getvalue())
            message = {
                "op": "tasks",
                "job": self._channel.job,
                "block": block.pack(),
                "refs": self._refs,
            }
            self._clear()
        return [(block.stop, len(block.data), message)]
