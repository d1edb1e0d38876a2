"""Ways to hosts, and what they are allowed: private addresses, proxies, profiles of workers."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
from helpers import eventually

import jupyter_cluster as jc
from ec2box.bench import Bench, ssh_key
from jupyter_cluster.client.registry import entry

pytestmark = [pytest.mark.ec2box, pytest.mark.timeout(480)]


@pytest.fixture
def bastion(bench: Bench) -> Iterator[str]:
    """A host in the VPC through which alone the others are reached; the command that leads there.

    The address of who starts the cluster is not the one that its head sees.
    """
    ec2 = bench.client()
    private, public = ssh_key()
    key = bench.folder / "bastion.pem"
    key.write_bytes(private)
    key.chmod(0o600)
    ec2.import_key_pair(KeyName="bastion", PublicKeyMaterial=public)
    group = ec2.create_security_group(GroupName="bastion", Description="the way in")["GroupId"]
    rule = {"IpProtocol": "tcp", "FromPort": 22, "ToPort": 22}
    everybody = {**rule, "IpRanges": [{"CidrIp": "0.0.0.0/0"}]}
    ec2.authorize_security_group_ingress(GroupId=group, IpPermissions=[everybody])
    row = ec2.run_instances(
        ImageId=ec2.describe_images()["Images"][0]["ImageId"],
        MinCount=1,
        MaxCount=1,
        KeyName="bastion",
        InstanceType="m5.large",
        SecurityGroupIds=[group],
    )["Instances"][0]
    bench.rig.only_through(row["PrivateIpAddress"])
    yield (
        f"ssh -i {key} -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null"
        f" -o BatchMode=yes -o ConnectTimeout=5 -W %h:%p ubuntu@{row['PrivateIpAddress']}"
    )
    if entry("posters").exists:
        bench.end()
    ec2.terminate_instances(InstanceIds=[row["InstanceId"]])
    ec2.delete_key_pair(KeyName="bastion")
    eventually(lambda: not bench.instances())
    ec2.delete_security_group(GroupId=group)


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


def test_private_addresses_through_a_bastion(bench: Bench, bastion: str):
    cluster = bench.up(
        max_workers=1,
        provider={"use_internal_ips": True},
        auth={"ssh_proxy_command": bastion},
    )
    assert cluster.map(abs, [-1]).results() == [1]
    rows = bench.instances(cluster="posters")
    assert len(rows) == 2
    assert not any(row.get("PublicIpAddress") for row in rows)
    # Each way to the head goes there: of a terminal, of a program, of one who comes again.
    assert bench.command("exec", "posters", "hostname").stdout.startswith("ip-172-31-")
    jc.shutdown()
    assert jc.connect("posters").map(abs, [-2]).results() == [2]


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
