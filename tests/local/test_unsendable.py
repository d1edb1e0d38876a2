"""What cannot be sent or understood is said in one sentence that names it."""

from __future__ import annotations

import functools
import threading
from collections.abc import Callable

import pytest

import jupyter_cluster as jc
from jupyter_cluster import errors

pytestmark = pytest.mark.local


def test_a_closure_over_a_lock_is_named(cluster: jc.Cluster) -> None:
    guard = threading.Lock()

    def work(x: int) -> int:
        with guard:
            return x

    with pytest.raises(errors.SerializationError, match=r"function work .*its variable 'guard'"):
        cluster.map(work, [1])


def test_an_argument_that_cannot_be_pickled_is_named(cluster: jc.Cluster) -> None:
    @cluster.remote
    def work(x: object) -> None: ...

    with pytest.raises(errors.SerializationError, match=r"an argument of work .*'key'"):
        work.remote({"key": threading.Lock()})
    assert jc.get(work.remote(1)) is None  # the function is as usable as before


def test_an_item_that_cannot_be_pickled_is_named_with_its_position(cluster: jc.Cluster) -> None:
    with pytest.raises(errors.SerializationError, match="item 2 cannot be sent"):
        cluster.map(lambda x: x, [1, 2, threading.Lock()])


def test_a_result_that_cannot_be_pickled_fails_its_task(cluster: jc.Cluster) -> None:
    @cluster.remote
    def work() -> object:
        import _thread

        return _thread.allocate_lock()

    with pytest.raises(TypeError, match="returned a lock that cannot be sent back"):
        jc.get(work.remote())


def test_calling_a_remote_function_directly_says_what_to_do(cluster: jc.Cluster) -> None:
    @cluster.remote
    def work() -> None: ...

    with pytest.raises(errors.UsageError, match=r"call work\.remote\(…\)"):
        work()


def test_remote_inside_a_task_is_refused(cluster: jc.Cluster) -> None:
    @cluster.remote
    def inner() -> int:
        return 1

    @cluster.remote
    def outer() -> object:
        return inner.remote()

    with pytest.raises(errors.UsageError, match="a task cannot start tasks yet"):
        jc.get(outer.remote())


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"num_cpu": 1}, "there is no option 'num_cpu'"),
        ({"num_cpus": -1}, "resource CPU: -1 is negative"),
        ({"timeout": 0}, "timeout must be"),
        ({"max_retries": -1}, "max_retries must be at least 0, not -1"),
        ({"num_gpus": 1.5}, "num_gpus must be a whole number or a fraction of one"),
        ({"runtime_env": {"pip": ["x"]}}, "runtime_env is not supported"),
    ],
)
def test_wrong_options_are_refused_at_once(options: dict[str, object], said: str) -> None:
    with pytest.raises(errors.UsageError, match=said):
        jc.remote(**options)(lambda: None)


def test_a_class_is_mapped_to_instances_and_is_no_actor(cluster: jc.Cluster) -> None:
    class Counter:
        def __init__(self, start: int) -> None:
            self.start = start

    with pytest.raises(errors.UsageError, match="Counter is a class, and actors are not supported"):
        cluster.remote(Counter)
    (made,) = cluster.map(Counter, [5]).results(timeout=60)
    assert (type(made).__name__, made.start) == ("Counter", 5)
    ref = cluster.remote(lambda: Counter(6).start).remote()
    with pytest.raises(AttributeError, match=r"has no 'add'.* Actors, .* are not supported"):
        _ = ref.add
    assert jc.get(ref, timeout=60) == 6


@pytest.mark.parametrize("verb", ["map", "remote"])
def test_what_gives_its_results_one_by_one_is_refused_by_all_verbs(
    cluster: jc.Cluster, verb: str
) -> None:
    def one_by_one(x: int) -> object:
        yield x

    async def later(x: int) -> object:
        yield x

    class Instance:
        def __call__(self, x: int) -> object:
            yield x

    for function in (one_by_one, later, Instance(), functools.partial(one_by_one, 3)):
        with pytest.raises(errors.UsageError, match=r"one by one .* have it return a list"):
            cluster.remote(function) if verb == "remote" else cluster.map(function, [1])


@pytest.mark.parametrize("wrap", [lambda ref: ref, lambda ref: {"deep": [ref]}])
def test_a_put_value_holds_no_ref(cluster: jc.Cluster, wrap: Callable[[jc.Ref], object]) -> None:
    with pytest.raises(errors.SerializationError, match="the value is or holds a ref"):
        cluster.put(wrap(cluster.put(7)))
    assert jc.get(cluster.put(8)) == 8


def test_a_ref_of_a_functions_closure_is_refused(cluster: jc.Cluster) -> None:
    held = cluster.put(7)
    with pytest.raises(errors.SerializationError, match="its variable 'held', a Ref: a ref can"):
        cluster.map(lambda x: held, [1])


def test_a_shape_that_fits_no_node_fails_with_the_nearest_type(cluster: jc.Cluster) -> None:
    @cluster.remote(num_cpus=64)
    def large() -> None: ...

    with pytest.raises(errors.InfeasibleError, match="the nearest, local, has"):
        jc.get(large.remote(), timeout=60)
