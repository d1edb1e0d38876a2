"""AMIs by symbolic name, through the public parameters of Systems Manager.

Sources: Canonical's "Find Ubuntu images with the AWS command line", AWS's "Calling AMI public
parameters in Parameter Store" and "Deep Learning AMI release notes".
"""

from __future__ import annotations

from jupyter_cluster.errors import ProviderError
from jupyter_cluster.providers.aws.service import Service

DEFAULT = "ubuntu-24.04"
_UBUNTU = "/aws/service/canonical/ubuntu/server/{release}/stable/current/{debian}/hvm/{disk}/ami-id"
_AMAZON = "/aws/service/ami-amazon-linux-latest/al2023-ami-kernel-default-{machine}"
_LEARNING = "/aws/service/deeplearning/ami/{machine}/{kind}/latest/ami-id"
NAMES = {
    "ubuntu-24.04": _UBUNTU.replace("{release}", "24.04").replace("{disk}", "ebs-gp3"),
    "ubuntu-22.04": _UBUNTU.replace("{release}", "22.04").replace("{disk}", "ebs-gp2"),
    "amazon-linux-2023": _AMAZON,
    "deep-learning-ubuntu-24.04": _LEARNING.replace(
        "{kind}", "base-oss-nvidia-driver-gpu-ubuntu-24.04"
    ),
    "deep-learning-ubuntu-22.04": _LEARNING.replace(
        "{kind}", "base-oss-nvidia-driver-gpu-ubuntu-22.04"
    ),
    "deep-learning-amazon-linux-2023": _LEARNING.replace(
        "{kind}", "base-oss-nvidia-driver-gpu-amazon-linux-2023"
    ),
}
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
    if name.startswith("/"):
        return name
    if name not in NAMES:
        raise ProviderError(
            f"ImageId {name!r} is neither an AMI's id (ami-…) nor one of {', '.join(NAMES)}"
        )
    return NAMES[name].format(machine=machine, debian=_DEBIAN.get(machine, machine))


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


def root_device(service: Service, image: str) -> tuple[str, int]:
    """The root device of an AMI and its size in GB, at least.

    Raises
    ------
    ProviderError
        There is no such AMI in the region.
    """
    images = service.ask("describe_images", ImageIds=[image])["Images"]
    if not images:
        raise ProviderError(f"there is no AMI {image} in region {service.region}")
    device = images[0].get("RootDeviceName") or "/dev/sda1"
    for mapping in images[0].get("BlockDeviceMappings", ()):
        if mapping.get("DeviceName") == device:
            return device, int(mapping.get("Ebs", {}).get("VolumeSize") or 0)
    return device, 0
