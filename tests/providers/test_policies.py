"""The policies: those of the page are those of the code, and what they touch is the cluster's."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from jupyter_cluster.config import ClusterConfig, parse
from jupyter_cluster.errors import ClusterError
from jupyter_cluster.providers.aws.needs import Needs, needs_of
from jupyter_cluster.providers.aws.partitions import ALL, CHINA, Partition, of_region
from jupyter_cluster.providers.aws.policies import (
    actions,
    head_policy,
    main,
    owner_policy,
    trust_policy,
)
from jupyter_cluster.providers.aws.tags import ID, Owner

pytestmark = pytest.mark.unit

PAGE = Path(__file__).parents[2] / "docs" / "aws.md"
TOUCHING = ("Terminate", "Stop", "Start", "Delete", "Authorize", "Revoke", "CreateTags")


def test_the_page_has_both() -> None:
    found = [json.loads(text) for text in re.findall(r"```json\n(.*?)```", PAGE.read_text(), re.S)]
    assert found == [owner_policy(), head_policy(Owner("name", "CLUSTER-ID", ""))]


@pytest.mark.parametrize("policy", [owner_policy(), head_policy(Owner("name", "an-id", ""))])
def test_what_changes_something_is_bound_to_the_clusters_tag_or_name(policy: dict) -> None:
    for statement in policy["Statement"]:
        actions = statement["Action"]
        for action in [actions] if isinstance(actions, str) else actions:
            if action.startswith("iam:"):
                assert all(":*:" not in r.rpartition(":")[2] for r in statement["Resource"])
                assert all("jupyter-cluster-" in r for r in statement["Resource"])
            elif any(word in action for word in TOUCHING):
                condition = json.dumps(statement["Condition"])
                assert ID in condition or "ec2:CreateAction" in condition


def test_the_head_touches_its_own_cluster_only() -> None:
    text = json.dumps(head_policy(Owner("name", "an-id", "")))
    assert text.count('"an-id"') == 2
    assert "iam:" not in text


def test_roles_of_workers_are_passed_only_where_there_are_some() -> None:
    roles = ("arn:aws:iam::1:role/reads",)
    policy = head_policy(Owner("name", "an-id", ""), Needs(passed_roles=roles))
    assert policy["Statement"][-1]["Resource"] == list(roles)


def of_file(**node_config: Any) -> Needs:
    """What a cluster with this node_config needs."""
    return needs_of(configuration({}, node_config))


def configuration(provider: dict[str, Any], node_config: dict[str, Any]) -> ClusterConfig:
    one = {"node_config": {"InstanceType": "m5.large", **node_config}}
    content = {
        "cluster_name": "small",
        "provider": {"type": "aws", "region": "us-west-1", **provider},
        "available_node_types": {"one": one},
        "head_node_type": "one",
    }
    return parse(yaml.safe_dump(content))


def disk(**ebs: Any) -> list[dict[str, Any]]:
    return [{"DeviceName": "/dev/sda1", "Ebs": {"VolumeSize": 9, **ebs}}]


def reserved(**target: str) -> dict[str, Any]:
    return {"CapacityReservationSpecification": {"CapacityReservationTarget": target}}


GROUP = "arn:aws:resource-groups:us-west-1:1:group/mine"


@pytest.mark.parametrize(
    ("node_config", "resources"),
    [
        ({"Placement": {"GroupName": "near"}}, ["ec2:*:*:placement-group/*"]),
        ({"Placement": {"HostId": "h-1", "Tenancy": "host"}}, ["ec2:*:*:dedicated-host/*"]),
        (
            {"Placement": {"HostResourceGroupArn": GROUP}},
            ["ec2:*:*:dedicated-host/*", "resource-groups:*:*:group/*"],
        ),
        (reserved(CapacityReservationId="cr-1"), ["ec2:*:*:capacity-reservation/*"]),
        (
            reserved(CapacityReservationResourceGroupArn=GROUP),
            ["ec2:*:*:capacity-reservation/*", "resource-groups:*:*:group/*"],
        ),
        ({"BlockDeviceMappings": disk(SnapshotId="snap-1")}, ["ec2:*::snapshot/*"]),
    ],
)
def test_what_a_file_launches_with_both_may_launch_with(
    node_config: dict[str, Any], resources: list[str]
) -> None:
    needs = of_file(**node_config)
    for policy in (owner_policy(needs), head_policy(Owner("name", "an-id", ""), needs)):
        allowed = [
            resource
            for one in policy["Statement"]
            if "ec2:RunInstances" in one["Action"] and "Condition" not in one
            for resource in one["Resource"]
        ]
        assert allowed[-len(resources) :] == [f"arn:aws:{name}" for name in resources]
    assert of_file() == Needs()


def test_keys_templates_and_further_tags_have_statements_where_the_file_has_them() -> None:
    needs = of_file(
        BlockDeviceMappings=disk(KmsKeyId="alias/mine", Encrypted=True),
        LaunchTemplate={"LaunchTemplateName": "ours"},
        TagSpecifications=[{"ResourceType": "network-interface", "Tags": []}],
    )
    for policy in (owner_policy(needs), head_policy(Owner("name", "an-id", ""), needs)):
        assert {"kms:CreateGrant", "ec2:DescribeLaunchTemplateVersions"} <= {*actions(policy)}
        (tagged,) = [one for one in policy["Statement"] if one["Sid"].startswith("Tag")]
        assert "arn:aws:ec2:*:*:network-interface/*" in tagged["Resource"]
        assert not {"kms:CreateGrant"} & {*actions(owner_policy())}


def test_what_only_a_launch_template_names_is_allowed_too() -> None:
    said = {
        "Placement": {"GroupName": "near"},
        "BlockDeviceMappings": disk(KmsKeyId="alias/mine"),
        "IamInstanceProfile": {"Name": "reads"},
        "LicenseSpecifications": [{"LicenseConfigurationArn": "arn:aws:license-manager:x"}],
    }
    named = configuration({}, {"LaunchTemplate": {"LaunchTemplateName": "ours"}})
    assert needs_of(named, [said]) == replace(of_file(**said), has_template=True)


def test_own_profiles_a_path_and_a_boundary_are_in_the_owners_policy() -> None:
    boundary = "arn:aws:iam::1:policy/bounds"
    made = {"head_role": {"path": "/science/", "permissions_boundary": boundary}}
    profile = {"IamInstanceProfile": {"Arn": "arn:aws:iam::1:instance-profile/x/reads"}}
    policy = owner_policy(needs_of(configuration(made, profile)))
    by_sid = {one["Sid"]: one for one in policy["Statement"]}
    assert "arn:aws:iam::*:role/science/jupyter-cluster-*" in by_sid["RoleOfTheHead"]["Resource"]
    assert "iam:CreateRole" not in by_sid["RoleOfTheHead"]["Action"]
    assert by_sid["RoleWithinItsBoundary"]["Condition"] == {
        "StringEquals": {"iam:PermissionsBoundary": boundary}
    }
    assert "arn:aws:iam::*:instance-profile/reads" in by_sid["OwnProfiles"]["Resource"]
    passed = by_sid["PassRolesOfOwnProfiles"]
    assert passed["Condition"] == {"StringEquals": {"iam:PassedToService": "ec2.amazonaws.com"}}


@pytest.mark.parametrize("partition", ALL)
def test_every_name_is_of_the_partition_of_the_region(partition: Partition) -> None:
    needs = Needs(profiles=("mine",), has_keys=True, launched_with=("ec2:*::snapshot/*",))
    for policy in (
        owner_policy(needs, partition),
        head_policy(Owner("name", "an-id", ""), needs, partition),
    ):
        arns = re.findall(r'"(arn:[^"]*)"', json.dumps(policy))
        assert {arn.split(":")[1] for arn in arns} == {partition.name}
    principal = trust_policy(partition)["Statement"][0]["Principal"]["Service"]
    assert principal == f"ec2.{partition.suffix}"
    assert of_region(partition.first_region) is partition


def test_the_policy_is_printed_for_a_file(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "cluster.yaml"
    file.write_text("cluster_name: a\nprovider: {type: aws, region: cn-north-1}\n")
    main([str(file)])
    assert json.loads(capsys.readouterr().out) == owner_policy(partition=CHINA)
    file.write_text("cluster_name: a\nprovider: {type: local}\n")
    with pytest.raises(ClusterError, match="needs no policy of AWS"):
        main([str(file)])
