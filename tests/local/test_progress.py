"""Bars that follow jobs and refs of a real cluster."""

from __future__ import annotations

import io
import threading
import time
from pathlib import Path

import pytest
from tqdm.std import tqdm

import jupyter_cluster as jc
from jupyter_cluster.errors import UsageError

pytestmark = pytest.mark.local


def half(number: int) -> float:
    if number % 7 == 3:
        raise ValueError(f"{number} is not liked")
    return number / 2


def after(path: str) -> str:
    while not Path(path).exists():
        time.sleep(0.01)
    return path


def last_line(written: io.StringIO) -> str:
    return written.getvalue().rpartition("\r")[2].strip()


def test_iterating_gives_the_values_in_order_and_leaves_a_line(cluster: jc.Cluster) -> None:
    written = io.StringIO()
    bar = cluster.map(half, [2, 4, 6], unit="poster", name="halves").progress(file=written)
    assert isinstance(bar, tqdm)
    assert list(bar) == [1, 2, 3]
    assert last_line(written).startswith("✓ halves: 3 of 3 posters, in ")
    assert "halves: 100%" in written.getvalue() or "halves:   0%" in written.getvalue()


def test_it_turns_red_with_a_failure_and_counts_it(cluster: jc.Cluster) -> None:
    written = io.StringIO()
    bar = cluster.map(half, range(20), name="some fail").progress(file=written, mininterval=0)
    bar.wait()
    assert bar.colour == "red"
    assert (bar.n, bar.total) == (20, 20)
    assert last_line(written).startswith("✗ some fail: 20 of 20 tasks, 3 failed, in ")


def test_an_error_that_is_raised_ends_the_bar(cluster: jc.Cluster) -> None:
    written = io.StringIO()
    with pytest.raises(ValueError, match="3 is not liked"):
        list(cluster.map(half, [1, 3], name="one fails").progress(file=written))
    assert "1 failed" in last_line(written)


def test_options_are_those_of_tqdm(cluster: jc.Cluster) -> None:
    written = io.StringIO()
    list(cluster.map(half, [2], name="named").progress(file=written, desc="mine", leave=False))
    assert "mine:" in written.getvalue()
    assert "✓" not in written.getvalue()
    quiet = io.StringIO()
    assert list(cluster.map(half, [2]).progress(file=quiet, disable=True)) == [1]
    assert not quiet.getvalue()


def test_refs_come_as_they_end(cluster: jc.Cluster, tmp_path: Path) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    waiting = cluster.remote(after)
    refs = [waiting.remote(str(first)), waiting.remote(str(second))]
    second.touch()
    written = io.StringIO()
    seen = []
    for ref in jc.progress(refs, file=written):
        seen.append(Path(jc.get(ref)).name)
        first.touch()
    assert seen == ["second", "first"]
    assert last_line(written).startswith("✓ after: 2 of 2 calls, in ")


def test_refs_that_fail_are_counted_not_raised(cluster: jc.Cluster) -> None:
    written = io.StringIO()
    remote = cluster.remote(half)
    refs = [remote.remote(number) for number in (1, 3)]
    assert set(jc.progress(refs, file=written)) == set(refs)
    assert last_line(written).startswith("✗ half: 2 of 2 calls, 1 failed, in ")


def test_a_wait_with_a_limit_returns_and_the_job_goes_on(
    cluster: jc.Cluster, tmp_path: Path
) -> None:
    go_on = tmp_path / "go-on"
    job = cluster.map(after, [str(go_on)])
    job.progress(file=io.StringIO()).wait(0.2)
    assert not job.has_ended
    go_on.touch()
    assert job.results() == [str(go_on)]


def test_a_bar_of_a_job_that_is_still_fed_knows_its_total_in_the_end(
    cluster: jc.Cluster,
) -> None:
    more = threading.Event()

    def numbers():
        yield from range(3)
        more.wait(60)
        yield 3

    job = cluster.map(float, numbers())
    bar = job.progress(file=io.StringIO())
    assert bar.total is None
    values = iter(bar)
    assert next(values) == 0
    more.set()
    assert len(list(values)) == 3
    assert bar.total == 4


def test_no_refs_are_no_work_and_other_things_are_refused(cluster: jc.Cluster) -> None:
    assert list(jc.progress([], file=io.StringIO())) == []
    with pytest.raises(UsageError, match=r"job\.progress\(\)"):
        jc.progress([cluster.map(half, [2])])  # type: ignore[list-item]
