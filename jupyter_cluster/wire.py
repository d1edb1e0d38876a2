"""How tasks and results look in transit and on disk.

Inputs and results of consecutive tasks travel as one `Block`: their pickles, one after another in
one byte string, with an index of where each ends. A block can be cut anywhere without unpickling,
so that the head passes on bytes it never looks into. What a block is about is told by a message,
a plain dict that msgpack can carry.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from enum import IntEnum
from itertools import accumulate
from typing import Any

# Set in slots, so that code that runs there knows.
IN_TASK = "JUPYTER_CLUSTER_TASK"
# In the environment of what a session's cells start: which cell it was.
CELL_MARK = "JUPYTER_CLUSTER_CELL"
# Set in slots and all that they start: the folder of their cluster or node.
NODE_MARK = "JUPYTER_CLUSTER_NODE_FOLDER"

# Bumped when messages change their meaning; head, agents and clients refuse another one's.
PROTOCOL = 1

# A result larger than this stays on its node instead of going through the head's journal.
LARGE_RESULT = 1_000_000

# One argument or result must fit a journal row; SQLite's own limit is 1e9 bytes
# (https://sqlite.org/limits.html, SQLITE_MAX_LENGTH).
MAX_ITEM = 900_000_000

# Tasks of one job; positions beyond are a mistake of whoever names them.
MAX_TASKS = 100_000_000


class Status(IntEnum):
    """How a task ended, one byte for each in a batch of results."""

    OK = 0  # data: the pickled value
    ERROR = 1  # data: the pickled exception and its traceback
    STORED = 2  # data: empty; the value lies on the node
    CANCELLED = 3  # data: empty
    # System failures: data is a sentence as UTF-8. They are retried, the task is not to blame.
    CRASHED = 4
    TIMEOUT = 5
    MEMORY = 6
    # Only in the journal: the result went with its node, and the task is to be run again.
    LOST = 7
    # Only from a node: as ERROR, with an exception after which the task is not run again.
    FINAL = 8

    @property
    def is_system_failure(self) -> bool:
        """The process ended, not the function."""
        return self in (Status.CRASHED, Status.TIMEOUT, Status.MEMORY)


@dataclass(frozen=True)
class Retried:
    """A function on its way to a slot, with the exceptions after which it is run again."""

    function: Callable[..., Any]
    errors: tuple[type[BaseException], ...]


@dataclass(frozen=True, slots=True)
class Block:
    """The pickles of consecutive tasks `start`, `start + 1`, …

    Attributes
    ----------
    start : int
        Position of the first task in its job.
    base : int
        What is to be subtracted from each end; a cut block keeps its ends as they were.
    ends : array of unsigned 64-bit integers
        Where each pickle ends.
    data : bytes
        The pickles.
    """

    start: int
    base: int
    ends: array[int]
    data: bytes

    def __len__(self) -> int:
        return len(self.ends)

    @property
    def stop(self) -> int:
        """One past the position of the last task."""
        return self.start + len(self.ends)

    @classmethod
    def of(cls, start: int, pickles: Iterable[bytes]) -> Block:
        """From single pickles."""
        parts = list(pickles)
        return cls(start, 0, array("Q", accumulate(map(len, parts))), b"".join(parts))

    def cut(self, start: int, stop: int) -> Block:
        """The tasks from `start` up to `stop`, which must lie within this block."""
        if start == self.start and stop == self.stop:
            return self
        i, j = start - self.start, stop - self.start
        left = self.ends[i - 1] if i else self.base
        right = self.ends[j - 1] if j else self.base
        data = self.data[left - self.base : right - self.base]
        return Block(start, left, self.ends[i:j], data)

    def items(self) -> Iterator[memoryview]:
        """The pickles, one by one."""
        view, left = memoryview(self.data), 0
        for end in self.ends:
            right = end - self.base
            yield view[left:right]
            left = right

    def item(self, index: int) -> memoryview:
        """The pickle of the task at this position of the job."""
        i = index - self.start
        left = (self.ends[i - 1] if i else self.base) - self.base
        return memoryview(self.data)[left : self.ends[i] - self.base]

    def pack(self) -> list[Any]:
        """As a value that msgpack can carry; `unpack` is its inverse."""
        return [self.start, self.base, self.ends.tobytes(), self.data]

    @classmethod
    def unpack(cls, packed: Iterable[Any]) -> Block:
        """From what `pack` made.

        Raises
        ------
        ValueError
            It is no block, or its index does not fit its data.
        """
        try:
            start, base, ends, data = packed
            block = cls(start, base, array("Q", bytes(memoryview(ends))), data)
            is_whole = block._is_whole()
        except (TypeError, ValueError) as error:
            raise ValueError(f"no block of tasks: {error}") from None
        if not is_whole:
            raise ValueError("the index of a block of tasks does not fit its data")
        return block

    def _is_whole(self) -> bool:
        ends = self.ends.tolist()
        return (
            type(self.start) is int
            and type(self.base) is int
            and 0 <= self.start <= self.start + len(ends) <= MAX_TASKS
            and self.base >= 0
            and sorted(ends) == ends
            and (not ends or ends[0] >= self.base)
            and (ends[-1] if ends else self.base) - self.base == len(memoryview(self.data))
        )


def cut_blocks(blocks: Iterable[Block], start: int, stop: int) -> list[Block]:
    """What the blocks, in order, hold of the tasks from `start` up to `stop`."""
    return [
        block.cut(max(start, block.start), min(stop, block.stop))
        for block in blocks
        if block.start < stop and start < block.stop
    ]


def spans(indexes: Iterable[int]) -> list[tuple[int, int]]:
    """Ascending positions as half-open ranges: 1, 2, 3, 7 → (1, 4), (7, 8)."""
    found: list[tuple[int, int]] = []
    for i in indexes:
        if found and found[-1][1] == i:
            found[-1] = (found[-1][0], i + 1)
        else:
            found.append((i, i + 1))
    return found
