"""AWS where moto is kinder: what dies at launch, is used up, is shown late or says nothing."""

from __future__ import annotations

import time

import pytest
from helpers import eventually

import jupyter_cluster as jc
from ec2box.bench import Bench, tags_of
from jupyter_cluster.errors import ClusterError

pytestmark = [pytest.mark.ec2box, pytest.mark.timeout(480)]


def diary(cluster: jc.Cluster) -> str:
    """What the autoscaler has said."""
    return "\n".join(event["text"] for event in cluster.events())


def slow(x: int) -> int:
    time.sleep(0.3)
    return x


def test_workers_come_although_one_dies_and_places_are_used_up(bench: Bench):
    subnets = bench.client().describe_subnets()["Subnets"]
    zones = sorted((row["AvailabilityZone"], row["SubnetId"]) for row in subnets)
    cluster = bench.up(
        max_workers=2,
        idle_timeout_minutes=0.05,
        provider={"availability_zone": ",".join(zone for zone, _ in zones)},
        available_node_types={"worker": {"spot": True}},
    )
    bench.rig.fault(  # from the first launch on, so that no worker is in that subnet
        "RunInstances",
        "InsufficientFreeAddressesInSubnet",
        times=-1,
        match={"NetworkInterface.1.SubnetId": zones[0][1]},
    )
    bench.rig.behave(stillborn="Client.VolumeLimitExceeded: Volume limit exceeded")
    job = cluster.map(slow, range(40))
    eventually(lambda: "has failed" in diary(cluster), 60)
    assert "its machine is gone: the account's quota of EBS volume storage" in diary(cluster)
    assert "(Client.VolumeLimitExceeded)" in diary(cluster)
    # No spot instance is allowed; beside the head one on-demand one is.
    bench.rig.quota(4, spot=0)
    bench.rig.behave(stillborn="", stale_seconds=8)
    assert job.results() == list(range(40))
    said = diary(cluster)
    assert "the quota of vCPUs for spot instances is used up" in said
    assert f"subnet {zones[0][1]} has no free addresses" in said
    rows = bench.instances("running", "shutting-down", "terminated", kind="worker")
    worked = [row for row in rows if row.get("InstanceLifecycle") != "spot"]
    assert {row["Placement"]["AvailabilityZone"] for row in worked} == {zones[1][0]}
    # What has ended is shown running for a while and must not be set up or ended again.
    eventually(lambda: not cluster.nodes(), 60)
    eventually(lambda: not bench.workers("running"), 60)


def test_a_head_that_dies_says_why_and_the_next_comes_up_without_a_pricing_service(bench: Bench):
    bench.rig.behave(stillborn="Client.InternalError: Client error on launch")
    with pytest.raises(ClusterError, match=r"ended while it was booting: .*\(Client.InternalError"):
        bench.start(bench.file(max_workers=1))
    bench.rig.behave(stillborn="")
    bench.rig.pricing(40)
    bench.start(bench.file(max_workers=1))
    assert len(bench.instances(kind="head")) == 1
    price = jc.connect("posters").status()["cost"]["per_hour"]
    assert price == pytest.approx(0.13, rel=0.1)  # the table has it
    assert {tags_of(row)["kind"] for row in bench.instances()} == {"head"}
