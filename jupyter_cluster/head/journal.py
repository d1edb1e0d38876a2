"""The database on the head's disk: jobs, inputs, results, nodes, events.

One thread writes. It takes all that waits into one transaction, so that thousands of small writes
a second cost a few dozen commits. A full disk loses nothing: the writes wait, in order, and are
tried again until there is room. What the database refuses for good is left out and said; its
writer is not told that it is safe. Should the thread end all the same, the head is told.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import math
import queue
import sqlite3
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from jupyter_cluster.background import Tell, describe, start_thread

logger = logging.getLogger("jupyter_cluster.head")

RETRY_SECONDS = 0.5
# How long writes gather before they are committed together. Nobody waits for it: results are
# delivered before, and acknowledged to their nodes after.
GATHER_SECONDS = 0.01

_SCHEMA = """
CREATE TABLE IF NOT EXISTS functions (id TEXT PRIMARY KEY, code BLOB) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS modules (id TEXT PRIMARY KEY, archive BLOB) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS jobs (
    id TEXT PRIMARY KEY, spec TEXT, sealed INTEGER, submitted REAL, finished REAL,
    cancelled INTEGER, note TEXT) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS inputs (
    job TEXT, start INTEGER, base INTEGER, ends BLOB, data BLOB, refs TEXT,
    UNIQUE (job, start));
CREATE TABLE IF NOT EXISTS results (
    number INTEGER PRIMARY KEY, job TEXT, start INTEGER, count INTEGER, node TEXT,
    statuses BLOB, base INTEGER, ends BLOB, data BLOB);
CREATE INDEX IF NOT EXISTS results_of_job ON results (job, start);
CREATE TABLE IF NOT EXISTS stored (
    job TEXT, position INTEGER, size INTEGER, node TEXT, PRIMARY KEY (job, position))
    WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS nodes (
    id TEXT PRIMARY KEY, type TEXT, state TEXT, since REAL, ended REAL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS node_prices (node TEXT PRIMARY KEY, price REAL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS events (number INTEGER PRIMARY KEY, time REAL, kind TEXT, text TEXT);
CREATE TABLE IF NOT EXISTS samples (
    job TEXT, time REAL, done INTEGER, queued INTEGER, nodes INTEGER, slots INTEGER);
CREATE TABLE IF NOT EXISTS cluster_samples (
    time REAL, done INTEGER, rate REAL, queued INTEGER, running INTEGER, ready INTEGER,
    pending INTEGER, ending INTEGER, cpus REAL, busy INTEGER, cost REAL, per_hour REAL);
CREATE TABLE IF NOT EXISTS settings (name TEXT PRIMARY KEY, value TEXT) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS head_spans (first REAL PRIMARY KEY, last REAL);
CREATE TABLE IF NOT EXISTS stages (node TEXT, state TEXT, time REAL);
CREATE TABLE IF NOT EXISTS outputs (
    job TEXT, position INTEGER, task INTEGER, attempt INTEGER, number INTEGER, data BLOB,
    PRIMARY KEY (job, position)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS cell_sessions (name TEXT PRIMARY KEY, node TEXT, shape TEXT)
    WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS samples_of_job ON samples (job, time);
"""

Statement = tuple[str, Sequence[Any]]
Group = tuple[list[Statement], Callable[[], None] | None]


class Journal:
    """Writes in the background, reads at once.

    Attributes
    ----------
    problem : str
        Why writing does not succeed at the moment; empty while it does.
    """

    def __init__(
        self,
        path: Path,
        loop: asyncio.AbstractEventLoop,
        on_problem: Callable[[str], None] = lambda _text: None,
        on_broken: Tell = lambda _error: None,
    ) -> None:
        self.path = path
        self.problem = ""
        self._loop = loop
        self._on_problem = on_problem
        self._on_broken = on_broken
        self._broken: BaseException | None = None
        self._flushing: set[asyncio.Future[None]] = set()
        self._queue: queue.SimpleQueue[Group | None] = queue.SimpleQueue()
        self._closing = threading.Event()
        self._refusals: set[str] = set()
        self._writer = self._connect()
        self._writer.executescript(_SCHEMA)
        self._reader = self._connect()
        # For what may be large: the loop goes on meanwhile, and so do its own small reads.
        self._beside, self._beside_lock = self._connect(), threading.Lock()
        self._thread = start_thread("writing the journal", self._write_all, self._on_end)

    def _connect(self) -> sqlite3.Connection:
        connection = sqlite3.connect(self.path, isolation_level=None, check_same_thread=False)
        connection.execute("PRAGMA journal_mode=WAL")
        # In WAL mode NORMAL survives the death of the process; a power cut may cost the last
        # moments but never the database (https://sqlite.org/pragma.html#pragma_synchronous).
        connection.execute("PRAGMA synchronous=NORMAL")
        return connection

    def write(self, statements: list[Statement], done: Callable[[], None] | None = None) -> None:
        """Write these in one transaction; `done` is called in the loop when they are safe."""
        self._queue.put((statements, done))

    def execute(self, sql: str, *values: Any, done: Callable[[], None] | None = None) -> None:
        """Write one statement."""
        self.write([(sql, values)], done)

    def read(self, sql: str, *values: Any) -> list[tuple[Any, ...]]:
        """The rows of a query, of what has been written so far."""
        return self._reader.execute(sql, values).fetchall()

    async def read_beside(
        self, sql: str, *values: Any, most_bytes: float = math.inf
    ) -> list[tuple[Any, ...]]:
        """As `read`, in a thread: for rows that may have hundreds of megabytes.

        Parameters
        ----------
        most_bytes
            No more rows are read when those before them have so many bytes.
        """

        def fetch() -> list[tuple[Any, ...]]:
            rows, size = [], 0
            with self._beside_lock, contextlib.closing(self._beside.execute(sql, values)) as found:
                for row in found:
                    rows.append(row)
                    size += sum(len(value) for value in row if isinstance(value, bytes))
                    if size >= most_bytes:
                        break
            return rows

        return await asyncio.to_thread(fetch)

    async def flushed(self) -> None:
        """Wait until all that was written before this call is safe.

        Raises
        ------
        OSError
            Nothing is written any more.
        """
        safe = self._loop.create_future()
        self._flushing.add(safe)
        safe.add_done_callback(self._flushing.discard)
        if self._broken is not None:
            self._break(self._broken)
        self.write([], lambda: None if safe.done() else safe.set_result(None))
        await safe

    def _on_end(self, error: BaseException) -> None:
        self._call(lambda: self._break(error))

    def _break(self, error: BaseException) -> None:
        """Nothing is written any more: whoever waits for it hears of it."""
        if self._broken is None:
            self._broken = error
            self._on_broken(error)
        for safe in list(self._flushing):
            if not safe.done():
                why = f"the journal {self.path} is not written any more: {describe(error)}"
                safe.set_exception(OSError(why))

    def close(self) -> None:
        """Write what waits, where the disk has room for it, and close."""
        self._closing.set()
        self._queue.put(None)
        self._thread.join(10)
        self._reader.close()
        with self._beside_lock:
            self._beside.close()

    def _write_all(self) -> None:
        is_last = False
        while not is_last:
            groups, is_last = self._gather()
            if groups:
                self._save(groups)
        self._writer.close()

    def _gather(self) -> tuple[list[Group], bool]:
        """What waits, waited for, and whether it is the last."""
        item = self._queue.get()
        self._closing.wait(GATHER_SECONDS)
        groups: list[Group] = []
        while item is not None:
            groups.append(item)
            try:
                item = self._queue.get_nowait()
            except queue.Empty:
                return groups, False
        return groups, True

    def _save(self, groups: list[Group]) -> None:
        """Commit groups together; where the database refuses that, each by itself."""
        try:
            if self._commit([statement for group, _ in groups for statement in group]):
                self._tell([done for _, done in groups if done])
        except Exception as error:
            if len(groups) > 1:
                for group in groups:
                    self._save([group])
            else:
                self._refuse(groups[0], error)

    def _commit(self, statements: list[Statement]) -> bool:
        """Write until it succeeds; False where the journal closes before it does."""
        while True:
            try:
                self._transact(statements)
                self._report("")
                return True
            except sqlite3.OperationalError as error:
                self._report(f"the journal {self.path} cannot be written: {error}")
            if self._closing.wait(RETRY_SECONDS):
                return False

    def _transact(self, statements: list[Statement]) -> None:
        if statements:
            with self._writer:  # commits at the end, and rolls back after an error
                self._writer.execute("BEGIN IMMEDIATE")
                for sql, values in statements:
                    self._writer.execute(sql, values)

    def _refuse(self, group: Group, error: Exception) -> None:
        """Say once for each reason what is left out; the journal itself is well."""
        what = ", ".join(sorted({sql.partition(" VALUES")[0] for sql, _ in group[0]}))
        reason = f"the journal {self.path} refuses {what!r}: {type(error).__name__}: {error}"
        logger.error("left out: %s", reason, exc_info=error)
        if reason not in self._refusals:  # the line in the diary is a write that may be refused too
            self._refusals.add(reason)
            self._call(lambda: self._on_problem(reason))

    def _report(self, problem: str) -> None:
        if problem != self.problem:
            self.problem = problem
            self._call(lambda: self._on_problem(problem))

    def _tell(self, callbacks: list[Callable[[], None]]) -> None:
        if callbacks:
            self._call(lambda: [done() for done in callbacks])

    def _call(self, function: Callable[[], Any]) -> None:
        try:
            self._loop.call_soon_threadsafe(function)
        except RuntimeError:
            logger.debug("the loop has ended before the journal")
