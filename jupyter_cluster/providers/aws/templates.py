"""Launch templates: what one says of its instances, which a node_config need not say again."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import Any

from jupyter_cluster.errors import ProviderError
from jupyter_cluster.providers.aws.service import Service

# What we must know, or would overrule by a default of ours; the rest EC2 takes from the template.
_READ = (
    "BlockDeviceMappings",
    "IamInstanceProfile",
    "ImageId",
    "InstanceType",
    "KeyName",
    "MetadataOptions",
    "NetworkInterfaces",
    "Placement",
    "SecurityGroupIds",
    "SecurityGroups",
    "TagSpecifications",
    "UserData",
)
_PROTECTIONS = ("DisableApiTermination", "DisableApiStop")


def data_of(service: Service, node_config: Mapping[str, Any]) -> dict[str, Any]:
    """What the launch template of a node_config says; nothing where it names none.

    Raises
    ------
    ProviderError
        There is no such template.
    """
    named = node_config.get("LaunchTemplate")
    if not named:
        return {}
    which = {k: named[k] for k in ("LaunchTemplateId", "LaunchTemplateName") if named.get(k)}
    version = str(named.get("Version") or "$Default")
    rows = service.ask("describe_launch_template_versions", Versions=[version], **which)
    found = rows["LaunchTemplateVersions"]
    if not found:
        raise ProviderError(f"launch template {', '.join(which.values())} has no version {version}")
    data: dict[str, Any] = found[0]["LaunchTemplateData"]
    if (data.get("InstanceMarketOptions") or {}).get("MarketType") == "spot":
        raise ProviderError(
            f"launch template {', '.join(which.values())} asks for spot instances, for the head and"
            " for nodes on demand too: take its InstanceMarketOptions out, and write spot: true for"
            " the node type"
        )
    return data


def merged(node_config: Mapping[str, Any], data: Mapping[str, Any]) -> dict[str, Any]:
    """A node_config with what a template says besides. Pure."""
    said = {key: data[key] for key in _READ if data.get(key)}
    if "UserData" in said:
        said["UserData"] = base64.b64decode(said["UserData"]).decode(errors="replace")
    if "MetadataOptions" in said:  # of which a state is told that is no argument of RunInstances
        said["MetadataOptions"] = {k: v for k, v in said["MetadataOptions"].items() if k != "State"}
    # Of a protected instance nobody but its owner can be rid.
    unprotected = {key: False for key in _PROTECTIONS if data.get(key)}
    return {**said, **unprotected, **node_config}
