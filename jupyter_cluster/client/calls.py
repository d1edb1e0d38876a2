"""Calls of one function on their way: `.remote()` in a loop travels together."""

from __future__ import annotations

import pickle
import threading
from array import array
from bisect import bisect_right
from collections.abc import Callable, Iterator, Sequence
from io import BytesIO
from typing import Any

from jupyter_cluster.client.channel import JobChannel, Sending
from jupyter_cluster.client.connection import Connection
from jupyter_cluster.codec import PLAIN, Pickler, collecting, unpicklable
from jupyter_cluster.errors import SerializationError
from jupyter_cluster.wire import MAX_ITEM, Block

# What travels together and is one row of the journal; a single item may be larger. Large enough
# that the cost of a message does not count, small enough that a block is soon sent and written.
BLOCK_BYTES = 16_000_000
# How long the connection waits for who adds a call. An argument may take any time to be pickled,
# and may even wait for the connection: then its call is taken later, and others go on.
TAKE_SECONDS = 0.01


class CallStream:
    """Appends pickled items to a job; the connection takes all that has gathered at once.

    Parameters
    ----------
    takes_refs
        Whether the items go to tasks, for which refs among them are replaced by their values.
    """

    def __init__(
        self, connection: Connection, channel: JobChannel, takes_refs: bool = True
    ) -> None:
        self._connection = connection
        self._channel = channel
        self._takes_refs = takes_refs
        self._lock = threading.Lock()
        self._buffer = BytesIO()
        self._pickler = Pickler(self._buffer)
        self._was_missed = False
        self._begin(0)
        channel.outbox = self._take

    def _begin(self, start: int) -> None:
        self._start = start
        self._ends = array("Q")
        self._refs: list[tuple[int, list[str]]] = []
        self._truncate()

    @property
    def count(self) -> int:
        """How many items were added so far."""
        return self._start + len(self._ends)

    def add(self, items: Sequence[Any], what: Callable[[int], str]) -> int:
        """Append items, at least one, until they fill a block; `count` says how far it came.

        Parameters
        ----------
        what
            Names the item at a position, for a message.

        Returns
        -------
        int
            The position of the first in the job.

        Raises
        ------
        SerializationError
            One cannot be pickled, or is too large; those before it were appended.
        """
        with self._lock, collecting() as refs:
            first, is_first = self.count, not self._ends
            full = self._buffer.tell() + BLOCK_BYTES
            for item in items:
                if self._append(item, refs, what) >= full:
                    break
        if is_first or self._was_missed:
            self._was_missed = False
            self._connection.wake()
        return first

    def _append(self, item: Any, refs: list[str], what: Callable[[int], str]) -> int:
        """Append an item or, whatever interrupts it, nothing; returns where it ends."""
        buffer = self._buffer
        try:
            try:
                if type(item) in PLAIN:
                    buffer.write(pickle.dumps(item, pickle.HIGHEST_PROTOCOL))
                else:
                    self._pickler.dump_one(item)
            except KeyboardInterrupt:
                raise
            except BaseException as error:
                raise unpicklable(item, what(self.count), error) from error
            end = buffer.tell()
            if end > MAX_ITEM:
                self._check_size(end, what)
            if refs:
                self._note_refs(refs, what)
            self._ends.append(end)  # from here on it counts
        except BaseException:  # Ctrl-C too
            self._pickler = Pickler(buffer)  # the old one may be in the middle of something
            self._truncate()
            raise
        return end

    def _note_refs(self, refs: list[str], what: Callable[[int], str]) -> None:
        if not self._takes_refs:
            raise SerializationError(
                f"{what(self.count)} is or holds a ref: only what a task is called with may. Pass"
                " the ref itself to the calls, or get() its value first"
            )
        self._refs.append((self.count, list(refs)))
        refs.clear()

    def _truncate(self) -> None:
        """Go back to the end of the last item that counts."""
        self._buffer.seek(self._ends[-1] if self._ends else 0)
        self._buffer.truncate()
        while self._refs and self._refs[-1][0] >= self.count:
            self._refs.pop()

    def _check_size(self, end: int, what: Callable[[int], str]) -> None:
        size = end - (self._ends[-1] if self._ends else 0)
        if size > MAX_ITEM:
            raise SerializationError(
                f"{what(self.count)} takes {size / 1e9:.1f} GB; at most {MAX_ITEM / 1e9:.1f} GB can"
                " be sent: write it to a file that the nodes can read, and pass the path"
            )

    @property
    def waiting_bytes(self) -> int:
        """Bytes that have not been taken by the connection."""
        return self._buffer.tell()

    def _take(self) -> list[Sending] | None:
        """What has gathered; None while someone adds to it."""
        if not self._lock.acquire(timeout=TAKE_SECONDS):
            self._was_missed = True
            return None
        try:
            if not self._ends:
                return []
            gathered = Block(self._start, 0, self._ends, self._buffer.getvalue())
            refs = self._refs
            self._begin(self.count)
        finally:
            self._lock.release()
        return [self._sending(block, refs) for block in _cut(gathered)]

    def _sending(self, block: Block, refs: list[tuple[int, list[str]]]) -> Sending:
        message = {
            "op": "tasks",
            "job": self._channel.job,
            "block": block.pack(),
            "refs": [(index, keys) for index, keys in refs if block.start <= index < block.stop],
        }
        return block.stop, len(block.data), message


def _cut(block: Block) -> Iterator[Block]:
    """Blocks of at most `BLOCK_BYTES`; an item that is larger has one of its own."""
    first = 0
    while first < len(block):
        limit = (block.ends[first - 1] if first else block.base) + BLOCK_BYTES
        last = max(first + 1, bisect_right(block.ends, limit, first))
        yield block.cut(block.start + first, block.start + last)
        first = last
