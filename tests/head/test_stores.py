"""What the head keeps of jobs is bounded, in memory and in its journal alike."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from pathlib import Path

import pytest

from jupyter_cluster.errors import JobError
from jupyter_cluster.head import outputs
from jupyter_cluster.head.code import Code
from jupyter_cluster.head.job import JobSpec
from jupyter_cluster.head.journal import Journal
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
        reading = asyncio.ensure_future(store.find_beside("a", 0, 2))
        await asyncio.sleep(0)
        assert not reading.done()  # it is read in a thread
        first, second = await reading
        assert bytes(first.block.item(0)) == large
        assert bytes(second.block.item(1)) == b"being written"
        assert [found.block for found in store.find("a", 0, 2)] == [first.block, second.block]

    with_journal(tmp_path, work)
