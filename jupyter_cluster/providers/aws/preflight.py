"""What would go wrong later is said before anything is launched."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from jupyter_cluster.errors import ProviderError, QuotaError
from jupyter_cluster.providers.aws.kinds import Kind, kinds, quota, zones_of
from jupyter_cluster.providers.aws.service import Service


@dataclass(frozen=True)
class Wanted:
    """What a cluster may launch of a node type: so many at most, in these zones."""

    node_type: str
    kind: Kind
    spot: bool
    most: int
    zones: Sequence[str]


def check(service: Service, head: Kind, wanted: Sequence[Wanted], max_workers: int) -> list[str]:
    """Ask AWS whether this can be had; returns sentences for the user about what is scarce.

    Parameters
    ----------
    head
        What the head will be, on demand.

    Raises
    ------
    ProviderError
        A type is offered in none of its zones.
    QuotaError
        The account may not even run one of a type, or not the head beside what runs.
    """
    offered = zones_of(service, {one.kind.name for one in wanted})
    notices = [text for one in wanted for text in zone_notices(one, offered[one.kind.name])]
    # Where there are no spot instances, on-demand ones are taken.
    markets = [(one.kind, spot) for one in wanted for spot in {one.spot, False}]
    codes = {(kind.quota_code(spot), spot): kind for kind, spot in markets}
    quotas = {code: quota(service, kind, spot) for (code, spot), kind in codes.items()}
    taken = with_head(head, quotas, in_use(service))
    workers = [one for one in wanted if one.most]
    return notices + [
        text for one in workers for text in quota_notices(one, quotas, max_workers, taken)
    ]


def in_use(service: Service) -> Counter[str]:
    """vCPUs that run in the account already, by the quota that they count for."""
    running = [{"Name": "instance-state-name", "Values": ["pending", "running"]}]
    rows = [
        row
        for reservation in service.pages("describe_instances", "Reservations", Filters=running)
        for row in reservation["Instances"]
    ]
    found: Counter[str] = Counter()
    try:
        sizes = kinds(service, {row["InstanceType"] for row in rows}) if rows else {}
    except ProviderError:  # one that is not offered any more: nobody knows
        return found
    for row in rows:
        kind = sizes[row["InstanceType"]]
        found[kind.quota_code(row.get("InstanceLifecycle") == "spot")] += kind.vcpus
    return found


def with_head(
    head: Kind, quotas: Mapping[str, float | None], running: Mapping[str, int]
) -> dict[str, int]:
    """What is taken of each quota once the head runs. Pure.

    Raises
    ------
    QuotaError
        It cannot run beside what runs already.
    """
    code = head.quota_code(False)
    used, allowed = running.get(code, 0), quotas.get(code)
    if allowed is not None and allowed < used + head.vcpus:
        single = "a single" if allowed < head.vcpus else "one more"
        raise QuotaError(
            f"the head: the account may not run {single} {head.name} ({head.vcpus} vCPUs; quota"
            f" {code} of Service Quotas: {allowed:.0f} vCPUs of on-demand instances, {used} of them"
            " run already); ask for more there"
        )
    return {**running, code: used + head.vcpus}


def zone_notices(wanted: Wanted, offered: Iterable[str]) -> list[str]:
    """About zones that do not offer a type.

    Raises
    ------
    ProviderError
        None of them does.
    """
    missing = sorted(set(wanted.zones) - set(offered))
    if not missing:
        return []
    if set(missing) == set(wanted.zones):
        there = ", ".join(sorted(offered)) or "none of this region"
        raise ProviderError(
            f"{wanted.node_type}: {wanted.kind.name} is not offered in {', '.join(missing)}; the"
            f" zones that have it: {there}"
        )
    zones = ", ".join(missing)
    return [f"{wanted.node_type}: {wanted.kind.name} is not offered in {zones}, other zones serve"]


def quota_notices(
    wanted: Wanted,
    quotas: Mapping[str, float | None],
    max_workers: int,
    taken: Mapping[str, int],
) -> list[str]:
    """About quotas that end before the cluster's own limits do.

    Parameters
    ----------
    taken
        vCPUs of each quota that are the head's, or run already.

    Raises
    ------
    QuotaError
        Not even one instance of the type is allowed.
    """
    code = wanted.kind.quota_code(wanted.spot)
    allowed = quotas.get(code)
    if allowed is None:
        return []
    kind, what = wanted.kind, "spot" if wanted.spot else "on-demand"
    where = f"quota {code} of Service Quotas: {allowed:.0f} vCPUs of {what} instances"
    if used := taken.get(code, 0):
        where += f", {used} of them for the head and what runs already"
    if allowed < kind.vcpus and wanted.spot:
        on_demand = quota_notices(replace(wanted, spot=False), quotas, max_workers, taken)
        return [
            f"{wanted.node_type}: the account may not run a single {kind.name} as a spot instance"
            f" ({where}); on-demand ones are taken",
            *on_demand,
        ]
    if allowed < kind.vcpus:
        raise QuotaError(
            f"{wanted.node_type}: the account may not run a single {kind.name}"
            f" ({kind.vcpus} vCPUs; {where}); ask for more there"
        )
    count, most = max(0, int((allowed - used) // kind.vcpus)), min(wanted.most, max_workers)
    if count >= most:
        return []
    return [f"{wanted.node_type}: enough for {count} of {most} {kind.name} ({where})"]
