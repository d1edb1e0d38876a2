"""What EC2 refuses and moto would take."""

from __future__ import annotations

from typing import Any

from moto.ec2.exceptions import EC2ClientError
from moto.ec2.models.instance_types import INSTANCE_TYPES

ENDED = ("shutting-down", "terminated")
# What a request says of its network interfaces or of itself, and not of both.
_OF_INTERFACES = (
    "SubnetId",
    "SecurityGroup",
    "PrivateIpAddress",
    "Ipv6Address",
    "SecondaryPrivate",
)


def launched_before(content: str, made: Any, again: str) -> Any:
    """What a request with the same client token has made; it must be the same request."""
    if content != again:
        raise EC2ClientError(
            "IdempotentParameterMismatch",
            "Arguments on this idempotent request are inconsistent with arguments used in previous"
            " request(s).",
        )
    if all(one._state.name in ENDED for one in made.instances):
        raise EC2ClientError(
            "IdempotentInstanceTerminated",
            "The client token is that of an instance that has been terminated.",
        )
    return made


def check_quota(
    backend: Any, count: int, options: dict[str, Any], allowed: dict[bool, float]
) -> None:
    """The greatest number that a request allows is held against the quota."""
    spot = bool(options.get("instance_market_options"))
    wanted = count * _vcpus(options["instance_type"])
    running = sum(
        _vcpus(one.instance_type)
        for reservation in backend.reservations.values()
        for one in reservation.instances
        if one._state.name in ("pending", "running") and (one.lifecycle == "spot") == spot
    )
    if wanted + running > allowed[spot]:
        raise EC2ClientError(
            "MaxSpotInstanceCountExceeded" if spot else "VcpuLimitExceeded",
            "You have requested more vCPU capacity than your current vCPU limit of"
            f" {allowed[spot]:.0f} allows for the instance bucket that the specified instance type"
            " belongs to.",
        )


def _vcpus(kind: str) -> int:
    return int(INSTANCE_TYPES[kind]["VCpuInfo"]["DefaultVCpus"])


def conflict(query: dict[str, str]) -> str:
    """EC2's words about a launch whose parameters exclude one another; empty where none do."""
    if not any(name.startswith("NetworkInterface.") for name in query):
        return ""
    found = [name for name in query if name.startswith(_OF_INTERFACES)]
    if not found:
        return ""
    return (
        "Network interfaces and an instance-level"
        f" {found[0].partition('.')[0]} may not be specified on the same request"
    )
