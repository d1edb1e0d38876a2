"""What EC2's instance types are: their resources, where they are offered, what an account may have.

Quotas: AWS's "Amazon EC2 instance type quotas"; they count vCPUs, by family.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from jupyter_cluster.errors import ProviderError
from jupyter_cluster.providers.aws.service import Service
from jupyter_cluster.resources import CPU, GPU, MEMORY, Resources

# What the system and the agent take of a node's memory, as a share.
_SYSTEM_SHARE = 0.08
# Quota codes of Service Quotas by the first letters of an instance type: on demand, then spot.
_STANDARD = ("L-1216C47A", "L-34B43A08")
_FAMILIES = {
    "inf": ("L-1945791B", "L-B5D1601B"),
    "trn": ("L-2C3B7624", "L-6B0D517C"),
    "dl": ("L-6E869C2A", "L-85EED4F7"),
    "vt": ("L-DB2E81BA", "L-3819A6DF"),
    "g": ("L-DB2E81BA", "L-3819A6DF"),
    "p": ("L-417A185B", "L-7212CCBC"),
    "f": ("L-74FC7D96", "L-88CF9481"),
    "x": ("L-7295265B", "L-E3A00192"),
    "u-": ("L-43DA4232", ""),
}


@dataclass(frozen=True)
class Kind:
    """An instance type.

    Attributes
    ----------
    machine : str
        ``x86_64`` or ``arm64``.
    gpu : str
        Kind of its GPUs, e.g. ``T4``; empty where it has none.
    memory : int
        Bytes.
    """

    name: str
    vcpus: int
    memory: int
    machine: str
    gpus: int = 0
    gpu: str = ""

    @property
    def resources(self) -> Resources:
        """What tasks may ask for; a GPU's kind is a resource too, e.g. ``accelerator_type:T4``."""
        amounts: dict[str, float] = {
            CPU: self.vcpus,
            MEMORY: int(self.memory * (1 - _SYSTEM_SHARE)),
        }
        if self.gpus:
            amounts[GPU] = self.gpus
            amounts[f"accelerator_type:{self.gpu}"] = 1
        return Resources.of(amounts)

    def quota_code(self, spot: bool) -> str:
        """The quota that its vCPUs count against."""
        name = self.name.lower()
        found = next((codes for start, codes in _FAMILIES.items() if name.startswith(start)), None)
        return (found or _STANDARD)[spot]


def kinds(service: Service, names: Iterable[str]) -> dict[str, Kind]:
    """These instance types.

    Raises
    ------
    ProviderError
        One does not exist in the region.
    """
    wanted = sorted(set(names))
    try:
        rows = service.ask("describe_instance_types", InstanceTypes=wanted)["InstanceTypes"]
    except ProviderError as error:
        raise ProviderError(
            f"an instance type among {', '.join(wanted)} does not exist in region"
            f" {service.region}: {error}"
        ) from error
    found = {row["InstanceType"]: _kind(row) for row in rows}
    if missing := [name for name in wanted if name not in found]:
        raise ProviderError(
            f"instance type {', '.join(missing)} does not exist in region {service.region}"
        )
    return found


def _kind(described: dict[str, Any]) -> Kind:
    machines = described.get("ProcessorInfo", {}).get("SupportedArchitectures") or ["x86_64"]
    gpus = described.get("GpuInfo", {}).get("Gpus") or []
    return Kind(
        name=described["InstanceType"],
        vcpus=int(described["VCpuInfo"]["DefaultVCpus"]),
        memory=int(described["MemoryInfo"]["SizeInMiB"]) * 2**20,
        machine="arm64" if "arm64" in machines else "x86_64",
        gpus=sum(int(gpu["Count"]) for gpu in gpus),
        gpu=gpus[0]["Name"] if gpus else "",
    )


def zones_of(service: Service, names: Iterable[str]) -> dict[str, set[str]]:
    """The availability zones in which each instance type is offered."""
    found: dict[str, set[str]] = {name: set() for name in names}
    rows = service.pages(
        "describe_instance_type_offerings",
        "InstanceTypeOfferings",
        LocationType="availability-zone",
        Filters=[{"Name": "instance-type", "Values": sorted(found)}],
    )
    for row in rows:
        if row["InstanceType"] in found:
            found[row["InstanceType"]].add(row["Location"])
    return found


def quota(service: Service, kind: Kind, spot: bool) -> float | None:
    """vCPUs of this family that the account may run; None where that cannot be read."""
    code = kind.quota_code(spot)
    if not code:
        return None
    try:
        answer = service.ask(
            "get_service_quota", "service-quotas", ServiceCode="ec2", QuotaCode=code
        )
    except ProviderError:
        return None  # many may not read quotas; a launch over it says so all the same
    return float(answer["Quota"]["Value"])
