"""A million queued tasks: quickly there, small in memory, quickly cancelled."""

from __future__ import annotations

import time

import psutil
import pytest
from helpers import eventually

import jupyter_cluster as jc
from jupyter_cluster.client import registry

pytestmark = pytest.mark.local


def test_a_million_queued_tasks_fit_in_a_gigabyte(cluster: jc.Cluster) -> None:
    def wait(_: int) -> None:
        time.sleep(600)

    job = cluster.map(wait, range(1_000_000))
    eventually(lambda: job.info.total == 1_000_000, 60)
    head = psutil.Process(registry.entry(cluster.name).read("processes.json")["head"])
    assert head.memory_info().rss < 1e9
    job.cancel()
    assert job.info.cancelled == 1_000_000
    # They were not worked on: the rate of the cluster does not leap.
    assert not any(sample["done"] for sample in cluster.endpoint.get("series", since=0))
    assert cluster.map(lambda x: x, range(5)).results(timeout=60) == list(range(5))
