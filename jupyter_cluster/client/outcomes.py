"""The client's account of one job: which tasks have ended, and the results that are here."""

from __future__ import annotations

import asyncio
import contextlib
from bisect import bisect_right, insort
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from jupyter_cluster.wire import MAX_TASKS, Block

OPEN, ENDED, HERE = range(3)


@dataclass(slots=True)
class _Batch:
    statuses: bytes
    block: Block
    node: str
    left: int  # how many of its results have not been dropped


class Outcomes:
    """Results by position, as batches; each result is taken once, later copies are dropped.

    Not locked: the connection's condition guards it.

    Attributes
    ----------
    ended : int
        How many tasks have ended, as far as is known here.
    arrivals : list
        Ranges in the order in which they ended.
    """

    def __init__(self) -> None:
        self.states = bytearray()
        self.ended = 0
        self.arrivals: list[tuple[int, int]] = []
        self._batches: dict[int, _Batch] = {}
        self._starts: list[int] = []
        self._watchers: dict[int, list[tuple[asyncio.AbstractEventLoop, Any]]] = {}

    def _grow(self, size: int) -> None:
        if size > len(self.states):
            self.states += bytes(size - len(self.states))

    def take(self, statuses: bytes, block: Block, node: str) -> int:
        """Results have come; returns how many bytes of them are kept."""
        self._grow(block.stop)
        kept = 0
        for start, stop in self._runs_not_here(block.start, block.stop):
            i, j = start - block.start, stop - block.start
            part = block.cut(start, stop)
            self._note(start, stop)
            self.states[start:stop] = bytes([HERE]) * (stop - start)
            self._keep(statuses[i:j], part, node)
            kept += len(part.data)
        self._wake(block.start, block.stop)
        return kept

    def note(self, start: int, count: int) -> None:
        """Tasks have ended whose results are still with the head."""
        self._grow(start + count)
        self._note(start, start + count)
        self._wake(start, start + count)

    def _note(self, start: int, stop: int) -> None:
        at = start
        while (at := self.states.find(OPEN, at, stop)) >= 0:
            end = at
            while end < stop and self.states[end] == OPEN:
                end += 1
            self.states[at:end] = bytes([ENDED]) * (end - at)
            self.ended += end - at
            self.arrivals.append((at, end))
            at = end

    def _runs_not_here(self, start: int, stop: int) -> Iterator[tuple[int, int]]:
        if self.states.count(HERE, start, stop) == 0:
            yield start, stop
            return
        at = start
        while at < stop:
            if self.states[at] == HERE:
                at += 1
                continue
            end = at
            while end < stop and self.states[end] != HERE:
                end += 1
            yield at, end
            at = end

    def has_ended(self, index: int) -> bool:
        """Whether the task at this position has ended."""
        return index < len(self.states) and self.states[index] != OPEN

    def is_here(self, index: int) -> bool:
        """Whether its result is here."""
        return index < len(self.states) and self.states[index] == HERE

    def find(self, start: int, stop: int) -> Iterator[tuple[bytes, Block, str]]:
        """Statuses, data and node of a range of results that are here, batch by batch."""
        at = start
        while at < stop:
            batch = self._batches[self._starts[bisect_right(self._starts, at) - 1]]
            end = min(stop, batch.block.stop)
            i, j = at - batch.block.start, end - batch.block.start
            yield batch.statuses[i:j], batch.block.cut(at, end), batch.node
            at = end

    def not_here(self, start: int, stop: int) -> list[int]:
        """Positions of a range whose results are not here."""
        self._grow(stop)
        if self.states.count(HERE, start, stop) == stop - start:
            return []
        return [i for i in range(start, stop) if self.states[i] != HERE]

    def ended_until(self, start: int, limit: int) -> int:
        """Up to which task from `start` on all have ended, looking at most `limit` far."""
        found = self.states.find(OPEN, start, start + limit)
        return found if found >= 0 else min(start + limit, len(self.states))

    def drop(self, index: int) -> int:
        """Nobody will read this result again; returns how many bytes that frees."""
        if not self.is_here(index):
            return 0
        at = bisect_right(self._starts, index) - 1
        batch = self._batches[self._starts[at]]
        batch.left -= 1
        if batch.left:
            return 0
        del self._batches[self._starts.pop(at)]
        return len(batch.block.data)

    def reopen(self, index: int) -> None:
        """A large result was lost and is being computed again: its place is here no more."""
        if not self.is_here(index):
            return
        batch = self._batches.pop(self._starts.pop(bisect_right(self._starts, index) - 1))
        first, last = batch.block.start, batch.block.stop
        for start, stop in ((first, index), (index + 1, last)):
            if start < stop:
                i, j = start - first, stop - first
                self._keep(batch.statuses[i:j], batch.block.cut(start, stop), batch.node)
        self.states[index] = ENDED

    def _keep(self, statuses: bytes, block: Block, node: str) -> None:
        self._batches[block.start] = _Batch(statuses, block, node, len(block))
        insort(self._starts, block.start)

    def forget(self, start: int, stop: int) -> int:
        """These were read and can be fetched again; returns how many bytes that frees."""
        freed, at = 0, bisect_right(self._starts, start) - 1
        while 0 <= at < len(self._starts) and self._starts[at] < stop:
            batch = self._batches[self._starts[at]]
            if batch.block.start < start or batch.block.stop > stop:
                at += 1
                continue
            del self._batches[self._starts.pop(at)]
            self.states[batch.block.start : batch.block.stop] = bytes([ENDED]) * len(batch.block)
            freed += len(batch.block.data)
        return freed

    def watch(self, index: int, loop: asyncio.AbstractEventLoop, future: Any) -> None:
        """Set a future of another loop when the task ends."""
        self._watchers.setdefault(index, []).append((loop, future))

    def _wake(self, start: int, stop: int) -> None:
        if self._watchers:
            for index in [i for i in self._watchers if start <= i < stop]:
                for loop, future in self._watchers.pop(index):
                    with contextlib.suppress(RuntimeError):  # that loop has been closed
                        loop.call_soon_threadsafe(_set, future)

    def wake_all(self) -> None:
        """Nothing more will come: none need wait any longer."""
        self._wake(0, MAX_TASKS)


def _set(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)
