"""Provider ssh: hosts that are there already, and still are in the end."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest
from helpers import eventually

import jupyter_cluster as jc
from ec2box.bench import Bench, ssh_key
from jupyter_cluster.client import launch
from jupyter_cluster.client.registry import entry
from jupyter_cluster.errors import ClusterError

pytestmark = [pytest.mark.ec2box, pytest.mark.timeout(480)]


@pytest.fixture
def hosts(bench: Bench) -> Iterator[list[str]]:
    """Three hosts of a laboratory, which nobody's cluster has made; their addresses."""
    ec2 = bench.client()
    private, public = ssh_key()
    (bench.folder / "mine.pem").write_bytes(private)
    ec2.import_key_pair(KeyName="mine", PublicKeyMaterial=public)
    group = ec2.create_security_group(GroupName="laboratory", Description="all inside")["GroupId"]
    everything = {"IpProtocol": "-1", "IpRanges": [{"CidrIp": "172.31.0.0/16"}]}
    ec2.authorize_security_group_ingress(GroupId=group, IpPermissions=[everything])
    image = ec2.describe_images()["Images"][0]["ImageId"]
    rows = ec2.run_instances(
        ImageId=image,
        MinCount=3,
        MaxCount=3,
        KeyName="mine",
        InstanceType="m5.large",
        SecurityGroupIds=[group],
    )["Instances"]
    names = [row["InstanceId"] for row in rows]
    eventually(lambda: len(bench.instances("running")) == 3)
    yield [row["PrivateIpAddress"] for row in rows]
    jc.shutdown()
    if entry("laboratory").exists:
        launch.end(entry("laboratory"))
    ec2.terminate_instances(InstanceIds=names)
    ec2.delete_key_pair(KeyName="mine")
    eventually(lambda: not bench.instances())
    ec2.delete_security_group(GroupId=group)


def cluster_file(bench: Bench, hosts: list[str], key: str = "mine.pem"):
    """In Ray's on-premise form, except that it says what provider it is."""
    path = bench.folder / "laboratory.yaml"
    path.write_text(
        f"""
cluster_name: laboratory
idle_timeout_minutes: 0.05
setup_timeout_minutes: 0.5
provider: {{type: ssh, head_ip: {hosts[0]}, worker_ips: [{", ".join(hosts[1:])}]}}
auth: {{ssh_user: ubuntu, ssh_private_key: {bench.folder / key}}}
max_workers: 2
"""
    )
    return path


def where(x: int) -> tuple[int, str]:
    import os

    time.sleep(0.3)
    return x, os.uname().nodename


def test_hosts_are_taken_for_the_work_and_given_back(bench: Bench, hosts: list[str]):
    bench.start(cluster_file(bench, hosts))
    cluster = jc.connect("laboratory")
    assert cluster.nodes() == []
    # Both, and not as many as the work is worth: that may be one, where the other is up too late.
    cluster.scale(min_workers={"host": 2})
    eventually(lambda: [row["state"] for row in cluster.nodes()] == ["ready", "ready"], 90)
    results = cluster.map(where, range(40)).results()
    assert [x for x, _name in results] == list(range(40))
    assert len({name for _x, name in results}) == 2
    cluster.scale(min_workers={"host": 0})
    eventually(lambda: cluster.nodes() == [], 60)
    again = cluster.map(where, range(4)).results()
    assert len(again) == 4
    bench.end("laboratory")
    for row in bench.instances("running"):
        left = bench.rig.run(row["InstanceId"], "pgrep -fa jupyter_cluster || true; ls ~ubuntu -A")
        assert "python" not in left


def test_a_key_that_they_do_not_take_is_named(bench: Bench, hosts: list[str]):
    (bench.folder / "other.pem").write_bytes(ssh_key()[0])
    with pytest.raises(ClusterError, match=r"does not let user 'ubuntu' in with the key .*other"):
        bench.start(cluster_file(bench, hosts, "other.pem"))
    (bench.folder / "other.pem").write_bytes((bench.folder / "mine.pem").read_bytes())


def test_what_sets_a_host_up_ends_with_the_cluster(bench: Bench, hosts: list[str]):
    path = cluster_file(bench, hosts)
    with path.open("a") as file:
        file.write("worker_setup_commands: [echo it begins; exec sleep 98.7654]\n")
    bench.start(path)
    cluster = jc.connect("laboratory")
    cluster.scale(min_workers={"host": 1})
    machines = [row["InstanceId"] for row in bench.instances("running")]

    def found(words: str) -> list[str]:
        return [name for name in machines if bench.rig.run(name, f"pgrep -f '{words}' || true")]

    eventually(lambda: found("[s]leep 98.7654"), 90)
    bench.end("laboratory")
    assert not found("[s]leep 98.7654|[j]upyter_cluster")
