"""The arguments of RunInstances, from the cluster YAML. Pure."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from email.mime.multipart import MIMEMultipart
from email.mime.text import MIMEText
from typing import Any

from jupyter_cluster.providers.aws import tags
from jupyter_cluster.providers.aws.foundation import Subnet

# Set by the cluster; a node_config that has them is refused or overruled.
_OURS = ("MinCount", "MaxCount", "SubnetIds", "ImageId", "UserData", "TagSpecifications")
# GB of the root disk where the YAML says nothing: room for a container image and an environment.
ROOT_GB = 100


@dataclass(frozen=True)
class Plan:
    """What all instances of a node type have in common.

    Attributes
    ----------
    node_config : mapping
        As in the YAML.
    image, root_device, root_gb
        The AMI, its root device and how large that is to be.
    profile : str
        Name or ARN of an instance profile; empty for none.
    """

    node_type: str
    node_config: Mapping[str, Any]
    image: str
    root_device: str
    root_gb: int
    group: str
    key_name: str
    user_data: str
    profile: str
    is_internal: bool
    is_head: bool

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
    config = {k: v for k, v in plan.node_config.items() if k not in _OURS}
    arguments: dict[str, Any] = {
        "MetadataOptions": {"HttpTokens": "required", "HttpPutResponseHopLimit": 1},
        "BlockDeviceMappings": [_root_disk(plan)],
        "KeyName": plan.key_name,
        **config,
        "ImageId": plan.image,
        "UserData": joined(plan.user_data, plan.node_config.get("UserData")),
        "MinCount": 1,
        "MaxCount": len(nodes),
        "ClientToken": token,
        # A worker that shuts down is gone; a head keeps its disk, where results may wait.
        "InstanceInitiatedShutdownBehavior": "stop" if plan.is_head else "terminate",
        "TagSpecifications": _specifications(plan, labels),
    }
    if plan.profile:
        arguments["IamInstanceProfile"] = _profile(plan.profile)
    elif plan.is_head:
        arguments.pop("IamInstanceProfile", None)
    if spot:
        arguments["InstanceMarketOptions"] = {
            **config.get("InstanceMarketOptions", {}),
            "MarketType": "spot",
        }
    if "NetworkInterfaces" not in config:
        arguments["NetworkInterfaces"] = [_interface(plan, subnet, config)]
        arguments.pop("SecurityGroupIds", None)
    return arguments


def _root_disk(plan: Plan) -> dict[str, Any]:
    disk = {"VolumeSize": plan.root_gb, "VolumeType": "gp3", "DeleteOnTermination": True}
    return {"DeviceName": plan.root_device, "Ebs": disk}


def _interface(plan: Plan, subnet: Subnet, config: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "DeviceIndex": 0,
        "SubnetId": subnet.id,
        "Groups": [plan.group, *config.get("SecurityGroupIds", ())],
        "AssociatePublicIpAddress": not plan.is_internal,
        "DeleteOnTermination": True,
    }


def _profile(named: str) -> dict[str, str]:
    return {"Arn" if named.startswith("arn:") else "Name": named}


def _specifications(plan: Plan, labels: Mapping[str, str]) -> list[dict[str, Any]]:
    """The user's tags and ours, of which ours win, on the instance and on its disks."""
    written = {
        row["ResourceType"]: {tag["Key"]: tag["Value"] for tag in row.get("Tags", ())}
        for row in plan.node_config.get("TagSpecifications", ())
    }
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
        kind = "cloud-config" if text.startswith("#cloud-config") else "x-shellscript"
        archive.attach(MIMEText(text, kind))
    return archive.as_string()
