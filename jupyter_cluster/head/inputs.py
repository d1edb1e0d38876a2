"""Inputs of tasks that have not been sent: in memory while there is room, always in the journal."""

from __future__ import annotations

from array import array
from collections import OrderedDict

from jupyter_cluster.head.job import Job
from jupyter_cluster.head.journal import Journal
from jupyter_cluster.wire import Block, cut_blocks

MEMORY_BYTES = 256_000_000


class InputStore:
    """Blocks of inputs by job and first position; the least recently used leave memory first."""

    def __init__(self, journal: Journal, memory_bytes: int = MEMORY_BYTES) -> None:
        self._journal = journal
        self._limit = memory_bytes
        self._size = 0
        self._blocks: OrderedDict[tuple[str, int], Block] = OrderedDict()
        self._writing: set[tuple[str, int]] = set()

    def add(self, job: str, block: Block) -> None:
        """Keep a block that is about to be written to the journal."""
        self._writing.add((job, block.start))
        self._remember((job, block.start), block)

    def written(self, job: str, start: int) -> None:
        """The block can be read from the journal now."""
        self._writing.discard((job, start))

    def find(self, job: Job, start: int, stop: int) -> list[Block]:
        """The inputs of a range of a job."""
        found, at = [], start
        while at < stop:
            block = self._block(job.id, job.block_start(at))
            found.append(block)
            at = block.stop
        return cut_blocks(found, start, stop)

    def _block(self, job: str, start: int) -> Block:
        key = (job, start)
        if (block := self._blocks.get(key)) is not None:
            self._blocks.move_to_end(key)
            return block
        ((base, ends, data),) = self._journal.read(
            "SELECT base, ends, data FROM inputs WHERE job = ? AND start = ?", job, start
        )
        block = Block(start, base, array("Q", ends), data)
        self._remember(key, block)
        return block

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
        self._journal.execute("DELETE FROM inputs WHERE job = ?", job)
