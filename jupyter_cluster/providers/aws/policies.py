"""What a cluster's head and its owner must be allowed, as IAM policies. Pure.

The head may launch instances that carry its cluster's id, and touch instances that do; the owner
may do so with what carries the tag of any cluster. Sources of the condition keys: AWS's "Actions,
resources, and condition keys for Amazon EC2" and "... for AWS Identity and Access Management".

    python -m jupyter_cluster.providers.aws.policies [CLUSTER.yaml]

prints the owner's, with what a cluster file needs besides, in the partition of its region.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable
from typing import Any

from jupyter_cluster.config import ClusterConfig, load
from jupyter_cluster.errors import ClusterError, ProviderError
from jupyter_cluster.providers.aws import partitions, tags
from jupyter_cluster.providers.aws.needs import Needs, needs_of
from jupyter_cluster.providers.aws.partitions import AWS, Partition
from jupyter_cluster.providers.aws.tags import Owner

VERSION = "2012-10-17"
_LAUNCHED_WITH = (
    "network-interface",
    "security-group",
    "subnet",
    "key-pair",
    "launch-template",
    "spot-instances-request",
)


_NOTHING = Needs()


def trust_policy(partition: Partition = AWS) -> dict[str, Any]:
    """Instances may take the role."""
    allowed = {"Effect": "Allow", "Action": "sts:AssumeRole"}
    return {
        "Version": VERSION,
        "Statement": [{**allowed, "Principal": {"Service": partition.ec2}}],
    }


def head_policy(
    owner: Owner, needs: Needs = _NOTHING, partition: Partition = AWS
) -> dict[str, Any]:
    """What the head of a cluster needs, and no more."""
    statements: list[dict[str, Any]] = [
        {
            "Sid": "Look",
            "Action": [
                "ec2:DescribeInstances",
                "ec2:DescribeInstanceTypes",
                "ec2:DescribeImages",
                "ec2:DescribeSubnets",
                "ec2:DescribeSecurityGroups",
                "ec2:DescribeSpotPriceHistory",
                "pricing:GetProducts",
                "ssm:GetParameters",
            ],
            "Resource": "*",
        },
        {
            "Sid": "LaunchWhatIsTagged",
            "Action": "ec2:RunInstances",
            "Resource": _kinds("instance", "volume"),
            "Condition": {"StringEquals": {f"aws:RequestTag/{tags.ID}": owner.id}},
        },
        {
            "Sid": "LaunchWith",
            "Action": "ec2:RunInstances",
            "Resource": _launched_with(_LAUNCHED_WITH, needs),
        },
        {
            "Sid": "TagAtLaunch",
            "Action": "ec2:CreateTags",
            "Resource": _kinds("instance", "volume", *needs.tagged),
            "Condition": {"StringEquals": {"ec2:CreateAction": "RunInstances"}},
        },
        {
            "Sid": "TouchItsOwn",
            "Action": ["ec2:CreateTags", "ec2:TerminateInstances", "ec2:StopInstances"],
            "Resource": "arn:aws:ec2:*:*:instance/*",
            "Condition": {"StringEquals": {f"aws:ResourceTag/{tags.ID}": owner.id}},
        },
    ]
    if needs.passed_roles:
        roles = sorted(needs.passed_roles)
        statements.append({"Sid": "PassWorkersRoles", "Action": "iam:PassRole", "Resource": roles})
    return _policy([*statements, *_besides(needs)], partition)


def owner_policy(needs: Needs = _NOTHING, partition: Partition = AWS) -> dict[str, Any]:
    """What somebody needs to start, use and end clusters; this is the one to paste."""
    named = f"arn:aws:iam::*:{{}}{needs.role_path}jupyter-cluster-*"
    ours = {"Null": {f"aws:ResourceTag/{tags.ID}": "false"}}
    to_be_ours = {"Null": {f"aws:RequestTag/{tags.ID}": "false"}}
    made = ["instance", "volume", "security-group", "key-pair"]
    statements: list[dict[str, Any]] = [
        {
            "Sid": "Look",
            "Action": [
                "ec2:DescribeImages",
                "ec2:DescribeInstanceTypeOfferings",
                "ec2:DescribeInstanceTypes",
                "ec2:DescribeInstances",
                "ec2:DescribeKeyPairs",
                "ec2:DescribeNetworkInterfaces",
                "ec2:DescribeRegions",
                "ec2:DescribeSecurityGroups",
                "ec2:DescribeSpotPriceHistory",
                "ec2:DescribeSubnets",
                "ec2:DescribeVolumes",
                "pricing:GetProducts",
                "servicequotas:GetServiceQuota",
                "ssm:GetParameters",
                "sts:DecodeAuthorizationMessage",
            ],
            "Resource": "*",
        },
        {
            "Sid": "MakeWhatIsTagged",
            "Action": ["ec2:RunInstances", "ec2:CreateSecurityGroup", "ec2:ImportKeyPair"],
            "Resource": _kinds(*made),
            "Condition": to_be_ours,
        },
        {
            "Sid": "MakeItWith",
            "Action": ["ec2:RunInstances", "ec2:CreateSecurityGroup"],
            "Resource": _launched_with((*_LAUNCHED_WITH, "vpc"), needs),
        },
        {
            "Sid": "TagWhatIsMade",
            "Action": "ec2:CreateTags",
            "Resource": _kinds(*made, *needs.tagged),
            "Condition": {
                "StringEquals": {
                    "ec2:CreateAction": ["RunInstances", "CreateSecurityGroup", "ImportKeyPair"]
                }
            },
        },
        {
            "Sid": "TouchWhatIsOurs",
            "Action": [
                "ec2:AuthorizeSecurityGroupIngress",
                "ec2:CreateTags",
                "ec2:DeleteKeyPair",
                "ec2:DeleteSecurityGroup",
                "ec2:DeleteVolume",
                "ec2:RevokeSecurityGroupIngress",
                "ec2:StartInstances",
                "ec2:TerminateInstances",
            ],
            "Resource": _kinds(*made),
            "Condition": ours,
        },
        {
            "Sid": "RoleOfTheHead",
            "Action": [
                "iam:AddRoleToInstanceProfile",
                "iam:CreateInstanceProfile",
                *(["iam:CreateRole"] if not needs.boundary else []),
                "iam:DeleteInstanceProfile",
                "iam:DeleteRole",
                "iam:DeleteRolePolicy",
                "iam:GetInstanceProfile",
                "iam:GetRole",
                "iam:PassRole",
                "iam:PutRolePolicy",
                "iam:RemoveRoleFromInstanceProfile",
                "iam:TagInstanceProfile",
                "iam:TagRole",
            ],
            "Resource": [named.format("role"), named.format("instance-profile")],
        },
    ]
    if needs.boundary:
        statements.append(
            {
                "Sid": "RoleWithinItsBoundary",
                "Action": "iam:CreateRole",
                "Resource": named.format("role"),
                "Condition": {"StringEquals": {"iam:PermissionsBoundary": needs.boundary}},
            }
        )
    return _policy([*statements, *_own_profiles(needs, partition), *_besides(needs)], partition)


def _own_profiles(needs: Needs, partition: Partition) -> Iterable[dict[str, Any]]:
    """The owner reads which roles the user's profiles have, and gives the head its own."""
    if needs.profiles:
        names = [f"arn:aws:iam::*:instance-profile/{name}" for name in needs.profiles]
        paths = [f"arn:aws:iam::*:instance-profile/*/{name}" for name in needs.profiles]
        yield {"Sid": "OwnProfiles", "Action": "iam:GetInstanceProfile", "Resource": names + paths}
        yield {
            "Sid": "PassRolesOfOwnProfiles",
            "Action": "iam:PassRole",
            "Resource": list(needs.passed_roles) or "arn:aws:iam::*:role/*",
            "Condition": {"StringEquals": {"iam:PassedToService": partition.ec2}},
        }


def _besides(needs: Needs) -> Iterable[dict[str, Any]]:
    """Who launches needs these too: the head for workers, the owner for the head."""
    if needs.has_keys:
        yield {
            "Sid": "EncryptedDisks",
            "Action": [
                "kms:CreateGrant",
                "kms:Decrypt",
                "kms:DescribeKey",
                "kms:GenerateDataKeyWithoutPlaintext",
                "kms:ReEncryptFrom",
                "kms:ReEncryptTo",
            ],
            "Resource": "arn:aws:kms:*:*:key/*",
            "Condition": {"StringLike": {"kms:ViaService": "ec2.*.amazonaws.com*"}},
        }
    if needs.has_template:
        yield {
            "Sid": "ReadTemplates",
            "Action": "ec2:DescribeLaunchTemplateVersions",
            "Resource": "*",
        }


def _kinds(*kinds: str) -> list[str]:
    return [f"arn:aws:ec2:*:*:{kind}/*" for kind in kinds]


def _launched_with(kinds: Iterable[str], needs: Needs) -> list[str]:
    more = [f"arn:aws:{resource}" for resource in needs.launched_with]
    return [*_kinds(*kinds), "arn:aws:ec2:*::image/*", *more]


def _policy(statements: Iterable[dict[str, Any]], partition: Partition) -> dict[str, Any]:
    """The statements as a policy, with the ARNs of a partition."""
    listed = [{"Effect": "Allow", **statement} for statement in statements]
    text = json.dumps({"Version": VERSION, "Statement": listed})
    made: dict[str, Any] = json.loads(text.replace('"arn:aws:', f'"arn:{partition.name}:'))
    return made


def actions(policy: dict[str, Any]) -> list[str]:
    """All actions that a policy allows, each once."""
    listed = [one["Action"] for one in policy["Statement"]]
    return sorted({a for one in listed for a in ([one] if isinstance(one, str) else one)})


def _templates(config: ClusterConfig) -> list[dict[str, Any]]:
    """What the launch templates of a file say; who may not read them is told what is missing."""
    named = [one.node_config for one in config.available_node_types.values()]
    named = [one for one in named if one.get("LaunchTemplate")]
    if not named:
        return []
    from jupyter_cluster.providers.aws.service import service_of
    from jupyter_cluster.providers.aws.templates import data_of

    try:
        service = service_of(config)
        return [data_of(service, one) for one in named]
    except ProviderError as error:
        print(
            f"its launch templates cannot be read: {error}. What only they name is missing here:"
            " KMS keys, snapshots, placement groups, dedicated hosts, capacity reservations,"
            " licences, tags, instance profiles",
            file=sys.stderr,
        )
        return []


def main(words: list[str]) -> None:
    """Print the owner's policy, for a cluster file where one is named."""
    if not words:
        policy = owner_policy()
    else:
        config = load(words[0])
        provider: Any = config.provider
        if provider.type != "aws":
            raise ClusterError(f"{words[0]} is for {provider.type}: it needs no policy of AWS")
        needs = needs_of(config, _templates(config))
        policy = owner_policy(needs, partitions.of_region(provider.region))
    print(json.dumps(policy, indent=2))


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except ClusterError as problem:
        sys.exit(str(problem))
