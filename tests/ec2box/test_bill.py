"""No surprise on the bill: what ends by itself, with the laptop off."""

from __future__ import annotations

import time

import pytest
from helpers import eventually

import jupyter_cluster as jc
from ec2box.bench import Bench
from jupyter_cluster.client.endpoint import Endpoint
from jupyter_cluster.client.registry import entry
from jupyter_cluster.errors import ConnectionLostError

pytestmark = [pytest.mark.ec2box, pytest.mark.timeout(480)]


def square(x: int) -> int:
    time.sleep(0.1)
    return x * x


def test_an_unused_cluster_stops_with_its_results_and_connect_has_them(bench: Bench):
    cluster = bench.up(max_workers=1, cluster_idle_timeout_minutes=0.1)
    cluster.map(square, range(5), name="squares").results()
    head = bench.head()
    jc.shutdown()
    eventually(lambda: bench.instances("stopped"), 60)
    eventually(lambda: [row["InstanceId"] for row in bench.instances()] == [head])
    assert jc.connect("posters").job("squares").results() == [0, 1, 4, 9, 16]


def test_an_unused_cluster_without_results_ends_and_another_is_not_launched_unasked(bench: Bench):
    path = bench.file(cluster_idle_timeout_minutes=0.05)
    bench.start(path)
    jc.shutdown()
    eventually(lambda: not bench.instances(), 60)
    assert "no answer" in bench.command("list").stdout
    done = bench.command("up", str(path))
    assert "USD per hour" in done.stdout
    assert "Nobody can be asked here" in done.stderr
    assert not bench.instances()


def test_a_budget_ends_the_cluster_and_keeps_what_is_done(bench: Bench):
    cluster = bench.up(max_workers=1, budget=0.004)
    job = cluster.map(square, range(100_000), name="squares")
    eventually(lambda: job.done > 3, 60)
    eventually(lambda: bench.instances("stopped"), 150)
    eventually(lambda: len(bench.instances()) == 1)
    with pytest.raises(ConnectionLostError, match="has stopped and keeps its results: `connect`"):
        job.results()


def test_a_worker_whose_setup_never_ends_is_ended_by_its_own_host(bench: Bench):
    cluster = bench.up(
        max_workers=1, setup_timeout_minutes=0.8, worker_setup_commands=["sleep 1000"]
    )
    cluster.map(square, range(3))
    eventually(lambda: any(row["state"] == "setting-up" for row in cluster.nodes()), 60)
    bench.rig.power_cut(bench.head(), "terminated")
    jc.shutdown()
    eventually(lambda: not bench.workers(), 90)


def test_disks_go_with_their_instances_or_with_the_cluster(bench: Bench):
    mappings = [
        {"DeviceName": "/dev/sda1", "Ebs": {"VolumeSize": 50}},
        {"DeviceName": "/dev/sdf", "Ebs": {"VolumeSize": 500, "VolumeType": "gp3"}},
    ]
    types = {"worker": {"node_config": {"BlockDeviceMappings": mappings}}}
    cluster = bench.up(max_workers=1, available_node_types=types)
    cluster.map(square, range(1)).results()
    # One more, as a launch template makes it that says so.
    ec2, head = bench.client(), bench.instances(kind="head")[0]
    left = ec2.create_volume(
        AvailabilityZone=head["Placement"]["AvailabilityZone"],
        Size=10,
        TagSpecifications=[{"ResourceType": "volume", "Tags": head["Tags"]}],
    )
    ec2.attach_volume(VolumeId=left["VolumeId"], InstanceId=head["InstanceId"], Device="/dev/sdz")
    assert sorted(row["Size"] for row in ec2.describe_volumes()["Volumes"]) == [10, 50, 100, 500]
    bench.end()
    assert not bench.left_over()


def test_whatever_becomes_of_down_the_machines_end(bench: Bench):
    cluster = bench.up(max_workers=1)
    cluster.map(square, range(2)).results()
    jc.shutdown()
    refusals = [
        ("DescribeInstances", "RequestExpired", "credentials have expired"),
        ("TerminateInstances", "UnauthorizedOperation", "may not do TerminateInstances"),
    ]
    for operation, code, words in refusals:
        bench.rig.fault(operation, code, times=-1)
        done = bench.command("down", "posters", "-y")
        bench.rig.no_faults()
        assert words in done.stderr
        assert Endpoint(entry("posters")).get("status")["state"] == "running"  # as if not asked
    # The laptop is gone as soon as it has told the head.
    Endpoint(entry("posters")).post("down")
    eventually(lambda: not bench.instances(), 60)


def test_a_head_whose_process_has_gone_is_switched_off_and_keeps_its_disk(bench: Bench):
    bench.start(bench.file())
    head, watch = bench.head(), "/usr/local/sbin/jupyter-cluster-guard"
    hurry = "s/limit=[0-9]*/limit=5/; s/while sleep [0-9]*/while sleep 1/"  # half an hour else
    bench.rig.run(head, "pkill -f '[j]upyter-cluster-guard'")
    bench.rig.run(head, f"sed -i '{hurry}' {watch}")
    bench.rig.run(head, f"setsid {watch} </dev/null >/dev/null 2>&1 &")
    bench.rig.run(
        head, "pkill -KILL -f '[n]odes.keeper' && pkill -KILL -f '[j]upyter_cluster.head'"
    )
    eventually(lambda: [row["InstanceId"] for row in bench.instances("stopped")] == [head], 60)


def test_a_worker_that_hangs_is_given_up_and_its_tasks_go_elsewhere(bench: Bench):
    cluster = bench.up(max_workers=2)
    job = cluster.map(square, range(600))
    eventually(lambda: job.done > 5, 60)
    bench.rig.freeze(next(iter(bench.workers().values())))
    assert job.results() == [x * x for x in range(600)]


def test_the_cost_has_head_disks_and_addresses(bench: Bench):
    cluster = bench.up(max_workers=1)
    cluster.map(square, range(2)).results()
    cost = cluster.cost()
    # m5.large 0.112, 100 GB of gp3 for an hour, a public address
    each = 0.112 + 100 * 0.08 / 730 + 0.005
    assert cost["per_hour"] == pytest.approx(2 * each, rel=1e-3)
    assert cost["head"]["price"] == pytest.approx(each, rel=1e-3)
    assert 0 < cost["so_far"] < 0.01
    (node,) = cluster.nodes()
    assert 0 < node["cost"] < 0.01
