"""The tags by which the instances of a cluster are found again, by any process at any time.

An instance carries them from the moment it exists. EC2 gives all instances of one request the same
tags, so the tag `nodes` lists the nodes of the request, and an instance is the one at its launch
index.
"""

from __future__ import annotations

import hashlib
import json
import re
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

PREFIX = "jupyter-cluster:"
CLUSTER, ID, OWNER = f"{PREFIX}cluster", f"{PREFIX}id", f"{PREFIX}owner"
KIND, TYPE, NODES = f"{PREFIX}kind", f"{PREFIX}node-type", f"{PREFIX}nodes"
STATUS, LAUNCH, EXPIRES = f"{PREFIX}status", f"{PREFIX}launch", f"{PREFIX}expires"

HEAD = "head"
# A tag's value has at most 256 characters.
MAX_VALUE = 256
# So long nobody who is alive may be silent: the head renews the tag each half hour.
EXPIRY_SECONDS = 2 * 3600.0


@dataclass(frozen=True)
class Owner:
    """Whose cluster it is: two people of one account may use one name.

    Attributes
    ----------
    id : str
        Of the cluster, made at `up`.
    arn : str
        The identity that made it.
    """

    name: str
    id: str
    arn: str

    @property
    def label(self) -> str:
        """A name for what can be had once in an account: readable, and the cluster's own."""
        return f"jupyter-cluster-{self.name[:30]}-{self.id}"

    def tags(self) -> dict[str, str]:
        """What everything of this cluster carries."""
        return {CLUSTER: self.name, ID: self.id, OWNER: self.arn[:MAX_VALUE]}

    def launch_tags(self, node_type: str, nodes: Sequence[str], launch: str) -> dict[str, str]:
        """What instances carry from their launch on."""
        kind = HEAD if list(nodes) == [HEAD] else "worker"
        return {
            "Name": f"jupyter-cluster {self.name} {kind}",
            **self.tags(),
            KIND: kind,
            TYPE: node_type,
            NODES: ",".join(nodes),
            STATUS: "requested",
            LAUNCH: launch,
            EXPIRES: moment(time.time() + EXPIRY_SECONDS),
        }

    def filters(self, *states: str) -> list[dict[str, Any]]:
        """For a call that lists what belongs to this cluster."""
        found: list[dict[str, Any]] = [{"Name": f"tag:{ID}", "Values": [self.id]}]
        return found + ([{"Name": "instance-state-name", "Values": [*states]}] if states else [])


def made_with(kind: str, owner: Owner) -> dict[str, Any]:
    """The tags of what is made beside instances, as boto3 takes them for a kind of resource."""
    # Looked after until its instances, which renew that, are there.
    expires = moment(time.time() + EXPIRY_SECONDS)
    named = {"Name": owner.label, **owner.tags(), EXPIRES: expires}
    return {"ResourceType": kind, "Tags": as_list(named)}


def moment(when: float) -> str:
    """A Unix time as people and programs read it."""
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(when))


def as_list(tags: Mapping[str, str]) -> list[dict[str, str]]:
    """As boto3 takes them."""
    return [{"Key": key, "Value": value} for key, value in tags.items()]


# What IAM takes in a tag, which is less than EC2 does: names of people may have a comma.
_NOT_OF_IAM = re.compile(r"[^\w \u00a0.:/=+\-@]")


def for_iam(tags: Mapping[str, str]) -> dict[str, str]:
    """Tags in which IAM finds nothing to refuse.

    >>> for_iam({"owner": "arn:aws:sts::1:assumed-role/lab/doe,jane"})
    {'owner': 'arn:aws:sts::1:assumed-role/lab/doe_jane'}
    """
    return {key: _NOT_OF_IAM.sub("_", value) for key, value in tags.items()}


def of(described: Mapping[str, Any]) -> dict[str, str]:
    """The tags of something that boto3 has described."""
    return {tag["Key"]: tag["Value"] for tag in described.get("Tags", ())}


def person(arn: str) -> str:
    """An identity as a tag has it, without what changes from one session to the next. Pure.

    boto3 names the sessions of a profile with a ``role_arn`` after the moment at which they began;
    other names of sessions, as those of IAM Identity Center, tell people apart.
    """
    return re.sub(r"/botocore-session-\d+$", "", arn[:MAX_VALUE])


def is_of_owner(described: Mapping[str, Any], arn: str) -> bool:
    """Whether something that boto3 has described was made by this identity. Pure."""
    return person(of(described).get(OWNER, "")) == person(arn)


def node_of(instance: Mapping[str, Any]) -> str:
    """Which node of its cluster an instance is; empty where it is none of ours."""
    names = of(instance).get(NODES, "").split(",")
    index = int(instance.get("AmiLaunchIndex", 0))
    return names[index] if index < len(names) else ""


def batches(nodes: Iterable[str], most: int = 50) -> Iterable[list[str]]:
    """Cut a list of nodes so that each part fits into one tag."""
    batch: list[str] = []
    for node in nodes:
        if batch and (len(batch) == most or len(",".join([*batch, node])) > MAX_VALUE):
            yield batch
            batch = []
        batch.append(node)
    if batch:
        yield batch


def launch_hash(*parts: Any) -> str:
    """What an instance was launched with, as a short text: another one means it is outdated."""
    text = json.dumps(parts, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:16]
