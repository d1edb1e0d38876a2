"""Where results are: on their way to the journal, in it, or as files on a node or the head."""

from __future__ import annotations

import asyncio
import re
from array import array
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jupyter_cluster.background import start_task
from jupyter_cluster.head.journal import Journal, Statement
from jupyter_cluster.wire import Block, Status

# The node name of results that lie on the head itself.
ON_HEAD = ""


@dataclass(frozen=True, slots=True)
class Results:
    """Results of consecutive tasks, one status byte each."""

    job: str
    node: str
    statuses: bytes
    block: Block

    @property
    def size(self) -> int:
        """Bytes of data."""
        return len(self.block.data)

    def cut(self, start: int, stop: int) -> Results:
        """A part of them."""
        i, j = start - self.block.start, stop - self.block.start
        return Results(self.job, self.node, self.statuses[i:j], self.block.cut(start, stop))

    def with_status(self, status: Status) -> Iterator[int]:
        """Positions of the tasks that ended like this."""
        at = self.statuses.find(status)
        while at >= 0:
            yield self.block.start + at
            at = self.statuses.find(status, at + 1)


class ResultStore:
    """Takes results in, finds them again.

    Attributes
    ----------
    stored : dict
        Node and size of each large result, by (job, position).
    """

    def __init__(self, journal: Journal, folder: Path) -> None:
        self._journal = journal
        self._folder = folder
        self._writing: dict[int, Results] = {}
        self._number = 0
        self._longest: dict[str, int] = {}
        self.stored: dict[tuple[str, int], tuple[str, int]] = {}
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        for job, longest in journal.read("SELECT job, MAX(count) FROM results GROUP BY job"):
            self._longest[job] = longest
        for job, position, size, node in journal.read("SELECT * FROM stored"):
            self.stored[job, position] = (node, size)

    def add(self, results: Results) -> tuple[int, list[Statement]]:
        """Take results in; returns their number, for `written`, and what is to be written."""
        self._number += 1
        number, job = self._number, results.job
        self._writing[number] = results
        self._longest[job] = max(self._longest.get(job, 0), len(results.block))
        block = results.block
        row = (
            job,
            block.start,
            len(block),
            results.node,
            results.statuses,
            block.base,
            block.ends.tobytes(),
            block.data,
        )
        statements: list[Statement] = [
            (
                "INSERT INTO results (job, start, count, node, statuses, base, ends, data)"
                " VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                row,
            )
        ]
        for position in results.with_status(Status.STORED):
            size = int(bytes(block.item(position)))
            self.stored[job, position] = (results.node, size)
            statements.append(
                (
                    "INSERT OR REPLACE INTO stored VALUES (?, ?, ?, ?)",
                    (job, position, size, results.node),
                )
            )
        return number, statements

    def written(self, numbers: Iterable[int]) -> None:
        """These are in the journal now."""
        for number in numbers:
            self._writing.pop(number, None)

    async def find(self, job: str, start: int, stop: int) -> list[Results]:
        """Results of a range, as far as they are there; the newest where a task was run again.

        They may be large: a thread reads them.
        """
        writing = self._being_written(job)  # before the journal is looked at: none is missed
        rows = await self._journal.read_beside(*self._query(job, start, stop))
        return self._found(job, start, stop, rows, writing)

    def _query(self, job: str, start: int, stop: int) -> tuple[Any, ...]:
        return (
            "SELECT start, node, statuses, base, ends, data FROM results WHERE job = ?"
            " AND start > ? AND start < ? AND ends != x'' ORDER BY number",
            job,
            start - self._longest.get(job, 0),
            stop,
        )

    def _being_written(self, job: str) -> list[Results]:
        return [results for results in self._writing.values() if results.job == job]

    def _found(
        self,
        job: str,
        start: int,
        stop: int,
        rows: Iterable[tuple[Any, ...]],
        writing: list[Results],
    ) -> list[Results]:
        found = [
            Results(job, node, statuses, Block(first, base, array("Q", ends), data))
            for first, node, statuses, base, ends, data in rows
        ]
        found += writing
        overlapping = (
            results.cut(max(start, results.block.start), min(stop, results.block.stop))
            for results in found
            if results.block.start < stop and start < results.block.stop
        )
        return _newest(list(overlapping), start, stop)

    def on_node(self, node: str) -> list[tuple[str, int]]:
        """Large results that lie on this node."""
        return [key for key, (where, _size) in self.stored.items() if where == node]

    def nodes(self) -> set[str]:
        """Nodes that hold large results."""
        return {node for node, _size in self.stored.values()} - {ON_HEAD}

    def path(self, job: str, position: int) -> Path:
        """Where a large result lies on the head once it was moved there."""
        return self._folder / f"{job}-{position}"

    def moved_here(self, job: str, position: int) -> None:
        """A large result lies on the head from now on."""
        _node, size = self.stored[job, position]
        self.stored[job, position] = (ON_HEAD, size)
        self._journal.execute(
            "UPDATE stored SET node = ? WHERE job = ? AND position = ?", ON_HEAD, job, position
        )

    def lost(self, job: str, position: int) -> None:
        """A large result went with its node: what was written of it holds no longer."""
        del self.stored[job, position]
        gone = Results(job, ON_HEAD, bytes([Status.LOST]), Block.of(position, [b""]))
        number, statements = self.add(gone)
        delete = ("DELETE FROM stored WHERE job = ? AND position = ?", (job, position))
        self._journal.write([*statements, delete], lambda: self.written([number]))

    def drop(self, job: str, start: int, stop: int) -> list[tuple[str, str]]:
        """Nobody will read these again; returns node and file name of what lies on nodes.

        That the tasks have ended stays in the journal: a restarted head must not run them again.
        """
        self._journal.execute(
            "UPDATE results SET base = 0, ends = x'', data = x''"
            " WHERE job = ? AND start >= ? AND start + count <= ?",
            job,
            start,
            stop,
        )
        on_nodes = []
        for key in [key for key in self.stored if key[0] == job and start <= key[1] < stop]:
            node, _size = self.stored.pop(key)
            path = self.path(*key)
            self._journal.execute("DELETE FROM stored WHERE job = ? AND position = ?", *key)
            if node == ON_HEAD:
                remove_beside(path)
            else:
                on_nodes.append((node, path.name))
        return on_nodes

    def forget(self, job: str) -> None:
        """Delete all results of a job."""
        self._journal.execute("DELETE FROM results WHERE job = ?", job)
        for number in [n for n, results in self._writing.items() if results.job == job]:
            del self._writing[number]


def remove_beside(path: Path) -> None:
    """Remove a file in a thread: a large one takes a while."""
    start_task("removing a result", asyncio.to_thread(path.unlink, missing_ok=True))


_NOT_COVERED = re.compile(b"\\x00+")


def _newest(found: list[Results], start: int, stop: int) -> list[Results]:
    """Of each task the newest result, ascending; `found` has older before newer."""
    covered = bytearray(stop - start)
    newest = []
    for results in reversed(found):
        i, j = results.block.start - start, results.block.stop - start
        for run in list(_NOT_COVERED.finditer(covered, i, j)):
            newest.append(results.cut(start + run.start(), start + run.end()))
        covered[i:j] = b"\x01" * (j - i)
    kept = [results for results in newest if results.statuses[0] != Status.LOST]
    return sorted(kept, key=lambda results: results.block.start)
