"""`get`, `wait`, `cancel`, jobs and generators in every order and form: an answer, never a hang."""

from __future__ import annotations

import asyncio
import itertools
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from helpers import eventually

import jupyter_cluster as jc
from jupyter_cluster import errors
from jupyter_cluster.background import start_thread
from jupyter_cluster.client import feeder
from jupyter_cluster.model import JobState

pytestmark = pytest.mark.local

# Nothing here takes long: what is not there by then hangs.
LONG = 60


def after(seconds: float, value: Any) -> Any:
    time.sleep(seconds)
    return value


def feeders() -> list[threading.Thread]:
    return [one for one in threading.enumerate() if "feeder" in one.name]


# -- refs -------------------------------------------------------------------------------------


def test_a_cancel_right_after_its_calls_does_not_overtake_them(
    cluster: jc.Cluster, tmp_path: Path
) -> None:
    begun = cluster.remote(lambda i: ((tmp_path / str(i)).touch(), time.sleep(0.2)))
    refs = [begun.remote(i) for i in range(8)]
    jc.cancel(refs)
    for ref in refs:
        with pytest.raises(errors.TaskCancelledError):
            jc.get(ref, timeout=LONG)
    assert len(list(tmp_path.iterdir())) <= 2, "those that had been sent in the same moment"


def test_verbs_take_no_refs_refs_twice_and_refs_that_have_ended(cluster: jc.Cluster) -> None:
    f = cluster.remote(after)
    one, two = f.remote(0, 1), f.remote(0, 2)
    assert jc.get([one, two, one], timeout=LONG) == [1, 2, 1]
    assert jc.wait([one, two, one], num_returns=3, timeout=LONG) == ([one, two, one], [])
    assert jc.wait([one, one, two], num_returns=1) == ([one], [one, two])
    assert jc.get([]) == []
    assert jc.wait([], num_returns=5, timeout=0) == ([], [])
    jc.cancel([])
    jc.cancel([one, one, two])
    assert jc.get([two, one], timeout=LONG) == [2, 1], "what has ended keeps its result"
    late = f.remote(30, 3)
    jc.cancel([late, late])
    assert jc.wait([late], timeout=LONG) == ([late], [])
    with pytest.raises(errors.TaskCancelledError):
        jc.get(late, timeout=LONG)
    assert list(jc.progress([], disable=True)) == []
    assert set(jc.progress([one, one], disable=True)) == {one}


@pytest.mark.parametrize("odd", ["x", b"x", 5, None, [5], [None], [[]]], ids=repr)
def test_what_is_no_ref_is_said(cluster: jc.Cluster, odd: Any) -> None:
    for verb in (jc.get, jc.wait, jc.cancel, jc.progress):
        with pytest.raises(errors.UsageError, match=f"^{verb.__name__} takes"):
            verb(odd)


def test_numbers_of_verbs_are_numbers(cluster: jc.Cluster) -> None:
    ref = cluster.remote(after).remote(0, 1)
    job = cluster.map(abs, [-1])
    with pytest.raises(errors.UsageError, match=r"wait takes a list of refs.*wait\(\[ref\]\)"):
        jc.wait(ref)  # type: ignore[arg-type]
    odd: Any
    for odd in ("1", None, 1.5, True, 0, -1):
        with pytest.raises(errors.UsageError, match="num_returns must be"):
            jc.wait([ref], num_returns=odd)
    for odd in ("1", float("nan"), True, [1]):
        for verb in (jc.get, job.wait, job.results, job.progress(disable=True).wait):
            with pytest.raises(errors.UsageError, match="timeout must be"):
                verb(*[[ref]] * (verb is jc.get), timeout=odd)
        with pytest.raises(errors.UsageError, match="timeout must be"):
            jc.wait([ref], timeout=odd)
    with pytest.raises(errors.UsageError, match="errors must be 'raise' or 'return', not 'ignore'"):
        job.results(errors="ignore")  # type: ignore[arg-type]
    for options in ({"name": ""}, {"name": 5}, {"unit": "\ud800"}, {"unit": "x" * 41}):
        with pytest.raises(errors.UsageError, match=r"^(name|unit) (must|has)"):
            cluster.map(abs, [-1], **options)  # type: ignore[arg-type]
    assert jc.get(ref, timeout=float("inf")) == 1
    assert job.results(timeout=LONG) == [1]


def test_refs_of_two_clusters_are_waited_for_together(cluster: jc.Cluster) -> None:
    with jc.up(name="second", cpus=1) as other:
        here, there = cluster.remote(after), other.remote(after)
        refs = [there.remote(0, 1), here.remote(0.5, 2), here.remote(300, 3), there.remote(300, 4)]
        assert jc.get(refs[:2], timeout=LONG) == [1, 2]
        assert jc.wait(refs, num_returns=2, timeout=LONG) == (refs[:2], refs[2:])
        assert jc.wait(refs, num_returns=3, timeout=0.2) == (refs[:2], refs[2:])
        jc.cancel(refs)
        assert jc.wait(refs, num_returns=4, timeout=LONG) == (refs, [])


def test_exceptions_to_retry_are_named_as_in_ray(cluster: jc.Cluster, tmp_path: Path) -> None:
    @cluster.remote(retry_exceptions=[ValueError, KeyError], max_retries=2)
    def failing(kind: type[Exception]) -> int:
        tries = len(list(tmp_path.glob(f"{kind.__name__}*"))) + 1
        (tmp_path / f"{kind.__name__}{tries}").touch()
        if tries < 3:
            raise kind("again")
        return tries

    assert jc.get(failing.remote(ValueError), timeout=LONG) == 3
    with pytest.raises(TypeError, match="again"):
        jc.get(failing.remote(TypeError), timeout=LONG)
    never = failing.options(retry_exceptions=False)
    with pytest.raises(KeyError):
        jc.get(never.remote(KeyError), timeout=LONG)
    assert cluster.map(failing, [KeyError]).results(timeout=LONG) == [3], "one try was made before"


# -- jobs -------------------------------------------------------------------------------------


def test_a_job_that_was_deleted_says_so_to_whoever_waits(cluster: jc.Cluster) -> None:
    job = cluster.map(lambda x: after(30, x), range(4), name="gone")
    threading.Timer(0.5, job.delete).start()
    with pytest.raises(errors.JobError, match="'gone' was deleted"):
        job.results(timeout=LONG)
    for verb in (job.results, job.wait, job.row, lambda: next(iter(job))):
        with pytest.raises(errors.JobError, match="'gone' was deleted"):
            verb()
    job.cancel()
    job.delete()


def test_a_job_that_another_client_deletes_says_so(cluster: jc.Cluster) -> None:
    job = cluster.map(lambda x: after(30, x), range(4), name="deleted elsewhere")
    job.row()
    cluster.endpoint.delete(cluster.endpoint.job(job.id))
    eventually(lambda: job._channel.problem)
    with pytest.raises(errors.JobError, match="was deleted"):
        job.results(timeout=LONG)


def test_what_the_head_refuses_is_told_to_its_job_and_not_said_again(cluster: jc.Cluster) -> None:
    f = cluster.remote(after)
    good = f.remote(1, "good")
    refused = cluster._open_raw({"kind": "nonsense", "name": "refused"}, [])
    bad = jc.Ref(cluster.connection, refused.job, 0, "bad")
    with pytest.raises(errors.JobError, match="the head refuses a message: kind: "):
        jc.get(bad, timeout=LONG)
    assert jc.wait([bad], timeout=LONG) == ([bad], [])

    with pytest.raises(errors.JobError):
        asyncio.run(asyncio.wait_for(bad._wait(), LONG))
    assert refused.submission == [refused.following], "there is nothing to repeat"
    assert jc.get(good, timeout=LONG) == "good"
    del bad


def test_what_cannot_be_packed_is_refused_at_once(cluster: jc.Cluster) -> None:
    for odd in (2**70, "\ud800", ValueError):
        with pytest.raises(errors.UsageError, match="cannot be sent"):
            cluster._open_raw({"kind": "put", "name": odd}, [])
    assert cluster.map(abs, [-1]).results(timeout=LONG) == [1]


def test_what_is_in_the_journal_is_not_said_again(cluster: jc.Cluster) -> None:
    job = cluster.map(abs, [-1, -2])
    assert job.results(timeout=LONG) == [1, 2]
    eventually(lambda: not job._channel.opening and not job._channel.untaken)
    assert [m["op"] for m in job._channel.again] == ["follow", "seal"]


def test_cancel_and_results_in_every_order(cluster: jc.Cluster) -> None:
    job = cluster.map(lambda x: after(30 if x else 0, x), range(4))
    assert next(job.as_completed()).value == 0
    job.cancel()
    job.cancel()
    assert job.info.state is JobState.CANCELLED
    outcomes = job.results(timeout=LONG, errors="return")
    assert outcomes[0] == 0
    assert all(isinstance(one, errors.TaskCancelledError) for one in outcomes[1:])
    assert next(job.as_completed()).index == 0
    with pytest.raises(errors.TaskCancelledError):
        job.results(timeout=LONG)
    ended = cluster.map(abs, [-1])
    assert list(ended) == [1]
    ended.cancel()
    assert ended.info.state is JobState.DONE
    assert ended.results(timeout=LONG) == [1]
    at_once = cluster.map(lambda x: after(30, x), range(4))
    at_once.cancel()
    assert at_once.info.state is JobState.CANCELLED


# -- generators -------------------------------------------------------------------------------


def test_a_generator_that_blocks_holds_up_neither_map_nor_what_it_gave(
    cluster: jc.Cluster,
) -> None:
    go_on = threading.Event()

    def blocking() -> Iterator[int]:
        yield 1
        yield 2
        go_on.wait()
        yield 3

    job = cluster.map(lambda x: x * 10, blocking())
    values = iter(job)
    assert [next(values), next(values)] == [10, 20]
    go_on.set()
    assert list(values) == [30]

    class Sized:
        def __len__(self) -> int:
            return 2

        def __iter__(self) -> Iterator[int]:
            yield 1
            go_on.wait()
            yield 2

    go_on.clear()
    job = cluster.map(lambda x: x * 10, Sized())
    assert next(iter(job)) == 10
    go_on.set()
    assert job.results(timeout=LONG) == [10, 20]


@pytest.mark.parametrize("count", [0, 3, 1500])
def test_what_a_generator_gave_before_it_raised_is_delivered(
    cluster: jc.Cluster, count: int
) -> None:
    def broken() -> Iterator[int]:
        yield from range(count)
        raise RuntimeError("broken input")

    values = []
    job = cluster.map(lambda x: x, broken())
    with pytest.raises(RuntimeError, match="broken input"):
        values.extend(iter(job))
    assert values == list(range(count))
    for verb in (job.wait, job.results):
        with pytest.raises(RuntimeError, match="broken input"):
            verb(timeout=LONG)
    indexes = []
    with pytest.raises(RuntimeError, match="broken input"):
        indexes.extend(outcome.index for outcome in job.as_completed())
    eventually(lambda: not feeders())


def test_what_ends_a_program_ends_a_job_where_its_items_raise_it(cluster: jc.Cluster) -> None:
    for kind in (SystemExit, KeyboardInterrupt, asyncio.CancelledError):

        def ending(kind: type[BaseException] = kind) -> Iterator[int]:
            yield 1
            raise kind

        with pytest.raises(errors.JobError, match=f"have raised {kind.__name__}"):
            cluster.map(abs, ending()).results(timeout=LONG)


def test_an_item_that_cannot_be_sent_is_said_by_map_or_by_the_job(cluster: jc.Cluster) -> None:
    def items(before: int) -> Iterator[Any]:
        yield from range(before)
        yield threading.Lock()

    with pytest.raises(errors.SerializationError, match="item 2 cannot be sent"):
        cluster.map(abs, items(2)).results(timeout=LONG)
    job = cluster.map(abs, items(2000))
    with pytest.raises(errors.SerializationError, match="item 2000 cannot be sent"):
        job.results(timeout=LONG)


def test_of_a_late_item_the_job_says_it_however_slowly_map_goes_on(
    cluster: jc.Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    def to_its_end(*of_thread: Any) -> None:
        start_thread(*of_thread).join(LONG)

    def items() -> Iterator[Any]:
        yield from range(2000)
        yield threading.Lock()

    monkeypatch.setattr(feeder, "start_thread", to_its_end)
    job = cluster.map(abs, items())
    with pytest.raises(errors.SerializationError, match="item 2000 cannot be sent"):
        job.results(timeout=LONG)


def test_cancelling_the_job_of_an_endless_generator_ends_its_reading(cluster: jc.Cluster) -> None:
    closed = threading.Event()

    def endless() -> Iterator[int]:
        try:
            yield from itertools.count()
        finally:
            closed.set()

    for end in (jc.Job.cancel, jc.Job.delete):
        closed.clear()
        job = cluster.map(lambda x: x, endless())
        assert list(itertools.islice(job, 50)) == list(range(50))
        end(job)
        assert closed.wait(LONG)
        eventually(lambda: not feeders())
