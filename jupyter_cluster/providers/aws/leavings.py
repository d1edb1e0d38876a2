"""Everything in an account that any cluster of ours has made, grouped by cluster."""

from __future__ import annotations

import calendar
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from jupyter_cluster.config import ClusterConfig, parse
from jupyter_cluster.providers.aws import tags
from jupyter_cluster.providers.aws.provider import AwsProvider
from jupyter_cluster.providers.aws.service import Service
from jupyter_cluster.providers.aws.tags import Owner

_OURS = [{"Name": "tag-key", "Values": [tags.ID]}]
_GONE = ("terminated", "shutting-down")
_STOPPED = ("stopping", "stopped")


@dataclass
class Leavings:
    """What there is of one cluster.

    Attributes
    ----------
    things : list of str
        For people.
    expires : float
        Until when somebody has said to look after it, as a Unix time; 0 where nobody has.
    is_own : bool
        Whether the credentials of this environment are its owner's.
    is_kept : bool
        Whether it may keep data: its head has stopped, what a cluster does by itself when it is not
        used, or there is a disk that has outlived its instance. It is no orphan for that.
    """

    name: str
    id: str
    owner: str
    things: list[str] = field(default_factory=list)
    expires: float = 0.0
    is_own: bool = False
    is_kept: bool = False

    def is_expired(self, now: float) -> bool:
        """Whether nobody looks after it any more."""
        return now > self.expires

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)


def find(service: Service) -> list[Leavings]:
    """What clusters have in the region and account of a service."""
    found: dict[str, Leavings] = {}
    caller = service.caller()

    def add(row: Mapping[str, Any], thing: str) -> Leavings:
        labels = tags.of(row)
        owner = labels.get(tags.OWNER, "")
        one = found.setdefault(
            labels[tags.ID], Leavings(labels.get(tags.CLUSTER, ""), labels[tags.ID], owner)
        )
        one.is_own = tags.is_of_owner(row, caller)
        one.things.append(thing)
        one.expires = max(one.expires, _moment(labels.get(tags.EXPIRES, "")))
        return one

    for reservation in service.pages("describe_instances", "Reservations", Filters=_OURS):
        for row in reservation["Instances"]:
            state = row["State"]["Name"]
            if state not in _GONE:
                one = add(row, f"instance {row['InstanceId']} ({state})")
                one.is_kept |= tags.of(row).get(tags.KIND) == tags.HEAD and state in _STOPPED
    for row in service.pages("describe_volumes", "Volumes", Filters=_OURS):
        if not row.get("Attachments"):
            add(row, f"volume {row['VolumeId']} ({row['Size']} GB)").is_kept = True
    for row in service.ask("describe_key_pairs", Filters=_OURS)["KeyPairs"]:
        add(row, f"key pair {row['KeyName']}")
    for row in service.ask("describe_security_groups", Filters=_OURS)["SecurityGroups"]:
        add(row, f"security group {row['GroupId']}")
    return sorted(found.values(), key=lambda one: (one.name, one.id))


def _moment(text: str) -> float:
    try:
        return float(calendar.timegm(time.strptime(text, "%Y-%m-%dT%H:%M:%SZ")))
    except ValueError:
        return 0.0


def provider_of(one: Leavings, region: str) -> AwsProvider:
    """Who can end it."""
    return AwsProvider(
        minimal_config(one.name or "lost", region), Owner(one.name, one.id, one.owner)
    )


def minimal_config(name: str, region: str) -> ClusterConfig:
    """A configuration that names no more than where."""
    return parse(
        f"cluster_name: {name}\nprovider: {{type: aws, region: {region}}}\n"
        "available_node_types: {any: {node_config: {InstanceType: m5.large}}}\n"
        "head_node_type: any\n"
    )
