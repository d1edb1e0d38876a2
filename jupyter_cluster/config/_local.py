"""The cluster that needs no file: this machine."""

from __future__ import annotations

from math import ceil
from pathlib import Path
from typing import Any

from jupyter_cluster.config._document import Document
from jupyter_cluster.config._load import build
from jupyter_cluster.config._models import ClusterConfig
from jupyter_cluster.config._problems import KeyPath
from jupyter_cluster.errors import UsageError

# Few enough to be worth their processes, enough to see a cluster grow.
MOST_NODES = 4


def local_config(
    cluster_name: str = "local",
    cpus: int | None = None,
    cpus_per_node: int | None = None,
    memory_bytes: int | None = None,
    max_workers: int | None = None,
    idle_timeout_minutes: float | str = 1.0,
) -> ClusterConfig:
    """A cluster on this machine: up to four nodes that share its cores and memory evenly.

    Parameters
    ----------
    cpus
        Cores to share; by default those that this process may use.
    cpus_per_node
        By default a quarter of the cores, rounded up: 2 cores make 2 nodes of 1, 8 make 4 of 2.
    memory_bytes
        Memory to share; by default that of the machine.
    max_workers
        Nodes at most; by default as many as the cores allow.
    idle_timeout_minutes
        Minutes until an idle node is ended, or ``"auto"``. Shorter than in a file, since a node
        here is back in seconds.

    Raises
    ------
    ConfigError
        A value does not fit the cluster YAML, e.g. the name.
    UsageError
        A number of cores or bytes is below 1.
    """
    _at_least_one(cpus=cpus, cpus_per_node=cpus_per_node, memory_bytes=memory_bytes)
    cores = usable_cpus() if cpus is None else cpus
    per_node = cpus_per_node or ceil(cores / MOST_NODES)
    nodes = max(1, cores // per_node) if max_workers is None else max_workers
    memory = (memory_bytes or usable_memory()) // max(1, nodes)
    node_type = {"resources": {"CPU": per_node, "memory": memory}}
    data = {
        "cluster_name": cluster_name,
        "max_workers": nodes,
        "idle_timeout_minutes": idle_timeout_minutes,
        "provider": {"type": "local"},
        "available_node_types": {"local": node_type},
        "head_node_type": "local",
    }
    return build(Document("local_config", data), _origins(data, ()), Path())


def usable_cpus() -> int:
    """Cores that this process may use; fewer than the machine has where it is confined, e.g. in a
    container."""
    from dask.system import cpu_count  # knows cgroups

    return int(cpu_count())


def usable_memory() -> int:
    """Bytes of memory that this process may use; less than the machine has in a container."""
    from distributed.system import memory_limit  # knows cgroups; costs an import of 0.3 s

    return int(memory_limit())


def _at_least_one(**arguments: int | None) -> None:
    for name, value in arguments.items():
        if value is not None and value < 1:
            raise UsageError(f"local_config: {name} must be at least 1, not {value}")


def _origins(data: Any, path: KeyPath) -> dict[KeyPath, str]:
    """Every value of the embedded configuration comes from this machine or the call."""
    if not isinstance(data, dict):
        return {path: "this machine"}
    return {p: o for key, value in data.items() for p, o in _origins(value, (*path, key)).items()}
