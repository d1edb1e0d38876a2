"""The symbolic names of AMIs that an `ImageId` may be, and where their present id is found.

Sources: Canonical's "Find Ubuntu images with the AWS command line", AWS's "Calling AMI public
parameters in Parameter Store" and "Deep Learning AMI release notes".
"""

from __future__ import annotations

_UBUNTU = "/aws/service/canonical/ubuntu/server/{release}/stable/current/{debian}/hvm/{disk}/ami-id"
_AMAZON = "/aws/service/ami-amazon-linux-latest/al2023-ami-kernel-default-{machine}"
_LEARNING = "/aws/service/deeplearning/ami/{machine}/{kind}/latest/ami-id"
_LEARNING_UBUNTU = _LEARNING.replace("{kind}", "base-oss-nvidia-driver-gpu-ubuntu-22.04")

# Public parameters of Systems Manager by symbolic name.
IMAGES = {
    "ubuntu-24.04": _UBUNTU.replace("{release}", "24.04").replace("{disk}", "ebs-gp3"),
    "ubuntu-22.04": _UBUNTU.replace("{release}", "22.04").replace("{disk}", "ebs-gp2"),
    "amazon-linux-2023": _AMAZON,
    "deep-learning-ubuntu-24.04": _LEARNING.replace(
        "{kind}", "base-oss-nvidia-driver-gpu-ubuntu-24.04"
    ),
    "deep-learning-ubuntu-22.04": _LEARNING_UBUNTU,
    "deep-learning-amazon-linux-2023": _LEARNING.replace(
        "{kind}", "base-oss-nvidia-driver-gpu-amazon-linux-2023"
    ),
    "latest_dlami": _LEARNING_UBUNTU,  # Ray's name
}
# EC2's own way to name a parameter of Systems Manager in place of an AMI.
RESOLVE = "resolve:ssm:"


def known_images() -> list[str]:
    """All symbolic names."""
    return list(IMAGES)


def is_image(name: str) -> bool:
    """Whether it is an AMI's id, a symbolic name or the path of a parameter."""
    return name in IMAGES or name.startswith(("ami-", "/", RESOLVE))
