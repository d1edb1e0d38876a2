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


@pytest.mark.parametrize(
    ("position", "error"),
    [(None, "IntegrityError"), (2**70, "OverflowError")],
    ids=["by the database", "by Python"],
)
def test_a_write_that_is_refused_costs_no_other_and_is_not_called_safe(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    position: int | None,
    error: str,
) -> None:
    monkeypatch.setattr("jupyter_cluster.head.journal.GATHER_SECONDS", 0.1)  # all in one batch
    good, bad = "INSERT INTO functions VALUES (?, x'00')", "INSERT INTO stored VALUES (?, ?, 0, '')"
    problems: list[str] = []
    safe: list[str] = []

    async def main() -> None:
        journal = Journal(tmp_path / "j.sqlite", asyncio.get_running_loop(), problems.append)
        journal.execute(good, "before", done=lambda: safe.append("before"))
        for _ in range(2):  # what was written before the refused statement goes with it
            journal.write(
                [(good, ("half",)), (bad, ("job", position))], lambda: safe.append("refused")
            )
        journal.execute(good, "after", done=lambda: safe.append("after"))
        await journal.flushed()
        journal.execute(good, "later", done=lambda: safe.append("later"))
        await journal.flushed()
        assert {row[0] for row in journal.read("SELECT id FROM functions")} == set(safe)
        assert journal.problem == ""
        journal.close()

    asyncio.run(main())
    assert safe == ["before", "after", "later"]
    assert len(caplog.records) == 2
    (problem,) = problems
    assert f"refuses 'INSERT INTO functions, INSERT INTO stored': {error}" in problem


def test_a_writer_that_ends_is_heard_of_by_whoever_waits_for_it(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    broken: list[BaseException] = []

    async def main() -> None:
        loop = asyncio.get_running_loop()
        journal = Journal(tmp_path / "j.sqlite", loop, on_broken=broken.append)
        journal.write([("no statement",)])  # type: ignore[list-item]
        waiting = [asyncio.ensure_future(journal.flushed()) for _ in range(2)]
        for one in waiting:
            with pytest.raises(OSError, match="is not written any more: ValueError"):
                await asyncio.wait_for(one, 20)
        with pytest.raises(OSError, match="not written any more"):  # nor is it afterwards
            await asyncio.wait_for(journal.flushed(), 20)
        journal.close()

    asyncio.run(main())
    assert len(broken) == 1
    assert "writing the journal failed" in caplog.text
