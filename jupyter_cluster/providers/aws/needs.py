"""What a cluster YAML needs to be allowed beyond what every cluster does. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from jupyter_cluster.config import ClusterConfig

# Resources of RunInstances by what of a node_config brings them in.
_PLACEMENT_GROUP = "ec2:*:*:placement-group/*"
_DEDICATED_HOST = "ec2:*:*:dedicated-host/*"
_RESERVATION = "ec2:*:*:capacity-reservation/*"
_RESOURCE_GROUP = "resource-groups:*:*:group/*"
_LICENCE = "license-manager:*:*:license-configuration:*"
_SNAPSHOT = "ec2:*::snapshot/*"  # snapshots have no account in their ARNs


@dataclass(frozen=True)
class Needs:
    """What only some clusters need.

    Attributes
    ----------
    launched_with : tuple of str
        Resources of RunInstances, as ARNs without ``arn:PARTITION:``.
    tagged : tuple of str
        Kinds of resource that the user tags at launch, beside instances and volumes.
    has_keys : bool
        Whether disks are encrypted with KMS keys.
    has_template : bool
        Whether there is a launch template.
    profiles : tuple of str
        Names of the user's own instance profiles.
    passed_roles : tuple of str
        ARNs of the roles of these, where they are known.
    role_path, boundary : str
        Path of the head's role, and the ARN of its permissions boundary.
    """

    launched_with: tuple[str, ...] = ()
    tagged: tuple[str, ...] = ()
    has_keys: bool = False
    has_template: bool = False
    profiles: tuple[str, ...] = ()
    passed_roles: tuple[str, ...] = ()
    role_path: str = "/"
    boundary: str = ""


def needs_of(config: ClusterConfig, templates: Iterable[Mapping[str, Any]] = ()) -> Needs:
    """What a configuration needs.

    Parameters
    ----------
    templates
        What its launch templates say: of these only AWS can tell.
    """
    provider: Any = config.provider
    written = [one.node_config for one in config.available_node_types.values()]
    written += map(dict, templates)
    profiles = {profile for one in written if (profile := profile_of(one))}
    if provider.head_instance_profile:
        profiles.add(provider.head_instance_profile)
    disks = [disk for one in written for disk in disks_of(one)]
    return Needs(
        launched_with=tuple(sorted({arn for one in written for arn in _resources(one)})),
        tagged=tuple(sorted({kind for one in written for kind in _tagged(one)})),
        has_keys=any(disk.get("KmsKeyId") or disk.get("Encrypted") for disk in disks),
        has_template=any(one.get("LaunchTemplate") for one in written),
        profiles=tuple(sorted(profile.rpartition("/")[2] for profile in profiles)),
        role_path=provider.head_role.path,
        boundary=provider.head_role.permissions_boundary or "",
    )


def profile_of(node_config: Mapping[str, Any]) -> str:
    """Name or ARN of the instance profile of a node_config; empty where it has none."""
    written = node_config.get("IamInstanceProfile") or {}
    return str(written.get("Arn") or written.get("Name") or "")


def _resources(node_config: Mapping[str, Any]) -> Iterator[str]:
    placement = node_config.get("Placement") or {}
    if placement.get("GroupName") or placement.get("GroupId"):
        yield _PLACEMENT_GROUP
    if placement.get("HostId") or placement.get("Tenancy") == "host":
        yield _DEDICATED_HOST
    if placement.get("HostResourceGroupArn"):
        yield from (_DEDICATED_HOST, _RESOURCE_GROUP)
    reserved = node_config.get("CapacityReservationSpecification") or {}
    target = reserved.get("CapacityReservationTarget") or {}
    if target:
        yield _RESERVATION
    if target.get("CapacityReservationResourceGroupArn"):
        yield _RESOURCE_GROUP
    if node_config.get("LicenseSpecifications"):
        yield _LICENCE
    if any(disk.get("SnapshotId") for disk in disks_of(node_config)):
        yield _SNAPSHOT


def disks_of(node_config: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """The EBS part of each disk that a node_config names."""
    return [one.get("Ebs") or {} for one in node_config.get("BlockDeviceMappings") or ()]


def _tagged(node_config: Mapping[str, Any]) -> set[str]:
    kinds = {str(one.get("ResourceType")) for one in node_config.get("TagSpecifications") or ()}
    return kinds - {"instance", "volume"}
