"""Every public function with values that cannot be: one sentence of ours, at once."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import numpy
import pytest

import jupyter_cluster as jc
from jupyter_cluster.errors import ClusterError

pytestmark = pytest.mark.local

TEXTS = [5, "", " ", "\ud800", "\x1b[31mx", "a\u202eb", "x" * 300]
COUNTS = ["2", float("nan"), float("inf"), -1, 10**30, True, [1], 1.5]
FUNCTIONS = [5, "print"]
# Where None stands for nothing that could be left out.
GIVEN = [None]

# Function or method, option, what it cannot be.
ODD: list[tuple[Callable[..., Any], str, list[Any]]] = [
    (jc.up, "config", [5, "nowhere.yaml", "\ud800", "x" * 300, "a\0b", "/"]),
    (jc.up, "name", [5, "", "my cluster", "\ud800", "x" * 300]),
    (jc.up, "progress", FUNCTIONS),
    (jc.up, "cpus", ["2", float("nan"), 0, 10**30, True]),
    (jc.up, "bogus", [1]),
    (jc.connect, "name", [5, "", "my cluster", "\ud800", "x" * 300, "nowhere"]),
    (jc.down, "name", [5, "", "my cluster", "\ud800", "x" * 300, "nowhere"]),
    (jc.init, "address", [5, "", "ray://host:10001", "nowhere"]),
    (jc.init, "num_cpus", COUNTS),
    (jc.get, "refs", [5, "x", None, [5], {"a": 1}]),
    (jc.wait, "refs", [5, "x", None, [5]]),
    (jc.cancel, "refs", [5, "x", None, [5]]),
    (jc.progress, "refs", [5, "x", None, [5]]),
    (jc.cancel, "force", [None, 1, "no"]),
    (jc.cancel, "recursive", [None, 1]),
    (jc.wait, "num_returns", [*COUNTS, *GIVEN]),
    (jc.wait, "timeout", ["1", float("nan"), True]),
    (jc.wait, "fetch_local", [None, 1]),
    (jc.get, "timeout", ["1", float("nan"), True]),
    (jc.remote, "num_cpus", COUNTS[:-1]),
    (jc.remote, "bogus", [1]),
    (jc.Cluster.remote, "resources", [5, {"CPU": 1}, {5: 1}]),
    (jc.Cluster.map, "function", [5, None, "print"]),
    (jc.Cluster.map, "items", [5, None]),
    (jc.Cluster.map, "name", TEXTS),
    (jc.Cluster.map, "unit", [*TEXTS, *GIVEN]),
    (jc.Cluster.map, "max_retries", COUNTS),
    (jc.Cluster.job, "name", [*TEXTS, *GIVEN, "nowhere"]),
    (jc.Cluster.setup_log, "node", [*TEXTS, *GIVEN, "nowhere"]),
    (jc.Cluster.end_session, "name", [*TEXTS, *GIVEN, "nowhere"]),
    (jc.Cluster.events, "since", [*COUNTS, *GIVEN]),
    (jc.Cluster.plot, "parts", ["bogus", 5, None]),
    (jc.Cluster.scale, "max_workers", COUNTS),
    (jc.Cluster.scale, "min_workers", [5, "local", {"local": -1}, {"local": 1.5}, {"nowhere": 1}]),
    (jc.Cluster.request_resources, "num_cpus", COUNTS),
    (jc.Cluster.request_resources, "bundles", [5, None, "x", [5], {"CPU": 1}, [{"CPU": "x"}]]),
    (jc.Cluster.request_resources, "bundles", [[{"CPU": -1}], [{"": 1}], [{"CPU": 10**30}]]),
    (jc.Job.results, "timeout", ["1", float("nan"), True]),
    (jc.Job.results, "errors", [None, 5, "ignore"]),
    (jc.Job.wait, "timeout", ["1", float("nan"), True]),
    (jc.Job.plot, "parts", ["bogus", 5, None]),
]
# Those that take anything, or nothing.
FREE = {
    *(jc.put, jc.is_initialized, jc.shutdown),
    *(jc.Cluster.call, jc.Cluster.put, jc.Cluster.status, jc.Cluster.nodes, jc.Cluster.jobs),
    *(jc.Cluster.cost, jc.Cluster.sessions, jc.Cluster.environment, jc.Cluster.disconnect),
    *(jc.Cluster.down, jc.Job.row, jc.Job.as_completed, jc.Job.events, jc.Job.throughput),
    *(jc.Job.cancel, jc.Job.delete, jc.Job.wait_for),
    # of these the options have tests of their own, or are those of tqdm
    *(jc.Cluster.dask_client, jc.Job.progress),
}


def test_none_is_left_out() -> None:
    public = [getattr(jc, name) for name in jc.__all__ if name != "__version__"]
    members = [vars(kind).items() for kind in (jc.Cluster, jc.Job)]
    methods = [one for pairs in members for name, one in pairs if not name.startswith("_")]
    known = {function for function, _, _ in ODD} | FREE
    assert [
        one for one in [*public, *methods] if inspect.isfunction(one) and one not in known
    ] == []


def cases() -> list[Any]:
    return [
        pytest.param(function, option, odd, id=f"{function.__qualname__} {option}={odd!a:.30}")
        for function, option, odds in ODD
        for odd in odds
    ]


@pytest.fixture(scope="module")
def job(cluster: jc.Cluster) -> jc.Job:
    return cluster.map(abs, [-1]).wait(timeout=60)


@pytest.mark.parametrize(("function", "option", "odd"), cases())
def test_what_cannot_be_is_a_sentence(
    cluster: jc.Cluster, job: jc.Job, function: Callable[..., Any], option: str, odd: Any
) -> None:
    needed: dict[str, Any] = {"function": abs, "items": [-1], "refs": [jc.put(1)]}
    names = inspect.signature(function).parameters
    given = {name: value for name, value in needed.items() if name in names} | {option: odd}
    if "self" in names:
        given["self"] = cluster if function.__qualname__.startswith("Cluster") else job
    parts = [given.pop("self")] if "self" in given else []
    if option == "parts":
        parts.append(given.pop(option))
    with pytest.raises(ClusterError) as caught:
        function(*parts, **given)
    said = str(caught.value)
    assert 10 < len(said) < 500
    assert said.isprintable()
    assert job.results(timeout=60) == [1]


def test_numbers_of_numpy_are_numbers(cluster: jc.Cluster) -> None:
    most, least = numpy.int64(2), numpy.int16(0)
    assert cluster.scale(max_workers=most, min_workers={"local": least})["max_workers"] == 2
    cluster.request_resources(num_cpus=numpy.int32(1), bundles=[{"CPU": numpy.float32(0.5)}])
    assert len(cluster.endpoint.post("scale")["request"]) == 2
    cluster.request_resources()
    assert cluster.endpoint.post("scale")["request"] == []
    ref = cluster.remote(num_cpus=None, resources=None, max_retries=None)(abs).remote(-2)
    assert jc.wait([ref], num_returns=numpy.int8(1), timeout=numpy.float64(60)) == ([ref], [])
