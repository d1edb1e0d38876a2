"""What tasks return and raise, read in every way there is: nothing acts as the caller's own."""

from __future__ import annotations

import asyncio
import functools
import operator
from typing import Any

import numpy
import pytest

import jupyter_cluster as jc
from jupyter_cluster import errors

pytestmark = pytest.mark.local

STEERING: list[type[BaseException]] = [
    StopIteration,
    StopAsyncIteration,
    GeneratorExit,
    SystemExit,
    KeyboardInterrupt,
    asyncio.CancelledError,
]


def raise_at_one(item: tuple[int, type[BaseException]]) -> int:
    number, kind = item
    if number == 1:
        raise kind("steering")
    return number


@pytest.mark.parametrize("kind", STEERING, ids=lambda kind: kind.__name__)
def test_control_flow_of_a_task_is_never_the_callers(
    cluster: jc.Cluster, kind: type[BaseException]
) -> None:
    work = cluster.remote(raise_at_one)
    refs = [work.remote((number, kind)) for number in range(3)]
    said = f"raised .*{kind.__name__}: steering"
    with pytest.raises(errors.ControlFlowError, match=said):
        list(map(jc.get, refs))
    with pytest.raises(errors.ControlFlowError, match=said):
        jc.get(refs)
    with pytest.raises(errors.ControlFlowError, match=said):
        list(jc.get(ref) for ref in refs)  # noqa: C400

    async def awaited(what: Any) -> Any:
        return await what

    with pytest.raises(errors.ControlFlowError, match=said):
        asyncio.run(awaited(refs[1]))

    job = cluster.map(raise_at_one, [(number, kind) for number in range(3)])
    with pytest.raises(errors.ControlFlowError, match=said):
        asyncio.run(awaited(job))
    with pytest.raises(errors.ControlFlowError, match=said):
        list(job)
    zero, one, two = job.results(errors="return")
    assert (zero, two) == (0, 2)
    assert type(one.__cause__) is kind
    outcomes = {outcome.index: outcome for outcome in job.as_completed()}
    assert [outcomes[0].value, outcomes[2].value] == [0, 2]
    with pytest.raises(errors.ControlFlowError, match=said):
        outcomes[1].value  # noqa: B018
    with pytest.raises(errors.ControlFlowError, match=said):
        list(job.progress(leave=False))


def hurt_at_one(number: int) -> Any:
    class WhenRead:
        def __init__(self, what: str) -> None:
            self._what = what

        def __reduce__(self) -> Any:
            return eval, (self._what,)

    class WhenShown:
        def __repr__(self) -> str:
            raise SystemExit(5)

    if number == 1:
        return WhenRead("1 / 0")
    if number == 2:
        return WhenRead("__import__('sys').exit(5)")
    if number == 3:
        return WhenRead("(_ for _ in ()).throw(KeyboardInterrupt())")
    if number == 4:
        return WhenRead("next(iter([]))")
    return WhenShown() if number == 5 else number


def test_results_that_hurt_cost_no_other_result(cluster: jc.Cluster) -> None:
    job = cluster.map(hurt_at_one, range(8))
    results = job.results(errors="return")
    assert [results[at] for at in (0, 6, 7)] == [0, 6, 7]
    for at, name in enumerate(("ZeroDivision", "SystemExit", "KeyboardI", "StopIteration"), 1):
        assert type(results[at]) is errors.ResultLostError
        assert f"result of task {at} of job 'hurt_at_one' cannot be read here: {name}" in str(
            results[at]
        )
    assert type(results[5]).__name__ == "WhenShown"
    shown = sorted(map(repr, job.as_completed()))
    assert len(shown) == 8
    assert "<repr() of this WhenShown raised SystemExit>" in shown[5]


def fail_at_one(number: int) -> int:
    class Mute(Exception):
        def __str__(self) -> str:
            raise ValueError("no")

        def __reduce__(self) -> Any:
            raise KeyboardInterrupt

    if number == 1:
        raise Mute
    return number


def test_an_error_that_hurts_is_an_error_of_its_task_alone(cluster: jc.Cluster) -> None:
    job = cluster.map(fail_at_one, range(3))
    zero, one, two = job.results(errors="return", timeout=30)
    assert (zero, two) == (0, 2)
    assert type(one) is errors.TaskError
    assert "raised " in str(one)
    assert "Mute: <str() of this Mute raised ValueError>" in str(one)
    assert job.info.failed == 1


def test_items_that_end_with_control_flow_say_so(cluster: jc.Cluster) -> None:
    def items() -> Any:
        yield from range(3)
        raise SystemExit(3)

    with pytest.raises(errors.JobError, match="have raised SystemExit: 3"):
        cluster.map(abs, items()).results()


class Adder:
    name = "adder"

    def __init__(self, number: int) -> None:
        self.number = number

    def __call__(self, x: int) -> int:
        return self.number + x

    def add(self, x: int) -> int:
        return self.number + x

    async def add_later(self, x: int) -> int:
        return self.number + x

    @classmethod
    def made(cls, x: int) -> int:
        return x

    @staticmethod
    def plain(x: int) -> int:
        return x


class LaterAdder(Adder):
    async def __call__(self, x: int) -> int:  # type: ignore[override]
        return self.number + x


CALLABLES: list[Any] = [
    abs,
    int,
    "{}".format,
    [].__mul__,
    int.bit_length,
    numpy.sqrt,
    numpy.vectorize(abs),
    operator.itemgetter(slice(1)).__class__,
    operator.neg,
    functools.partial(pow, 2),
    functools.partial(Adder(1).add_later),
    functools.cache(lambda x: x + 1),
    functools.singledispatch(lambda x: x + 2),
    lambda x: -x,
    Adder(3),
    LaterAdder(4),
    Adder(5).add,
    Adder(6).add_later,
    Adder.made,
    Adder.plain,
    slice,
]


def test_all_that_can_be_called_runs_alike(cluster: jc.Cluster) -> None:
    for function in CALLABLES:
        (mapped,) = cluster.map(function, [2]).results(timeout=60)
        if isinstance(function, type) and function.__module__ != "builtins":
            continue  # of these Ray makes actors
        called = jc.get(cluster.remote(function).remote(2), timeout=60)
        assert type(mapped) is type(called)
        assert repr(mapped) == repr(called), function
        assert "coroutine" not in repr(mapped)
        assert "remote function" in repr(cluster.remote(function))


def test_a_remote_function_can_be_given_options_and_be_mapped(cluster: jc.Cluster) -> None:
    twice = cluster.remote(lambda x: 2 * x)
    assert jc.get(cluster.remote(num_cpus=0.5)(twice).remote(2)) == 4
    assert cluster.map(twice, [1, 2]).results() == [2, 4]
