"""What AWS refuses, by its codes: what is done then, and how it is said. Pure.

Sources: AWS's "Error codes for the Amazon EC2 API", "Troubleshoot instance launch issues" and
"StateReason" of its API reference.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


class Then(enum.Enum):
    """What a refused launch is followed by."""

    ELSEWHERE = "the next zone; this one is left alone for a while"
    FEWER = "half as many; where not even one is allowed, the other market"
    OTHER_MARKET = "on-demand instances instead of spot ones"
    SEEN = "nothing: it was launched before and is shown soon"
    ANOTHER_TOKEN = "the same launch again, as a new one"
    STOP = "the user is told"


@dataclass(frozen=True)
class Refusal:
    """A code of EC2's: what follows from it, and what it means to people.

    Attributes
    ----------
    is_quota : bool
        Whether asking for a higher quota helps.
    """

    then: Then
    words: str
    is_quota: bool = False


_ZONE = {
    "InsufficientInstanceCapacity": "there is no capacity of this type in this zone",
    "InsufficientCapacity": "there is no capacity of this type in this zone",
    "UnfulfillableCapacity": "there is no capacity of this type in this zone",
    "InsufficientHostCapacity": "the dedicated hosts in this zone have no room",
    "InsufficientReservedInstanceCapacity": "the reserved instances in this zone are all in use",
    "InsufficientFreeAddressesInSubnet": "the subnet has no free addresses",
    "InsufficientAddressCapacity": "there are no public addresses to be had in this zone",
    "InsufficientVolumeCapacity": "there is no capacity for EBS volumes in this zone",
    "VolumeTypeNotAvailableInZone": "this type of EBS volume is not offered in this zone",
    "SpotMaxPriceTooLow": "the spot price in this zone is above the MaxPrice of node_config",
    "Unsupported": "this configuration is not offered in this zone",
}
_QUOTAS = {
    "VcpuLimitExceeded": "the quota of vCPUs for running instances of this family",
    "InstanceLimitExceeded": "the quota of running instances",
    "MaxSpotInstanceCountExceeded": "the quota of vCPUs for spot instances",
    "VolumeLimitExceeded": "the quota of EBS volume storage",
    "MaxIOPSLimitExceeded": "the quota of EBS throughput",
    "AddressLimitExceeded": "the quota of public addresses",
    "NetworkInterfaceLimitExceeded": "the quota of network interfaces",
    "SecurityGroupLimitExceeded": "the quota of security groups",
    "SecurityGroupsPerInterfaceLimitExceeded": "the quota of security groups of an instance",
    "RulesPerSecurityGroupLimitExceeded": "the quota of rules of a security group",
    "KeyPairLimitExceeded": "the quota of key pairs",
    "LimitExceeded": "a quota of IAM",
}
# One quota is not that of the market alone, and fewer instances do not help there.
_NOT_FEWER = {code for code in _QUOTAS if "Security" in code or code.startswith(("Key", "Limit"))}

REFUSALS: dict[str, Refusal] = {
    **{code: Refusal(Then.ELSEWHERE, words) for code, words in _ZONE.items()},
    **{
        code: Refusal(Then.STOP if code in _NOT_FEWER else Then.FEWER, words, is_quota=True)
        for code, words in _QUOTAS.items()
    },
    "ReservationCapacityExceeded": Refusal(
        Then.FEWER, "the capacity reservation of node_config has no room"
    ),
    "AuthFailure.ServiceLinkedRoleCreationNotPermitted": Refusal(
        Then.OTHER_MARKET,
        "the account has no role for spot instances yet; make it once with"
        " `aws iam create-service-linked-role --aws-service-name spot.amazonaws.com`",
    ),
    "IdempotentParameterMismatch": Refusal(
        Then.SEEN, "it was launched a moment ago, from another cluster YAML"
    ),
    "IdempotentInstanceTerminated": Refusal(
        Then.ANOTHER_TOKEN, "what was launched by the same request has ended"
    ),
    "PendingVerification": Refusal(
        Then.STOP,
        "AWS still checks this account for the region, which takes from minutes to four hours;"
        " it writes an e-mail when it is done",
    ),
    "Blocked": Refusal(
        Then.STOP, "AWS has blocked this account; its support centre says why and what to do"
    ),
    "OptInRequired": Refusal(
        Then.STOP,
        "the account has not subscribed to this: for an image of AWS Marketplace accept its terms"
        " on its page there; for a region enable it under Account, AWS Regions",
    ),
    "InvalidAMIID.NotFound": Refusal(
        Then.STOP, "there is no such image in this region; the ids of images differ by region"
    ),
    "InvalidAMIID.Unavailable": Refusal(
        Then.STOP, "the image was deprecated, or its owner shares it no longer"
    ),
    "InvalidKeyPair.NotFound": Refusal(
        Then.STOP, "there is no such key pair in this region (KeyName, provider.key_pair)"
    ),
    "InvalidSubnetID.NotFound": Refusal(
        Then.STOP, "there is no such subnet in this region (SubnetIds)"
    ),
    "InvalidGroup.NotFound": Refusal(
        Then.STOP, "there is no such security group in the subnet's VPC (SecurityGroupIds)"
    ),
    "InvalidPlacementGroup.Unknown": Refusal(
        Then.STOP, "there is no such placement group in this region (Placement.GroupName)"
    ),
    "InvalidSnapshot.NotFound": Refusal(
        Then.STOP, "there is no such snapshot in this region (BlockDeviceMappings)"
    ),
}

_OTHERWISE = Refusal(Then.STOP, "")

# Codes with which EC2 answers a launch as if it were its own failure, status 500, which botocore
# would repeat for minutes: what a zone has not, it does not have some seconds later either.
NOT_TRANSIENT = frozenset(_ZONE) | frozenset(_QUOTAS)


def refusal(code: str) -> Refusal:
    """What a code means; a stop without words where it is none of the table."""
    return REFUSALS.get(code, _OTHERWISE)


# -- instances that have ended --------------------------------------------------------------------

_ENDED = {
    "Server.InsufficientInstanceCapacity": "there was no capacity for it in its zone",
    "Server.InternalError": "EC2 failed at launching it; another one may come up",
    "Server.ScheduledStop": "AWS has stopped it for maintenance of its host",
    "Server.SpotInstanceShutdown": "AWS has taken the spot instance back (stopped)",
    "Server.SpotInstanceTermination": "AWS has taken the spot instance back",
    "Client.InternalError": (
        "its launch failed for something of the account's, most often an EBS volume with a KMS key"
        " that who launches it may not use: the key's policy must let them, for a worker the"
        " head's role"
    ),
    "Client.InvalidSnapshot.NotFound": (
        "the snapshot of one of its disks does not exist any more (BlockDeviceMappings, or the"
        " image)"
    ),
    "Client.VolumeLimitExceeded": (
        "the account's quota of EBS volume storage is used up; ask for more in Service Quotas, or"
        " take smaller disks (BlockDeviceMappings)"
    ),
    "Client.InstanceInitiatedShutdown": "it has shut itself down",
    "Client.InstanceTerminated": "somebody has ended it through EC2",
    "Client.UserInitiatedShutdown": "somebody has ended it through EC2",
    "Client.UserInitiatedHibernate": "somebody has hibernated it through EC2",
}
NO_CAPACITY = "Server.InsufficientInstanceCapacity"


def why_ended(row: Mapping[str, Any]) -> str:
    """Why an instance has ended, as EC2 describes it; empty where it does not say.

    >>> why_ended({
    ...     "StateReason": {"Code": "Client.UserInitiatedShutdown", "Message": "User initiated"},
    ...     "StateTransitionReason": "User initiated (2026-11-28 07:00:00 GMT)",
    ... })
    'somebody has ended it through EC2 (Client.UserInitiatedShutdown, 2026-11-28 07:00:00 GMT)'
    >>> why_ended({"StateReason": {"Code": "Server.New", "Message": "Server.New: of tomorrow"}})
    'EC2 has ended it: of tomorrow (Server.New)'
    """
    reason = row.get("StateReason") or {}
    code, transition = str(reason.get("Code") or ""), str(row.get("StateTransitionReason") or "")
    if not code and not transition:
        return ""
    _, _, moment = transition.rstrip(")").partition("(")
    said = str(reason.get("Message") or "").removeprefix(code).lstrip(": ")
    words = _ENDED.get(code) or f"EC2 has ended it{': ' + said if said else ''}"
    return f"{words} ({', '.join(part for part in (code or transition, moment) if part)})"
