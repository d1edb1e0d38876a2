"""AMIs by symbolic name, through the public parameters of Systems Manager.

`jupyter_cluster.config` has the names.
"""

from __future__ import annotations

from dataclasses import dataclass

from jupyter_cluster.config.images import IMAGES, RESOLVE
from jupyter_cluster.errors import ProviderError
from jupyter_cluster.providers.aws.kinds import Kind
from jupyter_cluster.providers.aws.service import Service

DEFAULT = "ubuntu-24.04"


@dataclass(frozen=True)
class Image:
    """An AMI.

    Attributes
    ----------
    root_gb : int
        Size of its root device at least.
    kept_disks : tuple of str
        Devices that outlive an instance, unless it says otherwise.
    """

    id: str
    root_device: str
    root_gb: int
    kept_disks: tuple[str, ...] = ()


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


def image(service: Service, name: str, kind: Kind) -> Image:
    """An AMI for an instance type, by its id or a symbolic name.

    Raises
    ------
    ProviderError
        There is no such AMI in the region, or it is for machines of another kind.
    """
    found = image_id(service, name, kind.machine)
    rows = service.ask("describe_images", ImageIds=[found])["Images"]
    if not rows:
        raise ProviderError(f"there is no AMI {found} in region {service.region}")
    built_for = str(rows[0].get("Architecture") or kind.machine)
    if (built_for == "arm64") != (kind.machine == "arm64"):
        raise ProviderError(
            f"ImageId {name} is for {built_for}, and {kind.name} is a machine of {kind.machine};"
            " name another image, or another InstanceType"
        )
    device = str(rows[0].get("RootDeviceName") or "/dev/sda1")
    disks = {
        str(one.get("DeviceName")): one["Ebs"]
        for one in rows[0].get("BlockDeviceMappings", ())
        if one.get("Ebs")
    }
    kept = [name for name, disk in disks.items() if disk.get("DeleteOnTermination") is False]
    size = int(disks.get(device, {}).get("VolumeSize") or 0)
    return Image(found, device, size, tuple(kept))
