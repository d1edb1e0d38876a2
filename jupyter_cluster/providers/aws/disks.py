"""The EBS disks of a cluster: what they are by its file, and those that outlive their instances."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import cached_property
from typing import Any

from jupyter_cluster.errors import ProviderError
from jupyter_cluster.providers.aws.needs import disks_of
from jupyter_cluster.providers.aws.service import Service, code_of
from jupyter_cluster.providers.aws.tags import Owner

NodeConfig = Callable[[str], Mapping[str, Any]]

# GB of the root disk where the YAML says nothing: room for a container image and an environment.
ROOT_GB = 100
# What EC2 makes where neither the YAML nor a snapshot says how large.
_SMALLEST_GB = 8


def size_gb(node_config: Mapping[str, Any]) -> int:
    """GB of all disks of an instance."""
    disks = disks_of(node_config)
    return sum(int(one.get("VolumeSize", _SMALLEST_GB)) for one in disks) if disks else ROOT_GB


def keeps(node_config: Mapping[str, Any]) -> bool:
    """Whether it says that a disk stays when its instance ends."""
    return any(one.get("DeleteOnTermination") is False for one in disks_of(node_config))


class Disks:
    """Found by their tags.

    Parameters
    ----------
    node_config
        That of a node type, with what its launch template says besides.
    """

    def __init__(
        self, service: Service, owner: Owner, types: Iterable[str], node_config: NodeConfig
    ) -> None:
        self._service, self._owner = service, owner
        self._types, self._node_config = list(types), node_config

    @cached_property
    def _keeping(self) -> list[str]:
        return [name for name in self._types if self._keeps(name)]

    def _keeps(self, name: str) -> bool:
        try:
            return keeps(self._node_config(name))
        except ProviderError as error:
            # A launch template that is gone: whether it has kept disks, nobody can tell.
            if "LaunchTemplate" not in code_of(error):
                raise
            return True

    def notices(self) -> list[str]:
        """What the user should know beforehand."""
        return [
            f"{name}: DeleteOnTermination: false keeps a disk of each node that ends, and its cost"
            for name in self._keeping
        ]

    def kept(self) -> str:
        """What the user should know in the end; empty where no disk stays."""
        rows = self._rows() if self._keeping else []
        kept = ", ".join(f"{row['VolumeId']} ({row['Size']} GB)" for row in rows)
        return f"kept and paid for, as DeleteOnTermination: false says: {kept}" if kept else ""

    def delete(self) -> None:
        """Delete those that did not go with their instances, except where the file keeps them.

        Raises
        ------
        ProviderError
            One could not be deleted; see `is_in_use`.
        """
        for row in [] if self._keeping else self._rows():
            self._delete(row["VolumeId"])

    def _delete(self, name: str) -> None:
        try:
            self._service.ask("delete_volume", VolumeId=name)
        except ProviderError as error:
            if code_of(error.__cause__ or error) != "InvalidVolume.NotFound":  # it went by itself
                raise

    def left(self) -> list[str]:
        """What is there of them and should not be, for people."""
        return [] if self._keeping else [f"volume {row['VolumeId']}" for row in self._rows()]

    def _rows(self) -> list[dict[str, Any]]:
        found = self._service.pages("describe_volumes", "Volumes", Filters=self._owner.filters())
        return [row for row in found if row["State"] not in ("deleting", "deleted")]


def is_in_use(error: ProviderError) -> bool:
    """Whether an instance still has it."""
    return code_of(error.__cause__ or error) == "VolumeInUse"
