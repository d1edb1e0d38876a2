"""The head's permissions: enough for all it does, and each of them needed.

Moto knows actions and neither resources nor conditions, so the policy is tried by its actions; its
conditions are looked at in tests/providers/aws. The pricing service is not moto's.
"""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import boto3
import pytest

from ec2box.bench import REGION, Bench, ssh_key
from jupyter_cluster.errors import ProviderError
from jupyter_cluster.providers.aws import AwsProvider, tags
from jupyter_cluster.providers.aws.policies import actions, head_policy, owner_policy
from jupyter_cluster.providers.aws.service import Service
from jupyter_cluster.providers.aws.tags import Owner

pytestmark = [pytest.mark.ec2box, pytest.mark.timeout(480)]

OWNER = Owner("posters", "0123456789ab", "arn:aws:iam::123456789012:user/somebody")
# The pricing service and Service Quotas are answered without moto; PassRole, and tagging at the
# making of a role, are part of other calls, which moto does not look at; so is stopping here.
NOT_OF_MOTO = {"pricing:GetProducts"}
NOT_OF_MOTO_FOR_OWNERS = NOT_OF_MOTO | {
    "sts:DecodeAuthorizationMessage",
    "servicequotas:GetServiceQuota",
    "iam:PassRole",
    "iam:TagInstanceProfile",
    "iam:TagRole",
    # Asked where something holds the group, and by `gc --all-regions`: no part of a life.
    "ec2:DescribeNetworkInterfaces",
    "ec2:DescribeRegions",
}


class Users:
    """Users of the account with policies of ours."""

    def __init__(self, bench: Bench) -> None:
        self._iam = bench.client("iam")
        self._names: list[tuple[str, str]] = []
        self.admin = self.make("admin", ["*"])
        self._root, self._iam = self._iam, boto3.client("iam", region_name=REGION, **self.admin)

    def make(self, name: str, actions: Iterable[str]) -> dict[str, str]:
        """A user who may do this; returns the credentials."""
        self._iam.create_user(UserName=name)
        key = self._iam.create_access_key(UserName=name)["AccessKey"]
        self._names.append((name, key["AccessKeyId"]))
        self.allow(name, actions)
        return {
            "aws_access_key_id": key["AccessKeyId"],
            "aws_secret_access_key": key["SecretAccessKey"],
        }

    def allow(self, name: str, actions: Iterable[str]) -> None:
        """Let a user do this and nothing else."""
        statement = {"Effect": "Allow", "Action": sorted(actions), "Resource": "*"}
        text = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
        self._iam.put_user_policy(UserName=name, PolicyName="it", PolicyDocument=text)

    def delete(self) -> None:
        """All of them."""
        for name, key in self._names:
            self._root.delete_access_key(UserName=name, AccessKeyId=key)
            self._root.delete_user_policy(UserName=name, PolicyName="it")
            self._root.delete_user(UserName=name)


@contextmanager
def authorised(bench: Bench) -> Iterator[None]:
    """While it lasts, everybody may do what their policies say."""
    bench.rig.authorise(True)
    try:
        yield
    finally:
        bench.rig.authorise(False)


def exercise(provider: AwsProvider, config) -> None:
    """All that a head asks of EC2 in its life."""
    types = provider.node_types(config.node_types())
    assert types["worker"].price is not None
    assert types["worker"].price < 0.1, "the price is not that of the spot market"
    provider.create("worker", ["worker-1"])
    provider.note("ready", ["worker-1"])
    provider.renew()
    provider.terminate(["worker-1"])
    provider.stop_head()


def test_the_heads_policy_is_enough_and_none_of_it_is_too_much(bench: Bench):
    config = bench.config(bench.file(available_node_types={"worker": {"spot": True}}))
    owners = AwsProvider(config, OWNER)
    owners.prepare(ssh_key()[1].decode(), lambda _text: None)
    owners.create_head(1.0)
    permitted = actions(head_policy(OWNER))
    users = Users(bench)
    head = users.make("head", permitted)
    lesser = {
        action: users.make(f"no-{i}", {*permitted} - {action}) for i, action in enumerate(permitted)
    }

    def heads(credentials: dict[str, str]) -> AwsProvider:
        return AwsProvider(config, OWNER, service=Service(REGION, credentials))

    unneeded = []
    with authorised(bench):
        exercise(heads(head), config)
        for action, credentials in lesser.items():
            with contextlib.suppress(ProviderError, AssertionError):
                exercise(heads(credentials), config)
                unneeded.append(action)
            heads(users.admin).terminate(["worker-1"])
    users.delete()
    owners.release(lambda _text: None)
    assert set(unneeded) == NOT_OF_MOTO


def life(provider: AwsProvider, public_key: str, others: Any) -> None:
    """All that an owner asks of AWS from `up` to `down`; `others` may do all."""
    types, _notices = provider.survey()
    assert types["worker"].price is not None
    assert types["worker"].price < 0.1, "the price is not that of the spot market"
    provider.prepare(public_key, lambda _text: None)
    provider.open_ssh(["198.51.100.7/32"])  # from a former address
    provider.open_ssh()
    provider.create_head(time.time())
    assert provider.instances()
    provider.note("up-to-date", ["head"])
    provider.start_head()
    provider.check_release()
    others.create_volume(  # as a disk that outlived its instance
        AvailabilityZone=f"{REGION}a",
        Size=1,
        TagSpecifications=[{"ResourceType": "volume", "Tags": tags.as_list(OWNER.tags())}],
    )
    provider.release(lambda _text: None)


def test_the_owners_policy_is_enough_and_none_of_it_is_too_much(bench: Bench):
    config = bench.config(bench.file(available_node_types={"worker": {"spot": True}}))
    permitted = actions(owner_policy())
    key = ssh_key()[1].decode()
    users = Users(bench)
    owner = users.make("owner", permitted)

    def owners(credentials: dict[str, str]) -> AwsProvider:
        return AwsProvider(config, OWNER, service=Service(REGION, credentials))

    unneeded = []
    others = boto3.client("ec2", region_name=REGION, **users.admin)
    with authorised(bench):
        life(owners(owner), key, others)
        for action in permitted:
            users.allow("owner", {*permitted} - {action})
            with contextlib.suppress(ProviderError, AssertionError):
                life(owners(owner), key, others)
                unneeded.append(action)
            owners(users.admin).release(lambda _text: None)
    users.delete()
    assert set(unneeded) == NOT_OF_MOTO_FOR_OWNERS
