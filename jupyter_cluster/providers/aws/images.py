"""AMIs by symbolic name, through the public parameters of Systems Manager.

`jupyter_cluster.config` has the names.
"""

from __future__ import annotations

from jupyter_cluster.config.images import IMAGES, RESOLVE
from jupyter_cluster.errors import ProviderError
from jupyter_cluster.providers.aws.service import Service

DEFAULT = "ubuntu-24.04"
_DEBIAN = {"x86_64": "amd64", "arm64": "arm64"}


def parameter(name: str, machine: str) -> str:
    """The path of the parameter that holds an AMI's id.

    >>> parameter("amazon-linux-2023", "arm64")
    '/aws/service/ami-amazon-linux-latest/al2023-ami-kernel-default-arm64'

    Raises
    ------
    ProviderError
        There is no such symbolic name.
    """
    name = name.removeprefix(RESOLVE)
    if name.startswith("/"):
        return name
    if name not in IMAGES:
        raise ProviderError(
            f"ImageId {name!r} is neither an AMI's id (ami-…) nor one of {', '.join(IMAGES)}"
        )
    return IMAGES[name].format(machine=machine, debian=_DEBIAN.get(machine, machine))


def image_id(service: Service, name: str, machine: str) -> str:
    """The id of an AMI for a kind of machine (``x86_64`` or ``arm64``); an id stays as it is.

    Raises
    ------
    ProviderError
        There is none of this name in the region.
    """
    if name.startswith("ami-"):
        return name
    path = parameter(name, machine)
    found = service.ask("get_parameters", "ssm", Names=[path])["Parameters"]
    if not found:
        raise ProviderError(
            f"ImageId {name!r} is not known in region {service.region} (looked for the parameter"
            f" {path}); name an AMI by its id, ami-…"
        )
    return str(found[0]["Value"])


def devices(service: Service, image: str) -> tuple[str, int, list[str]]:
    """The root device of an AMI, its size in GB at least, and which disks outlive an instance.

    Raises
    ------
    ProviderError
        There is no such AMI in the region.
    """
    images = service.ask("describe_images", ImageIds=[image])["Images"]
    if not images:
        raise ProviderError(f"there is no AMI {image} in region {service.region}")
    device = images[0].get("RootDeviceName") or "/dev/sda1"
    disks = {
        str(one.get("DeviceName")): one["Ebs"]
        for one in images[0].get("BlockDeviceMappings", ())
        if one.get("Ebs")
    }
    kept = [name for name, disk in disks.items() if disk.get("DeleteOnTermination") is False]
    return device, int(disks.get(device, {}).get("VolumeSize") or 0), kept
