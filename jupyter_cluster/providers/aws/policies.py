"""The permissions of a cluster's head, as an IAM policy. Pure.

The head may launch instances that carry its cluster's id, and touch instances that do. Source of
the condition keys: AWS's "Actions, resources, and condition keys for Amazon EC2".
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from jupyter_cluster.providers.aws import tags
from jupyter_cluster.providers.aws.tags import Owner

VERSION = "2012-10-17"


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
            "Resource": [
                f"arn:aws:ec2:*:*:{kind}/*"
                for kind in ("network-interface", "security-group", "subnet", "key-pair")
            ]
            + ["arn:aws:ec2:*::image/*", "arn:aws:ec2:*:*:launch-template/*"],
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
