"""Workers that are not to be had, that fail, hang, die and are cut off."""

from __future__ import annotations

import time
from collections import Counter

import pytest
from helpers import eventually

import jupyter_cluster as jc
from ec2box.bench import Bench, tags_of
from jupyter_cluster.nodes import ssh

pytestmark = [pytest.mark.ec2box, pytest.mark.timeout(480)]

# Fails on every second node: on worker-1, worker-3 and so on.
ODD = (
    "test $(( $(grep -o 'worker-[0-9]*' ~/.jupyter_cluster/*/agent.json | head -n 1 |"
    " cut -d - -f 2) % 2 )) = 0"
)


def slow_square(x: int) -> int:
    time.sleep(0.3)
    return x * x


def squares(cluster: jc.Cluster, count: int = 40) -> None:
    """Run a job; every result comes once, and is right."""
    seen = Counter(cluster.map(slow_square, range(count)))
    assert seen == Counter(x * x for x in range(count))


def diary(cluster: jc.Cluster) -> str:
    """What the autoscaler has said."""
    return "\n".join(event["text"] for event in cluster.events())


def test_the_next_zone_is_taken_where_the_first_has_no_capacity(bench: Bench):
    subnets = bench.client().describe_subnets()["Subnets"]
    zones = sorted((row["AvailabilityZone"], row["SubnetId"]) for row in subnets)
    cluster = bench.up(max_workers=2, provider={"availability_zone": ",".join(z for z, _ in zones)})
    bench.rig.no_capacity(**{"NetworkInterface.1.SubnetId": zones[0][1]})
    squares(cluster)
    rows = bench.instances(kind="worker")
    assert {row["Placement"]["AvailabilityZone"] for row in rows} == {zones[1][0]}
    assert f"{zones[0][0]} has no m5.large now" in diary(cluster)


def test_everything_works_while_a_third_of_the_calls_is_throttled(bench: Bench):
    bench.rig.throttle(0.3)
    squares(bench.up(max_workers=2))
    bench.end()
    bench.rig.no_faults()
    assert not bench.left_over()


def test_a_worker_that_loses_power_is_replaced_and_its_tasks_go_elsewhere(bench: Bench):
    cluster = bench.up(max_workers=2, available_node_types={"worker": {"min_workers": 2}})
    bench.await_ready(cluster, 2)
    job = cluster.map(slow_square, range(150))
    eventually(lambda: job.done >= 5, 60)
    name, machine = next(iter(bench.workers().items()))
    bench.rig.power_cut(machine, "terminated")
    assert job.results() == [x * x for x in range(150)]
    assert f"{name} has failed: its machine is gone" in diary(cluster)


def test_a_partition_of_thirty_seconds_loses_and_doubles_nothing(bench: Bench):
    cluster = bench.up(max_workers=2, available_node_types={"worker": {"min_workers": 2}})
    bench.await_ready(cluster, 2)
    job = cluster.map(slow_square, range(150))
    eventually(lambda: job.done >= 5, 60)
    head = bench.instances(kind="head")[0]["PrivateIpAddress"]
    worker = bench.instances(kind="worker")[0]["PrivateIpAddress"]
    bench.rig.part((head, worker))
    time.sleep(30)
    bench.rig.part()
    assert job.results() == [x * x for x in range(150)]


def test_workers_whose_setup_fails_are_replaced_and_their_log_is_kept(bench: Bench):
    cluster = bench.up(max_workers=2, worker_setup_commands=["echo here we go", ODD])
    squares(cluster)  # of the even one; how far the odd one is by then depends on the machine
    eventually(lambda: "has failed" in diary(cluster), 60)
    said = diary(cluster)
    assert "agent.json" in said
    assert "ended with code 1" in said
    failed = next(e["text"] for e in cluster.events() if "has failed" in e["text"]).split()[0]
    assert "here we go" in cluster.setup_log(failed)


@pytest.mark.timeout(600)  # each failure lets the type cool down for longer
def test_no_more_are_launched_when_setup_fails_again_and_again(bench: Bench):
    cluster = bench.up(worker_setup_commands=["echo no >&2; exit 3"])
    cluster.map(slow_square, range(40))
    eventually(lambda: "no more of it are launched" in diary(cluster), 200)
    eventually(lambda: not bench.workers(), 90)


def test_a_setup_command_that_hangs_is_named_and_its_node_replaced(bench: Bench):
    cluster = bench.up(
        max_workers=1, setup_timeout_minutes=0.8, worker_setup_commands=[f"{ODD} || sleep 1000"]
    )
    squares(cluster, 10)
    said = diary(cluster)
    assert "worker-1 has failed" in said
    assert "sleep 1000" in said


def test_a_used_up_quota_is_named_at_once(bench: Bench):
    cluster = bench.up(max_workers=2)
    bench.rig.fault("RunInstances", "VcpuLimitExceeded", times=-1)
    cluster.map(slow_square, range(3))
    eventually(lambda: "quota of vCPUs" in diary(cluster), 60)
    assert not bench.workers()


def test_slow_machines_that_are_shown_late_and_busy_at_first_are_launched_once(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(ssh, "CONNECT_SECONDS", 1.0)
    bench.rig.behave(boot_seconds=2, ssh_seconds=3, mute_seconds=4, hidden_seconds=4)
    bench.rig.behave(apt_seconds=12)
    # Both take the locks that a host's own upgrades hold.
    commands = ["sudo apt-get update -qq", "sudo apt-get install -qq -y procps"]
    cluster = bench.up(max_workers=2, initialization_commands=commands)
    squares(cluster)
    assert "has failed" not in diary(cluster)
    ever = bench.instances("running", "shutting-down", "terminated", id=cluster.status()["id"])
    kinds = Counter(tags_of(row)["kind"] for row in ever)
    assert kinds["head"] == 1
    assert kinds["worker"] <= 2


def test_a_spot_node_that_is_taken_back_drains_and_is_replaced_at_once(bench: Bench):
    types = {"worker": {"spot": True}}
    cluster = bench.up(max_workers=1, available_node_types=types)
    job = cluster.map(slow_square, range(150), max_retries=0)
    eventually(lambda: job.done >= 3, 60)
    first, machine = next(iter(bench.workers().items()))
    assert bench.instances(kind="worker")[0]["InstanceLifecycle"] == "spot"
    cluster.scale(max_workers=2)
    bench.rig.reclaim(machine, 25)
    eventually(lambda: any(name != first for name in bench.workers()), 24)
    assert job.results() == [x * x for x in range(150)]
    assert f"{first}: it will be taken back" in diary(cluster)
    assert f"{first} has failed" not in diary(cluster)


def test_on_demand_nodes_are_taken_where_there_are_no_spot_ones(bench: Bench):
    bench.rig.no_capacity(**{"InstanceMarketOptions.MarketType": "spot"})
    cluster = bench.up(max_workers=1, available_node_types={"worker": {"spot": True}})
    squares(cluster, 5)
    assert "no spot instances to be had, taking on-demand ones" in diary(cluster)
