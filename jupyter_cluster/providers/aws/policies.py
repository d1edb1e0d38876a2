"""What a cluster's head and its owner must be allowed, as IAM policies. Pure.

The head may launch instances that carry its cluster's id, and touch instances that do; the owner
may do so with what carries the tag of any cluster. Sources of the condition keys: AWS's "Actions,
resources, and condition keys for Amazon EC2" and "... for AWS Identity and Access Management".

    python -m jupyter_cluster.providers.aws.policies        prints the owner's
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from jupyter_cluster.providers.aws import tags
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


def trust_policy() -> dict[str, Any]:
    """Instances may take the role."""
    allowed = {"Effect": "Allow", "Action": "sts:AssumeRole"}
    return {
        "Version": VERSION,
        "Statement": [{**allowed, "Principal": {"Service": "ec2.amazonaws.com"}}],
    }


def head_policy(owner: Owner, passed_roles: Iterable[str] = ()) -> dict[str, Any]:
    """What the head of a cluster needs, and no more.

    Parameters
    ----------
    passed_roles
        ARNs of the roles that workers get.
    """
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
            "Resource": ["arn:aws:ec2:*:*:instance/*", "arn:aws:ec2:*:*:volume/*"],
            "Condition": {"StringEquals": {f"aws:RequestTag/{tags.ID}": owner.id}},
        },
        {
            "Sid": "LaunchWith",
            "Action": "ec2:RunInstances",
            "Resource": [f"arn:aws:ec2:*:*:{kind}/*" for kind in _LAUNCHED_WITH]
            + ["arn:aws:ec2:*::image/*"],
        },
        {
            "Sid": "TagAtLaunch",
            "Action": "ec2:CreateTags",
            "Resource": ["arn:aws:ec2:*:*:instance/*", "arn:aws:ec2:*:*:volume/*"],
            "Condition": {"StringEquals": {"ec2:CreateAction": "RunInstances"}},
        },
        {
            "Sid": "TouchItsOwn",
            "Action": ["ec2:CreateTags", "ec2:TerminateInstances", "ec2:StopInstances"],
            "Resource": "arn:aws:ec2:*:*:instance/*",
            "Condition": {"StringEquals": {f"aws:ResourceTag/{tags.ID}": owner.id}},
        },
    ]
    if roles := sorted(passed_roles):
        statements.append({"Sid": "PassWorkersRoles", "Action": "iam:PassRole", "Resource": roles})
    return {"Version": VERSION, "Statement": [{"Effect": "Allow", **s} for s in statements]}


def owner_policy() -> dict[str, Any]:
    """What somebody needs to start, use and end clusters; this is the one to paste."""
    named = "arn:aws:iam::*:{}/jupyter-cluster-*"
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
                "ec2:DescribeSecurityGroups",
                "ec2:DescribeSpotPriceHistory",
                "ec2:DescribeSubnets",
                "ec2:DescribeVolumes",
                "pricing:GetProducts",
                "servicequotas:GetServiceQuota",
                "ssm:GetParameters",
            ],
            "Resource": "*",
        },
        {
            "Sid": "MakeWhatIsTagged",
            "Action": ["ec2:RunInstances", "ec2:CreateSecurityGroup", "ec2:ImportKeyPair"],
            "Resource": [f"arn:aws:ec2:*:*:{kind}/*" for kind in made],
            "Condition": to_be_ours,
        },
        {
            "Sid": "MakeItWith",
            "Action": ["ec2:RunInstances", "ec2:CreateSecurityGroup"],
            "Resource": [f"arn:aws:ec2:*:*:{kind}/*" for kind in (*_LAUNCHED_WITH, "vpc")]
            + ["arn:aws:ec2:*::image/*"],
        },
        {
            "Sid": "TagWhatIsMade",
            "Action": "ec2:CreateTags",
            "Resource": [f"arn:aws:ec2:*:*:{kind}/*" for kind in made],
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
                "ec2:RevokeSecurityGroupIngress",
                "ec2:StartInstances",
                "ec2:TerminateInstances",
            ],
            "Resource": [f"arn:aws:ec2:*:*:{kind}/*" for kind in made],
            "Condition": ours,
        },
        {
            "Sid": "RoleOfTheHead",
            "Action": [
                "iam:AddRoleToInstanceProfile",
                "iam:CreateInstanceProfile",
                "iam:CreateRole",
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
    return {"Version": VERSION, "Statement": [{"Effect": "Allow", **s} for s in statements]}


def actions(policy: dict[str, Any]) -> list[str]:
    """All actions that a policy allows, each once."""
    listed = [one["Action"] for one in policy["Statement"]]
    return sorted({a for one in listed for a in ([one] if isinstance(one, str) else one)})


if __name__ == "__main__":
    print(json.dumps(owner_policy(), indent=2))
