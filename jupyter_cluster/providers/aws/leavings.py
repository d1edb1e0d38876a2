"""Everything in an account that any cluster of ours has made, grouped by cluster."""

from __future__ import annotations

import calendar
import time
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from typing import Any

import botocore.session
from botocore.exceptions import BotoCoreError

from jupyter_cluster.config import ClusterConfig, parse
from jupyter_cluster.errors import ProviderError
from jupyter_cluster.providers.aws import tags
from jupyter_cluster.providers.aws.provider import AwsProvider
from jupyter_cluster.providers.aws.service import Service
from jupyter_cluster.providers.aws.tags import Owner

_OURS = [{"Name": "tag-key", "Values": [tags.ID]}]
_GONE = ("terminated", "shutting-down")
_STOPPED = ("stopping", "stopped")
# So many regions are asked at the same time.
_AT_ONCE = 8


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
    region : str
        Where it is.
    """

    name: str
    id: str
    owner: str
    things: list[str] = field(default_factory=list)
    expires: float = 0.0
    is_own: bool = False
    is_kept: bool = False
    region: str = ""

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
            labels[tags.ID],
            Leavings(labels.get(tags.CLUSTER, ""), labels[tags.ID], owner, region=service.region),
        )
        one.is_own = tags.is_of_owner(row, caller)
        one.things.append(thing)
        one.expires = max(one.expires, _moment(labels.get(tags.EXPIRES, "")))
        return one

    for reservation in service.pages("describe_instances", "Reservations", Filters=_OURS):
        for row in reservation["Instances"]:
            state = row["State"]["Name"]
            if state not in _GONE:
                kind = tags.of(row).get(tags.KIND, "instance")
                one = add(row, f"{kind} {row['InstanceId']} ({state})")
                one.is_kept |= tags.of(row).get(tags.KIND) == tags.HEAD and state in _STOPPED
    for row in service.pages("describe_volumes", "Volumes", Filters=_OURS):
        if not row.get("Attachments"):
            add(row, f"volume {row['VolumeId']} ({row['Size']} GB)").is_kept = True
    for row in service.ask("describe_key_pairs", Filters=_OURS)["KeyPairs"]:
        add(row, f"key pair {row['KeyName']}")
    for row in service.pages("describe_security_groups", "SecurityGroups", Filters=_OURS):
        add(row, f"security group {row['GroupId']}")
    return sorted(found.values(), key=lambda one: (one.name, one.id))


def _moment(text: str) -> float:
    try:
        return float(calendar.timegm(time.strptime(text, "%Y-%m-%dT%H:%M:%SZ")))
    except ValueError:
        return 0.0


def find_in(
    regions: Iterable[str],
    tell: Callable[[str], None] = lambda _text: None,
    credentials: dict[str, str] | None = None,
) -> list[Leavings]:
    """What clusters have in these regions; `tell` takes a sentence about one that does not answer.

    Raises
    ------
    ProviderError
        None of them answers.
    """
    wanted = list(dict.fromkeys(regions))
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        asked = [(name, pool.submit(_find_in, name, credentials)) for name in wanted]
    found: list[Leavings] = []
    failed: list[ProviderError] = []
    for region, one in asked:
        try:
            found += one.result()
        except ProviderError as error:
            failed.append(error)
            if len(wanted) > 1:
                tell(f"{region} was not looked at: {error}")
    if failed and len(failed) == len(wanted):
        raise failed[0]
    return sorted(found, key=lambda one: (one.name, one.region, one.id))


def _find_in(region: str, credentials: dict[str, str] | None) -> list[Leavings]:
    return find(Service(region, credentials))


def settings_region() -> str:
    """The region of the AWS settings; empty where they name none. Nobody is asked."""
    try:
        return str(botocore.session.get_session().get_config_variable("region") or "")
    except BotoCoreError:  # e.g. a profile that there is not
        return ""


def enabled_regions(region: str | None) -> list[str]:
    """All regions that the account has enabled; `region` is the one that is asked."""
    rows = Service(region or None).ask("describe_regions")["Regions"]
    return sorted(str(row["RegionName"]) for row in rows)


def provider_of(one: Leavings, config: ClusterConfig | None = None) -> AwsProvider:
    """Who can end it; with its own configuration where that is known, which may keep disks."""
    config = config or minimal_config(one.name or "lost", one.region)
    return AwsProvider(config, Owner(one.name, one.id, one.owner))


def minimal_config(name: str, region: str) -> ClusterConfig:
    """A configuration that names no more than where."""
    return parse(
        f"cluster_name: {name}\nprovider: {{type: aws, region: {region}}}\n"
        "available_node_types: {any: {node_config: {InstanceType: m5.large}}}\n"
        "head_node_type: any\n"
    )
