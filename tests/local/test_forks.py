"""A process that is forked from a client submits work of its own, and never waits for nothing."""

from __future__ import annotations

import multiprocessing
import os
import traceback
import warnings
from collections.abc import Callable

import pytest

import jupyter_cluster as jc
from jupyter_cluster import errors

pytestmark = pytest.mark.local

LONG = 60


def in_child(work: Callable[[], object]) -> int:
    """Do it in a forked process: 0 where it succeeds."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # Python's own, about threads
        child = os.fork()
    if child:
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    try:
        work()
        os._exit(0)
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(1)


def test_a_forked_process_works_on_the_cluster_and_its_parent_goes_on(cluster: jc.Cluster) -> None:
    double = cluster.remote(lambda x: 2 * x)
    there = double.remote(4)
    assert jc.get(there, timeout=LONG) == 8
    running = cluster.map(lambda x: -x, range(300))

    def work() -> None:
        assert jc.get(double.remote(5), timeout=LONG) == 10
        assert cluster.map(lambda x: -x, [1, 2]).results(timeout=LONG) == [-1, -2]
        assert jc.get(double.remote(jc.put([6])), timeout=LONG) == [6, 6]
        # Above what Dask packs on a thread of its own.
        assert len(jc.get(double.remote(bytes(12_000_000)), timeout=LONG)) == 24_000_000
        cluster.disconnect()

    assert in_child(work) == 0
    assert running.results(timeout=LONG) == [-x for x in range(300)]
    assert jc.get(double.remote(7), timeout=LONG) == 14


def test_what_belongs_to_the_parent_says_so_at_once(cluster: jc.Cluster) -> None:
    slow = cluster.remote(lambda: __import__("time").sleep(5))
    ref, job = slow.remote(), cluster.map(lambda x: slow.function(), range(3))

    def work() -> None:
        for verb in (
            lambda: jc.get(ref),
            lambda: jc.wait([ref]),
            lambda: jc.cancel(ref),
            job.results,
            job.cancel,
            lambda: next(job.as_completed()),
        ):
            with pytest.raises(errors.ConnectionLostError, match="was forked from"):
                verb()

    assert in_child(work) == 0
    job.cancel()
    jc.cancel(ref)


def _squared(x: int) -> int:
    value: int = jc.get(jc.remote(lambda x: x * x).remote(x), timeout=LONG)
    return value


def test_a_pool_of_forked_processes_uses_the_cluster(cluster: jc.Cluster) -> None:
    jc.connect("shared")
    _squared(1)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        pool = multiprocessing.get_context("fork").Pool(2)
    with pool:
        assert pool.map_async(_squared, range(6)).get(LONG) == [x * x for x in range(6)]
    jc.shutdown()
