"""Ways to hosts, and what they are allowed: private addresses, proxies, profiles of workers."""

from __future__ import annotations

import json
import sys

import pytest

from ec2box.bench import Bench

pytestmark = [pytest.mark.ec2box, pytest.mark.timeout(240)]

PROXY = """
import os, socket, sys, threading

there = socket.create_connection((sys.argv[1], int(sys.argv[2])))

def away():
    while data := os.read(0, 65536):
        there.sendall(data)
    there.shutdown(socket.SHUT_WR)

threading.Thread(target=away, daemon=True).start()
with open(__file__ + ".used", "a") as file:
    file.write(sys.argv[1] + chr(10))
while data := there.recv(65536):
    os.write(1, data)
"""


def role(_x: int) -> str:
    """The role that the node's metadata service gives."""
    import urllib.request

    base = "http://169.254.169.254/latest"
    headers = {"X-aws-ec2-metadata-token-ttl-seconds": "60"}
    ask = urllib.request.Request(f"{base}/api/token", headers=headers, method="PUT")
    token = urllib.request.urlopen(ask, timeout=5).read().decode()
    path = f"{base}/meta-data/iam/security-credentials/"
    ask = urllib.request.Request(path, headers={"X-aws-ec2-metadata-token": token})
    return urllib.request.urlopen(ask, timeout=5).read().decode()


def test_private_addresses_through_a_proxy_command(bench: Bench):
    script = bench.folder / "proxy.py"
    script.write_text(PROXY)
    cluster = bench.up(
        max_workers=1,
        provider={"use_internal_ips": True},
        auth={"ssh_proxy_command": f"{sys.executable} {script} %h %p"},
    )
    assert cluster.map(abs, [-1]).results() == [1]
    rows = bench.instances()
    assert not any(row.get("PublicIpAddress") for row in rows)
    head = next(row for row in rows if row["InstanceId"] == bench.head())
    used = (bench.folder / "proxy.py.used").read_text().split()
    assert set(used) == {head["PrivateIpAddress"]}


def test_tasks_have_the_profile_that_the_user_gives_to_workers(bench: Bench):
    iam = bench.client("iam")
    trust = {"Statement": [{"Effect": "Allow", "Principal": {"Service": "ec2.amazonaws.com"}}]}
    iam.create_role(RoleName="reads", AssumeRolePolicyDocument=json.dumps(trust))
    iam.create_instance_profile(InstanceProfileName="reads")
    iam.add_role_to_instance_profile(InstanceProfileName="reads", RoleName="reads")
    try:
        profile = {"node_config": {"IamInstanceProfile": {"Name": "reads"}}}
        cluster = bench.up(max_workers=1, available_node_types={"worker": profile})
        assert cluster.map(role, [0]).results() == ["reads"]
        name = f"jupyter-cluster-posters-{cluster.status()['id']}"
        policy = iam.get_role_policy(RoleName=name, PolicyName="head")["PolicyDocument"]
        passed = [one for one in policy["Statement"] if one["Action"] == "iam:PassRole"]
        assert passed[0]["Resource"] == ["arn:aws:iam::123456789012:role/reads"]
    finally:
        iam.remove_role_from_instance_profile(InstanceProfileName="reads", RoleName="reads")
        iam.delete_instance_profile(InstanceProfileName="reads")
        iam.delete_role(RoleName="reads")
