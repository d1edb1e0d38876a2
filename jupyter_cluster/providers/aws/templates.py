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


def with_template(service: Service, node_config: Mapping[str, Any]) -> dict[str, Any]:
    """A node_config with what its launch template says besides; what is written counts more.

    Raises
    ------
    ProviderError
        There is no such template.
    """
    named = node_config.get("LaunchTemplate")
    if not named:
        return dict(node_config)
    which = {k: named[k] for k in ("LaunchTemplateId", "LaunchTemplateName") if named.get(k)}
    version = str(named.get("Version") or "$Default")
    rows = service.ask("describe_launch_template_versions", Versions=[version], **which)
    found = rows["LaunchTemplateVersions"]
    if not found:
        raise ProviderError(f"launch template {', '.join(which.values())} has no version {version}")
    data = found[0]["LaunchTemplateData"]
    said = {key: data[key] for key in _READ if data.get(key)}
    if "UserData" in said:
        said["UserData"] = base64.b64decode(said["UserData"]).decode(errors="replace")
    if "MetadataOptions" in said:  # of which a state is told that is no argument of RunInstances
        said["MetadataOptions"] = {k: v for k, v in said["MetadataOptions"].items() if k != "State"}
    return {**said, **node_config}
