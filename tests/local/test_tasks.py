"""Calls and maps on a real local cluster."""

from __future__ import annotations

import asyncio
import itertools
import threading
import time

import pytest

import jupyter_cluster as jc
from jupyter_cluster import errors

pytestmark = pytest.mark.local


def test_a_call_returns_what_the_function_returns(cluster: jc.Cluster) -> None:
    @cluster.remote
    def add(a: int, b: int = 1) -> int:
        return a + b

    assert jc.get(add.remote(1)) == 2
    assert jc.get([add.remote(i, b=10) for i in range(50)]) == [i + 10 for i in range(50)]


def test_refs_are_arguments_anywhere_in_the_arguments(cluster: jc.Cluster) -> None:
    @cluster.remote
    def double(x: int) -> int:
        return 2 * x

    @cluster.remote
    def total(values: list[int], *, more: dict[str, int]) -> int:
        return sum(values) + more["x"]

    refs = [double.remote(double.remote(i)) for i in range(3)]
    assert jc.get(total.remote(refs, more={"x": cluster.put(100)})) == 4 * 3 + 100


def test_a_failed_argument_fails_the_call_with_the_same_exception(cluster: jc.Cluster) -> None:
    @cluster.remote
    def fail() -> int:
        raise KeyError("deep")

    @cluster.remote
    def use(x: int) -> int:
        return x

    with pytest.raises(KeyError, match="deep"):
        jc.get(use.remote(fail.remote()))


def test_an_exception_keeps_its_type_and_the_traceback_of_the_node(cluster: jc.Cluster) -> None:
    class OwnError(ValueError):
        pass

    def inner(x: int) -> None:
        raise OwnError(f"no {x}")

    @cluster.remote
    def outer() -> None:
        inner(7)

    with pytest.raises(OwnError, match="no 7") as caught:
        jc.get(outer.remote())
    shown = str(caught.value.__cause__)
    assert "in inner" in shown
    assert "in outer" in shown
    assert "jupyter_cluster/agent" not in shown
    assert "task 0 of job 'outer'" in caught.value.__notes__[0]


def test_sys_exit_in_a_task_does_not_end_the_caller(cluster: jc.Cluster) -> None:
    @cluster.remote
    def leave() -> None:
        raise SystemExit(3)

    with pytest.raises(errors.TaskError, match="SystemExit: 3"):
        jc.get(leave.remote())


def test_an_exception_that_cannot_be_pickled_keeps_its_class(cluster: jc.Cluster) -> None:
    @cluster.remote
    def fail() -> None:
        error = ValueError("holds a lock")
        error.lock = threading.Lock()  # type: ignore[attr-defined]
        raise error

    with pytest.raises(ValueError, match="holds a lock"):
        jc.get(fail.remote())


def test_wait_returns_what_is_ready_in_order_and_the_rest(cluster: jc.Cluster) -> None:
    @cluster.remote
    def slow(seconds: float) -> float:
        time.sleep(seconds)
        return seconds

    refs = [slow.remote(300), slow.remote(0.01)]
    ready, rest = jc.wait(refs, num_returns=1, timeout=60)
    assert (ready, rest) == ([refs[1]], [refs[0]])
    assert jc.wait(refs, num_returns=2, timeout=0.05) == ([refs[1]], [refs[0]])
    jc.cancel(refs[0])


def test_get_in_time_or_an_error_that_is_a_timeout_error(cluster: jc.Cluster) -> None:
    @cluster.remote
    def slow() -> None:
        time.sleep(30)

    ref = slow.remote()
    with pytest.raises(TimeoutError, match=r"after 0.2 s; the work goes on"):
        jc.get(ref, timeout=0.2)
    jc.cancel(ref)
    with pytest.raises(errors.TaskCancelledError):
        jc.get(ref, timeout=60)


def test_refs_and_jobs_can_be_awaited(cluster: jc.Cluster) -> None:
    @cluster.remote
    def square(x: int) -> int:
        return x * x

    async def main() -> tuple[list[int], list[int]]:
        squares = await asyncio.gather(*(square.remote(i) for i in range(20)))
        return squares, await cluster.map(lambda x: -x, range(3))

    assert asyncio.run(main()) == ([i * i for i in range(20)], [0, -1, -2])


def test_a_coroutine_function_is_run_to_its_end(cluster: jc.Cluster) -> None:
    @cluster.remote
    async def later(x: int) -> int:
        await asyncio.sleep(0.01)
        return x

    assert jc.get(later.remote(5)) == 5


def test_map_gives_results_in_order(cluster: jc.Cluster) -> None:
    job = cluster.map(lambda x: x * x, range(5000), name="squares", unit="number")
    assert list(job) == [x * x for x in range(5000)]
    assert job.results() == list(job)
    info = job.info
    assert (info.state, info.total, info.done, info.unit) == ("done", 5000, 5000, "number")


def test_as_completed_gives_each_result_once_with_its_position(cluster: jc.Cluster) -> None:
    def work(x: int) -> int:
        if x == 3:
            raise ValueError("three")
        return -x

    outcomes = {o.index: o for o in cluster.map(work, range(8)).as_completed()}
    assert sorted(outcomes) == list(range(8))
    assert outcomes[5].value == -5
    assert isinstance(outcomes[3].error, ValueError)


def test_errors_can_be_returned_in_their_places(cluster: jc.Cluster) -> None:
    job = cluster.map(lambda x: 1 // x, [1, 0, 1])
    first, second, third = job.results(errors="return")
    assert (first, third) == (1, 1)
    assert isinstance(second, ZeroDivisionError)
    with pytest.raises(ZeroDivisionError):
        job.results()
    assert job.info.state == "failed"


def test_a_generator_is_read_only_so_far_ahead_of_the_work(cluster: jc.Cluster) -> None:
    taken = 0

    def numbers() -> object:
        nonlocal taken
        while True:
            taken += 1
            yield taken - 1

    def slow(x: int) -> int:
        time.sleep(0.05)
        return x

    job = cluster.map(slow, numbers())  # type: ignore[arg-type]
    assert list(itertools.islice(job, 10)) == list(range(10))
    assert taken < 12_000
    job.cancel()
    assert job.info.state == "cancelled"


def test_a_generator_that_fails_fails_the_job_where_it_is_read(cluster: jc.Cluster) -> None:
    def numbers() -> object:
        yield 1
        raise RuntimeError("no more data")

    with pytest.raises(RuntimeError, match="no more data"):
        cluster.map(lambda x: x, numbers()).results()  # type: ignore[arg-type]


def test_short_tasks_do_not_wait_behind_a_long_one(cluster: jc.Cluster) -> None:
    def work(x: int) -> int:
        time.sleep(8 if x == 3 else 0.05)
        return x

    cluster.map(work, [0] * 10).wait()
    job = cluster.map(work, range(60))  # one of them takes longer than was measured
    finished = []
    for outcome in job.as_completed():
        finished.append(outcome.index)
        if len(finished) == 59:
            break
    assert 3 not in finished
    job.cancel()


def test_what_is_no_function_and_what_is_no_list_is_said_at_once(cluster: jc.Cluster) -> None:
    with pytest.raises(errors.UsageError, match="map takes items to iterate over, not a int"):
        cluster.map(abs, 5)  # type: ignore[arg-type]
    with pytest.raises(errors.UsageError, match="map takes a function first, not a int"):
        cluster.map(5, [5])  # type: ignore[arg-type]
    with pytest.raises(errors.UsageError, match="get takes a ref or a list of refs, not a int"):
        jc.get(5)  # type: ignore[call-overload]


def test_an_empty_map_is_done_at_once(cluster: jc.Cluster) -> None:
    assert cluster.map(lambda x: x, []).results(timeout=60) == []


def test_a_large_argument_and_a_large_result(cluster: jc.Cluster) -> None:
    data = bytes(200_000_000)

    @cluster.remote
    def echo(x: bytes) -> bytes:
        return x

    assert jc.get(echo.remote(data), timeout=100) == data


def test_a_put_value_is_an_argument_of_many_calls(cluster: jc.Cluster) -> None:
    table = cluster.put({i: i * i for i in range(10_000)})

    @cluster.remote
    def look_up(table: dict[int, int], i: int) -> int:
        return table[i]

    assert jc.get([look_up.remote(table, i) for i in range(20)]) == [i * i for i in range(20)]
    assert len(jc.get(table)) == 10_000


def test_two_clients_at_once_each_get_their_own_results(cluster: jc.Cluster) -> None:
    other = jc.Cluster(cluster._entry)
    try:
        mine = cluster.map(lambda x: ("mine", x), range(2000))
        theirs = other.map(lambda x: ("theirs", x), range(2000))
        assert mine.results() == [("mine", x) for x in range(2000)]
        assert theirs.results() == [("theirs", x) for x in range(2000)]
    finally:
        other.disconnect()


def test_another_client_finds_a_job_by_its_name(cluster: jc.Cluster) -> None:
    cluster.map(lambda x: x + 1, range(300), name="by-name").wait()
    other = jc.Cluster(cluster._entry)
    try:
        found = other.job("by-name")
        assert found.results() == [x + 1 for x in range(300)]
        found.delete()
        with pytest.raises(errors.JobError, match=r"there is no job '|job '\w+' was deleted"):
            other.job("by-name").info  # noqa: B018
    finally:
        other.disconnect()
