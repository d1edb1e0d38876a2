"""Calls of one function on their way: `.remote()` in a loop travels together."""

from __future__ import annotations

import pickle
import threading
from array import array
from collections.abc import Callable, Sequence
from io import BytesIO
from typing import Any

from jupyter_cluster.client.connection import Connection, JobChannel
from jupyter_cluster.codec import PLAIN, Pickler, collecting, unpicklable
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
        self._buffer = BytesIO()
        self._pickler = Pickler(self._buffer)
        self._clear()
        channel.outbox = self._take

    def _clear(self) -> None:
        self._start = self._next
        self._buffer.seek(0)
        self._buffer.truncate()
        self._ends = array("Q")
        self._refs: list[tuple[int, list[str]]] = []

    @property
    def count(self) -> int:
        """How many items were added so far."""
        return self._next

    def add(self, items: Sequence[Any], what: Callable[[int], str]) -> int:
        """Append items; returns the position of the first in the job.

        Parameters
        ----------
        what
            Names the item at a position, for a message.

        Raises
        ------
        SerializationError
            One cannot be pickled, or is too large; those before it were appended.
        """
        with self._lock, collecting() as refs:
            first, is_first = self._next, not self._ends
            for item in items:
                self._append(item, what)
                if refs:
                    self._refs.append((self._next - 1, list(refs)))
                    refs.clear()
        if is_first:
            self._connection.wake()
        return first

    def _append(self, item: Any, what: Callable[[int], str]) -> None:
        buffer = self._buffer
        if type(item) in PLAIN:
            buffer.write(pickle.dumps(item, pickle.HIGHEST_PROTOCOL))
        else:
            before = buffer.tell()
            try:
                self._pickler.dump_one(item)
            except Exception as error:
                buffer.seek(before)
                buffer.truncate()
                if isinstance(error, SerializationError):
                    raise
                raise unpicklable(item, what(self._next), error) from error
        end = buffer.tell()
        if end > MAX_ITEM:
            self._refuse_too_large(end, what)
        self._ends.append(end)
        self._next += 1

    def _refuse_too_large(self, end: int, what: Callable[[int], str]) -> None:
        before = self._ends[-1] if self._ends else 0
        if (size := end - before) > MAX_ITEM:
            self._buffer.seek(before)
            self._buffer.truncate()
            raise SerializationError(
                f"{what(self._next)} takes {size / 1e9:.1f} GB; at most {MAX_ITEM / 1e9:.1f} GB can"
                " be sent: write it to a file that the nodes can read, and pass the path"
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
