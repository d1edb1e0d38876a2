"""Calls share jobs, and a job goes when its function and the last of its refs have gone."""

from __future__ import annotations

import gc
from pathlib import Path
from typing import Any

import pytest
from helpers import eventually

import jupyter_cluster as jc

pytestmark = pytest.mark.local


def jobs_named(cluster: jc.Cluster, name: str) -> list[dict[str, Any]]:
    return [job for job in cluster.jobs() if job["name"] == name]


def test_calls_with_equal_options_share_a_job(cluster: jc.Cluster) -> None:
    @cluster.remote
    def shared(x: int) -> int:
        return x + 1

    options: list[dict[str, Any]] = [{"num_cpus": 1}, {"num_cpus": 1.0}, {"num_cpus": 0.5}]
    refs = [shared.options(**options[i % 3]).remote(i) for i in range(30)]
    assert jc.get(refs) == list(range(1, 31))
    assert sorted(job["total"] for job in jobs_named(cluster, "shared")) == [10, 20]


@pytest.mark.parametrize("first", ["function", "refs"])
def test_a_job_goes_with_its_function_and_its_refs(cluster: jc.Cluster, first: str) -> None:
    def passing(x: int) -> int:
        return x

    held: dict[str, Any] = {"function": cluster.remote(passing)}
    held["refs"] = [held["function"].options(num_cpus=c).remote(1) for c in (0.5, 1)]
    assert jc.get(held["refs"]) == [1, 1]
    del held[first]
    gc.collect()
    assert len(jobs_named(cluster, "passing")) == 2
    held.clear()
    gc.collect()
    eventually(lambda: not jobs_named(cluster, "passing"))


def test_values_can_be_read_after_the_function_has_gone(cluster: jc.Cluster) -> None:
    refs = [cluster.remote(lambda x: x * 2).remote(x) for x in range(3)]
    eventually(lambda: all(job["sealed"] for job in jobs_named(cluster, "<lambda>")))
    assert jc.get(refs) == [0, 2, 4]


def test_a_call_is_run_though_function_and_ref_are_gone(
    cluster: jc.Cluster, tmp_path: Path
) -> None:
    def slowly(path: str) -> None:
        import time

        time.sleep(1)  # the work itself: it is to outlast what the client holds
        with open(path, "w") as file:
            file.write("done")

    cluster.remote(slowly).remote(str(tmp_path / "written"))
    gc.collect()
    eventually((tmp_path / "written").is_file)
    eventually(lambda: not jobs_named(cluster, "slowly"))
