"""The head's machine loses power, is gone for good, is reached from elsewhere."""

from __future__ import annotations

import time

import pytest
from helpers import eventually

import jupyter_cluster as jc
from ec2box.bench import Bench
from jupyter_cluster.errors import ClusterError

pytestmark = [pytest.mark.ec2box, pytest.mark.timeout(480)]


def slow_square(x: int) -> int:
    time.sleep(0.5)
    return x * x


def test_a_head_that_lost_power_is_started_again_and_its_job_completes(bench: Bench):
    cluster = bench.up(max_workers=2)
    job = cluster.map(slow_square, range(60), name="squares")
    eventually(lambda: job.done >= 5, 60)
    head = bench.head()
    bench.rig.power_cut(head)
    jc.shutdown()

    again = jc.connect("posters")
    assert bench.head() == head
    job = again.job("squares")
    assert job.results() == [x * x for x in range(60)]


def test_workers_whose_head_is_gone_for_good_end_themselves(bench: Bench):
    cluster = bench.up(max_workers=2, worker_grace_minutes=0.1)
    cluster.map(slow_square, range(4)).results()
    bench.await_ready(cluster)  # one that is being set up has all of its set-up time: see test_bill
    bench.rig.power_cut(bench.head(), "terminated")
    # Half a minute until TCP gives the connection up, then the grace period.
    eventually(lambda: not bench.workers(), 120)
    with pytest.raises(ClusterError, match="head of cluster 'posters' is gone"):
        jc.connect("posters")


def test_a_job_goes_on_while_its_client_is_cut_off_for_a_minute(bench: Bench):
    cluster = bench.up(max_workers=2)
    job = cluster.map(slow_square, range(40))
    eventually(lambda: bench.workers(), 60)
    head = bench.instances(kind="head")[0]["InstanceId"]
    address = bench.instances(kind="head")[0]["PublicIpAddress"]
    cut_at = time.monotonic()
    bench.rig.part(("172.31.0.1", address))
    eventually(lambda: not cluster.connection._connected, 60)
    eventually(lambda: time.monotonic() - cut_at > 60, 61)
    bench.rig.part()
    assert job.results() == [x * x for x in range(40)]
    assert bench.head() == head
