"""What the head keeps of jobs is bounded, in memory and in its journal alike."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine
from pathlib import Path

import pytest

from jupyter_cluster.errors import JobError
from jupyter_cluster.head import inputs, lines, outputs
from jupyter_cluster.head.code import Code
from jupyter_cluster.head.inputs import InputStore
from jupyter_cluster.head.job import Job, JobSpec
from jupyter_cluster.head.journal import Journal
from jupyter_cluster.head.lines import Lines
from jupyter_cluster.head.outputs import Outputs
from jupyter_cluster.head.results import Results, ResultStore
from jupyter_cluster.wire import Block

pytestmark = pytest.mark.unit


def with_journal(path: Path, work: Callable[[Journal], Coroutine[None, None, None]]) -> None:
    async def main() -> None:
        journal = Journal(path / "journal.sqlite", asyncio.get_running_loop())
        try:
            await work(journal)
        finally:
            journal.close()

    asyncio.run(main())


def test_what_a_cell_shows_is_bounded_in_the_journal_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outputs, "KEPT_BYTES", 1000)

    async def show(journal: Journal) -> None:
        kept = Outputs(journal)
        for number in range(1, 51):
            kept.add("a", 0, 0, number, b"x" * 100)
        kept.add("b", 0, 0, 1, b"y" * 5000)  # the newest is kept, however large
        await journal.flushed()
        rows = journal.read("SELECT job, COUNT(*), MIN(position) FROM outputs GROUP BY job")
        assert rows == [("a", 10, 40), ("b", 1, 0)]

    async def again(journal: Journal) -> None:
        kept = Outputs(journal)
        assert [output.position for output in kept.since("a", 0)] == list(range(40, 50))
        assert kept.add("a", 0, 0, 50, b"sent again") is None
        following = kept.add("a", 0, 0, 51, b"z")
        assert following is not None
        assert following.position == 50

    with_journal(tmp_path, show)
    with_journal(tmp_path, again)


def spec(name: str, fn: str, modules: str = "") -> JobSpec:
    return JobSpec(name, name, "map", "me", fn=fn, environment={"modules": modules})


def test_code_goes_with_the_last_job_that_needs_it(tmp_path: Path) -> None:
    async def work(journal: Journal) -> None:
        code = Code(journal)
        for digest in ("f", "g", "early"):
            code.add_function(digest, digest.encode())
        code.add_modules("m", b"zip")
        first, second = spec("a", "f", "m"), spec("b", "g", "m")
        code.use(first)
        code.use(second)
        code.release(first)
        with pytest.raises(JobError, match="its function never arrived"):
            code.function("f")
        assert (code.function("g"), code.modules("m")) == (b"g", b"zip")
        code.add_function("g", b"g")  # a job that is to follow says it again
        code.release(second)
        assert code.has("g")
        assert not code.has("m")
        await journal.flushed()
        assert {row[0] for row in journal.read("SELECT id FROM functions")} == {"g", "early"}
        assert not journal.read("SELECT id FROM modules")

    async def again(journal: Journal) -> None:
        code = Code(journal)
        code.use(spec("c", "g"))
        code.drop_unused()
        await journal.flushed()
        assert [row[0] for row in journal.read("SELECT id FROM functions")] == ["g"]

    with_journal(tmp_path, work)
    with_journal(tmp_path, again)


def test_large_results_are_read_while_the_loop_goes_on(tmp_path: Path) -> None:
    large = bytes(50_000_000)

    async def work(journal: Journal) -> None:
        store = ResultStore(journal, tmp_path / "results")
        number, statements = store.add(Results("a", "n", bytes(1), Block.of(0, [large])))
        journal.write(statements, lambda: store.written([number]))
        await journal.flushed()
        store.add(Results("a", "n", bytes(1), Block.of(1, [b"being written"])))
        reading = asyncio.ensure_future(store.find("a", 0, 2))
        await asyncio.sleep(0)
        assert not reading.done()  # it is read in a thread
        first, second = await reading
        assert bytes(first.block.item(0)) == large
        assert bytes(second.block.item(1)) == b"being written"

    with_journal(tmp_path, work)


def test_inputs_that_have_left_memory_are_read_while_the_loop_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(inputs, "READ_BYTES", 1000)
    job = Job(spec("a", "f"), 0.0)

    async def work(journal: Journal) -> None:
        store, read, at_once = InputStore(journal, memory_bytes=1500), asyncio.Event(), list[str]()
        store.on_read = read.set
        for start in range(0, 10, 2):
            block = Block.of(start, [bytes([start]) * 200, bytes([start + 1]) * 200])
            job.add(start, 2)
            store.add("a", block)
            row = ("a", start, block.base, block.ends.tobytes(), block.data, None)
            journal.execute("INSERT INTO inputs VALUES (?, ?, ?, ?, ?, ?)", *row)
        assert len(store.find(job, 0, 10)) == 5  # none leaves before it is in the journal
        await journal.flushed()
        for start in range(0, 10, 2):
            store.written("a", start)
        store.add("b", Block.of(0, [bytes(1400)]))
        journal._reader.set_trace_callback(at_once.append)
        assert not store.find(job, 1, 10)
        assert not store.find(job, 1, 10)
        await read.wait()
        found = store.find(job, 1, 10)  # as far as they are there
        assert [bytes(item)[:1] for block in found for item in block.items()][:1] == [b"\1"]
        read.clear()
        while found[-1].stop < 10:
            found = store.find(job, found[-1].stop, 10) or found
            await asyncio.wait_for(read.wait(), 20)
        assert [bytes(item)[:1] for block in found for item in block.items()][-1] == b"\x09"
        assert not at_once, "nothing is read on the loop"
        # What is not there, and what is no longer wanted.
        journal.execute("DELETE FROM inputs")
        await journal.flushed()
        store.add("b", Block.of(1, [bytes(1400)]))
        read.clear()
        assert not store.find(job, 0, 10)
        await read.wait()
        with pytest.raises(LookupError, match="not in the journal"):
            store.find(job, 0, 10)
        assert not store.find(job, 0, 10)
        store.forget("a")
        await asyncio.sleep(0)
        assert not store._problems

    with_journal(tmp_path, work)


def test_lines_are_written_beside_the_loop_and_left_out_while_the_disk_is_slow(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lines, "WAITING", 1000)
    monkeypatch.setattr(lines, "FILE_BYTES", 3000)
    path, gate, threads = tmp_path / "tasks.log", threading.Event(), set[int]()
    write = Lines._write

    def slow(self: Lines, text: str) -> None:
        threads.add(threading.get_ident())
        gate.wait(60)
        write(self, text)

    monkeypatch.setattr(Lines, "_write", slow)

    async def main() -> None:
        kept = Lines(path)
        for number in range(20):  # the loop is here while the disk hangs
            kept.add("n", [[0.0, "job", 1, "stdout", f"{number} " + "x" * 100]])
        assert len(kept.since(0)) == 20
        gate.set()
        while kept._waiting:
            await asyncio.sleep(0.01)
        kept.add("n", [[0.0, "job", 1, "stdout", "the last"]])
        kept.close()
        written = path.read_text().splitlines()
        assert written[-1].endswith("n/1 stdout: the last")
        numbers = [int(line.split()[3]) for line in written[:-2]]
        assert numbers == list(range(len(numbers)))
        assert written[-2] == f"[{20 - len(numbers)} lines were left out: the disk was too slow]"
        again = Lines(path)
        again.add("n", [[0.0, "job", 1, "stdout", "x" * 4000]])
        again.close()
        assert not path.exists()
        assert "the last" in (tmp_path / "tasks.1.log").read_text()

    asyncio.run(main())
    assert threads
    assert threading.get_ident() not in threads
