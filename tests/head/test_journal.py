"""Writes are safe when they say so, and wait while the disk is full."""

from __future__ import annotations

import asyncio
import sqlite3
from pathlib import Path

import pytest

from jupyter_cluster.head.journal import Journal

pytestmark = pytest.mark.unit


def test_what_was_written_is_there_after_done_was_called(tmp_path: Path) -> None:
    async def main() -> None:
        journal = Journal(tmp_path / "j.sqlite", asyncio.get_running_loop())
        done = asyncio.Event()
        for number in range(100):
            journal.execute("INSERT INTO events VALUES (?, 0, 'node', 'x')", number)
        journal.execute("INSERT INTO events VALUES (100, 0, 'node', 'x')", done=done.set)
        await done.wait()
        other = sqlite3.connect(tmp_path / "j.sqlite")
        assert other.execute("SELECT COUNT(*) FROM events").fetchone() == (101,)
        other.close()
        assert journal.read("SELECT COUNT(*) FROM events") == [(101,)]
        journal.close()

    asyncio.run(main())


def test_a_write_waits_while_another_holds_the_database(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("jupyter_cluster.head.journal.RETRY_SECONDS", 0.01)
    problems: list[str] = []

    async def main() -> None:
        journal = Journal(tmp_path / "j.sqlite", asyncio.get_running_loop(), problems.append)
        journal._thread.join(0)
        await journal.flushed()
        holder = sqlite3.connect(tmp_path / "j.sqlite", isolation_level=None)
        holder.execute("BEGIN EXCLUSIVE")
        journal.execute("INSERT INTO events VALUES (1, 0, 'node', 'x')")
        while not problems:
            await asyncio.sleep(0.01)
        assert "cannot be written" in journal.problem
        holder.execute("ROLLBACK")
        holder.close()
        await journal.flushed()
        assert journal.read("SELECT number FROM events") == [(1,)]
        assert journal.problem == ""
        journal.close()

    asyncio.run(main())
    assert problems[-1] == ""
