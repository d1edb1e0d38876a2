"""The cluster that needs no file: this machine."""

from __future__ import annotations

import math
from numbers import Real
from pathlib import Path
from typing import Any

from jupyter_cluster.config._document import Document
from jupyter_cluster.config._load import build
from jupyter_cluster.config._models import ClusterConfig
from jupyter_cluster.config._problems import KeyPath
from jupyter_cluster.described import class_name
from jupyter_cluster.errors import UsageError
from jupyter_cluster.formats import shortened
from jupyter_cluster.resources import MAX_AMOUNT

# Few enough to be worth their processes, enough to see a cluster grow.
MOST_NODES = 4
# Of the cores, and so of the nodes, of one machine.
MOST_CPUS = 100_000


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
        A number of cores, nodes or bytes is none, or out of bounds.
    """
    cores = _checked("cpus", cpus, 1, MOST_CPUS) or usable_cpus()
    each = _checked("cpus_per_node", cpus_per_node, 1, MOST_CPUS)
    per_node = each or math.ceil(cores / MOST_NODES)
    most = _checked("max_workers", max_workers, 0, MOST_CPUS)
    nodes = max(1, cores // per_node) if most is None else most
    memory = (_checked("memory_bytes", memory_bytes, 1, MAX_AMOUNT) or usable_memory()) // max(
        1, nodes
    )
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


def _checked(name: str, value: Any, least: int, most: int) -> int | None:
    """A whole number within bounds; None where it is not given."""
    if value is None:
        return None
    is_number = isinstance(value, Real) and not isinstance(value, bool)
    if not is_number or value % 1:  # that of nan and inf is nan
        said = ascii(value) if isinstance(value, (float, str)) else f"a {class_name(value)}"
        raise UsageError(f"local_config: {name} must be a whole number, not {said}")
    if not least <= value <= most:
        bound = f"at least {least}" if value < least else f"at most {most:,}"
        raise UsageError(f"local_config: {name} must be {bound}, not {shortened(str(value))}")
    return int(value)


def _origins(data: Any, path: KeyPath) -> dict[KeyPath, str]:
    """Every value of the embedded configuration comes from this machine or the call."""
    if not isinstance(data, dict):
        return {path: "this machine"}
    return {p: o for key, value in data.items() for p, o in _origins(value, (*path, key)).items()}
