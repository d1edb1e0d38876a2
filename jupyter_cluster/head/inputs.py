"""Inputs of tasks that have not been sent: in memory while there is room, always in the journal."""

from __future__ import annotations

from array import array
from collections import OrderedDict
from collections.abc import Callable

from jupyter_cluster.background import start_task
from jupyter_cluster.head.job import Job
from jupyter_cluster.head.journal import Journal
from jupyter_cluster.wire import Block, cut_blocks

MEMORY_BYTES = 256_000_000
# What is read back from the journal at a time, or a single block: more than a bundle takes.
READ_BYTES = 32_000_000


class InputStore:
    """Blocks of inputs by job and first position; the least recently used leave memory first.

    Attributes
    ----------
    on_read : callable
        Called when there is more in memory, or when it cannot be read.
    """

    def __init__(self, journal: Journal, memory_bytes: int = MEMORY_BYTES) -> None:
        self.on_read: Callable[[], None] = lambda: None
        self._journal = journal
        self._limit = memory_bytes
        self._size = 0
        self._blocks: OrderedDict[tuple[str, int], Block] = OrderedDict()
        self._writing: set[tuple[str, int]] = set()
        # Jobs of which blocks are being read, and why those of others could not be.
        self._reading: set[str] = set()
        self._problems: dict[str, BaseException] = {}

    def add(self, job: str, block: Block) -> None:
        """Keep a block that is about to be written to the journal."""
        self._writing.add((job, block.start))
        self._remember((job, block.start), block)

    def written(self, job: str, start: int) -> None:
        """The block can be read from the journal now."""
        self._writing.discard((job, start))

    def find(self, job: Job, start: int, stop: int) -> list[Block]:
        """The inputs of a range of a job, as far as they are in memory from its first task on.

        The rest is read meanwhile: the loop goes on, whatever the disk does.

        Raises
        ------
        Exception
            It could not be read.
        """
        if (problem := self._problems.pop(job.id, None)) is not None:
            raise problem
        found, at = [], start
        while at < stop:
            key = (job.id, job.block_start(at))
            if (block := self._blocks.get(key)) is None:
                self._begin_reading(*key, stop)
                break
            self._blocks.move_to_end(key)
            found.append(block)
            at = block.stop
        return cut_blocks(found, start, min(at, stop)) if found else []

    def _begin_reading(self, job: str, start: int, stop: int) -> None:
        if job not in self._reading:
            self._reading.add(job)
            start_task("reading inputs", self._read(job, start, stop))

    async def _read(self, job: str, start: int, stop: int) -> None:
        sql = (
            "SELECT start, base, ends, data FROM inputs WHERE job = ? AND start >= ? AND start < ?"
            " ORDER BY start"
        )
        try:
            rows = await self._journal.read_beside(sql, job, start, stop, most_bytes=READ_BYTES)
            if job in self._reading:  # not deleted meanwhile
                self._take(job, start, rows)
        except Exception as error:
            if job in self._reading:
                self._problems[job] = error
        self._reading.discard(job)
        self.on_read()

    def _take(self, job: str, start: int, rows: list[tuple[int, int, bytes, bytes]]) -> None:
        if not rows or rows[0][0] != start:
            raise LookupError("its inputs are not in the journal")
        # The first last: it is what is wanted, and must not make room for what follows it.
        for first, base, ends, data in reversed(rows):
            if (job, first) not in self._blocks:
                self._remember((job, first), Block(first, base, array("Q", ends), data))

    def _remember(self, key: tuple[str, int], block: Block) -> None:
        self._blocks[key] = block
        self._size += len(block.data) + 8 * len(block)
        if self._size > self._limit:
            self._make_room(key)

    def _make_room(self, newest: tuple[str, int]) -> None:
        for key in list(self._blocks):
            if self._size <= self._limit:
                return
            if key not in self._writing and key != newest:
                gone = self._blocks.pop(key)
                self._size -= len(gone.data) + 8 * len(gone)

    def forget(self, job: str) -> None:
        """Delete all inputs of a job."""
        for key in [key for key in self._blocks if key[0] == job]:
            gone = self._blocks.pop(key)
            self._size -= len(gone.data) + 8 * len(gone)
            self._writing.discard(key)
        self._reading.discard(job)
        self._problems.pop(job, None)
        self._journal.execute("DELETE FROM inputs WHERE job = ?", job)
