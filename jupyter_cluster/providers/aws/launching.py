"""The arguments of RunInstances, from the cluster YAML. Pure."""

from __future__ import annotations

import email
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from email.mime.multipart import MIMEMultipart
from email.mime.text import MIMEText
from typing import Any

from jupyter_cluster.providers.aws import tags
from jupyter_cluster.providers.aws.foundation import Subnet

# Set by the cluster; a node_config that has them is refused or overruled.
_OURS = (
    "MinCount",
    "MaxCount",
    "SubnetId",
    "SubnetIds",
    "ImageId",
    "UserData",
    "TagSpecifications",
)
# EC2 takes these of a request or of its network interfaces, and not of both; by their names there.
_OF_INTERFACE = {
    "PrivateIpAddress": "PrivateIpAddress",
    "Ipv6AddressCount": "Ipv6AddressCount",
    "Ipv6Addresses": "Ipv6Addresses",
    "EnablePrimaryIpv6": "PrimaryIpv6",
}
_GROUPS = ("SecurityGroups", "SecurityGroupIds")
# Kinds of user data by how they begin; everything else is a script (cloud-init's "User-data
# formats").
_USER_DATA = {
    "#cloud-config": "cloud-config",
    "#include": "x-include-url",
    "#cloud-boothook": "cloud-boothook",
    "#part-handler": "part-handler",
}


@dataclass(frozen=True)
class Plan:
    """What all instances of a node type have in common.

    Attributes
    ----------
    node_config : mapping
        As in the YAML.
    image, root_device, root_gb
        The AMI, its root device and how large that is to be.
    kept_disks
        Devices of the AMI that would stay when their instance ends.
    groups : sequence of str
        Ids of security groups: the cluster's and those of the node_config.
    profile : str
        Name or ARN of an instance profile; empty for none.
    """

    node_type: str
    node_config: Mapping[str, Any]
    image: str
    root_device: str
    root_gb: int
    groups: Sequence[str]
    key_name: str
    user_data: str
    profile: str
    is_internal: bool
    is_head: bool
    kept_disks: Sequence[str] = ()

    @property
    def hash(self) -> str:
        """What tells whether a running instance is as one would be launched now."""
        return tags.launch_hash(dict(self.node_config), self.image, self.key_name, self.is_internal)


def run_arguments(
    plan: Plan,
    subnet: Subnet,
    nodes: Sequence[str],
    labels: Mapping[str, str],
    spot: bool,
    token: str,
) -> dict[str, Any]:
    """All arguments of one request for as many instances as there are nodes."""
    moved = (*_OURS, *_GROUPS, *_OF_INTERFACE, "MetadataOptions", "NetworkInterfaces")
    config = {k: v for k, v in plan.node_config.items() if k not in moved}
    metadata = {"HttpTokens": "required", "HttpPutResponseHopLimit": 1}
    arguments: dict[str, Any] = {
        "KeyName": plan.key_name,
        **config,
        "MetadataOptions": {**metadata, **plan.node_config.get("MetadataOptions", {})},
        "NetworkInterfaces": _interfaces(plan, subnet),
        "BlockDeviceMappings": _disks(plan),
        "ImageId": plan.image,
        "UserData": joined(plan.user_data, plan.node_config.get("UserData")),
        "MinCount": 1,
        "MaxCount": len(nodes),
        "ClientToken": token,
        # A worker that shuts down is gone; a head keeps its disk, where results may wait.
        "InstanceInitiatedShutdownBehavior": "stop" if plan.is_head else "terminate",
        "TagSpecifications": _specifications(plan, labels, spot),
    }
    if plan.profile:
        arguments["IamInstanceProfile"] = _profile(plan.profile)
    elif plan.is_head:
        arguments.pop("IamInstanceProfile", None)
    market = config.get("InstanceMarketOptions", {})
    if spot:
        arguments["InstanceMarketOptions"] = _market(market)
    elif is_spot(plan.node_config):
        del arguments["InstanceMarketOptions"]
    return arguments


def is_spot(node_config: Mapping[str, Any]) -> bool:
    """Whether it asks for spot instances in EC2's words, as files of Ray's do."""
    options = node_config.get("InstanceMarketOptions") or {}
    return options.get("MarketType") == "spot"


def subnets_of(node_config: Mapping[str, Any]) -> tuple[str, ...]:
    """The subnets that it names, in whichever of the ways."""
    first: Mapping[str, Any] = next(iter(node_config.get("NetworkInterfaces") or ()), {})
    one = node_config.get("SubnetId") or first.get("SubnetId")
    return tuple(node_config.get("SubnetIds") or ((one,) if one else ()))


def _disks(plan: Plan) -> list[dict[str, Any]]:
    """Those of the node_config, or one; each goes with its instance unless it says otherwise.

    EC2 by itself keeps all but the first, and what an image has, as the image says.
    """
    root = {
        "Ebs": {"VolumeSize": plan.root_gb, "VolumeType": "gp3"},
        "DeviceName": plan.root_device,
    }
    written = [dict(one) for one in plan.node_config.get("BlockDeviceMappings") or [root]]
    named = {one.get("DeviceName") for one in written}
    written += [{"DeviceName": one, "Ebs": {}} for one in plan.kept_disks if one not in named]
    for one in written:
        if "Ebs" in one:
            one["Ebs"] = {"DeleteOnTermination": True, **one["Ebs"]}
    return written


def _market(written: Mapping[str, Any]) -> dict[str, Any]:
    """A request for spot instances that ends with its instances: a persistent one launches others
    for as long as nobody cancels it, which carry no tags of ours."""
    options = {
        key: value
        for key, value in (written.get("SpotOptions") or {}).items()
        if key not in ("SpotInstanceType", "InstanceInterruptionBehavior", "ValidUntil")
    }
    rest = {key: value for key, value in written.items() if key != "SpotOptions"}
    return {**rest, "MarketType": "spot", **({"SpotOptions": options} if options else {})}


def _interfaces(plan: Plan, subnet: Subnet) -> list[dict[str, Any]]:
    """The network interfaces: those of the node_config, or one, with what they lack filled in."""
    config = plan.node_config
    given: Sequence[Mapping[str, Any]] = config.get("NetworkInterfaces") or ({},)
    written = [dict(one) for one in given]
    for index, one in enumerate(written):
        if "NetworkInterfaceId" in one:  # it exists, and is as it is
            continue
        one.setdefault("DeviceIndex", index)
        one.setdefault("SubnetId", subnet.id)
        one["DeleteOnTermination"] = True  # one that stays would keep the cluster's group
        one["Groups"] = list(dict.fromkeys((*plan.groups, *one.get("Groups", ()))))
        if len(written) == 1:  # EC2 gives public addresses to instances with one interface
            one.setdefault("AssociatePublicIpAddress", not plan.is_internal)
    moved = {ours: config[name] for name, ours in _OF_INTERFACE.items() if name in config}
    written[0] = {**moved, **written[0]}
    return written


def _profile(named: str) -> dict[str, str]:
    return {"Arn" if named.startswith("arn:") else "Name": named}


def _specifications(plan: Plan, labels: Mapping[str, str], spot: bool) -> list[dict[str, Any]]:
    """The user's tags and ours, of which ours win, on the instance and on its disks."""
    written = {
        row["ResourceType"]: {tag["Key"]: tag["Value"] for tag in row.get("Tags", ())}
        for row in plan.node_config.get("TagSpecifications", ())
    }
    if not spot:  # there is no such request then
        written.pop("spot-instances-request", None)
    for kind in ("instance", "volume"):
        written[kind] = {**written.get(kind, {}), **labels}
    return [{"ResourceType": kind, "Tags": tags.as_list(all_)} for kind, all_ in written.items()]


def client_token(*parts: str) -> str:
    """The same parts give the same token, for which EC2 makes instances once only."""
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:48]


def joined(ours: str, users: Any) -> str:
    """Our user data and the user's, as cloud-init takes several (its "MIME multi-part archive")."""
    if not users:
        return ours
    archive = MIMEMultipart()
    for text in (ours, str(users)):
        if text.lstrip().startswith(("Content-Type:", "MIME-Version:")):  # an archive itself
            archive.attach(email.message_from_string(text.lstrip()))
            continue
        kinds = (kind for start, kind in _USER_DATA.items() if text.startswith(start))
        archive.attach(MIMEText(text, next(kinds, "x-shellscript")))
    return archive.as_string()
