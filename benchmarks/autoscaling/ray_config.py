"""Snapshots in the words of Ray: cluster config and the state of its head (its GCS)."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from typing import Any

from ray.core.generated import autoscaler_pb2, gcs_pb2

from jupyter_cluster.model import Demand, Node, NodeState, Snapshot
from jupyter_cluster.resources import Resources

# Ray has a head node in every cluster. It has no resources, since heads of live clusters of ours
# run no tasks either.
HEAD = "head"
HEAD_RESOURCES = {"node:__internal_head__": 1.0}

# Ray expects these in every config; there is nothing to be set up here.
_COMMANDS = (
    "setup_commands",
    "head_setup_commands",
    "worker_setup_commands",
    "head_start_ray_commands",
    "worker_start_ray_commands",
)

# Ray's planners warn about each task that they cannot place; the tables say so once.
logging.getLogger("ray").setLevel(logging.CRITICAL)


def cluster_config(snapshot: Snapshot, upscaling_speed: float, provider: str) -> dict[str, Any]:
    """A cluster YAML as Ray's autoscaler reads it.

    ``foreground_node_launch`` launches at once, where production queues launches in batches of 5;
    ``disable_node_updaters`` and the other switches leave out SSH and files, which are the
    simulator's boot time.

    Parameters
    ----------
    upscaling_speed : float
        Taken unless the snapshot's limits say otherwise. Ray's own default for AWS is 1.0
        (``ray/autoscaler/aws/defaults.yaml``).
    provider : str
        The class of the node provider, as a dotted name.
    """
    limits = snapshot.limits
    timeout = (
        {} if limits.idle_timeout is None else {"idle_timeout_minutes": limits.idle_timeout / 60}
    )
    return {
        "cluster_name": "benchmark",
        "max_workers": limits.max_workers,
        "upscaling_speed": limits.upscaling_speed or upscaling_speed,
        **timeout,
        "provider": {
            "type": "external",
            "module": provider,
            "foreground_node_launch": True,
            "disable_node_updaters": True,
            "disable_launch_config_check": True,
            "worker_liveness_check": False,
        },
        "auth": {},
        "head_node_type": HEAD,
        "available_node_types": _node_types(snapshot),
        "file_mounts": {},
        "cluster_synced_files": [],
        **{name: [] for name in _COMMANDS},
    }


def _node_types(snapshot: Snapshot) -> dict[str, Any]:
    head: dict[str, Any] = {"resources": {}, "node_config": {}, "min_workers": 0, "max_workers": 0}
    workers = {
        name: {
            "resources": amounts(node_type.resources),
            "node_config": {},
            "min_workers": node_type.min_workers,
            "max_workers": min(node_type.max_workers, snapshot.limits.max_workers),
        }
        for name, node_type in snapshot.node_types.items()
    }
    return {HEAD: head, **workers}


def amounts(resources: Resources) -> dict[str, float]:
    """Amounts by name."""
    return {name: float(amount) for name, amount in resources.as_dict().items()}


def is_known(node: Node) -> bool:
    """Whether a cloud would list the node: it is not going and not gone."""
    return not node.state.is_gone and node.state is not NodeState.DRAINING


def is_up(node: Node) -> bool:
    """Whether Ray runs on the node."""
    return node.state is NodeState.READY


def idle_seconds(node: Node, snapshot: Snapshot) -> float:
    """How long Ray would call the node idle; results on it count as use, as in Ray."""
    if node.idle_since is None or node.kept_because:
        return 0.0
    return snapshot.now - node.idle_since


def resource_load(snapshot: Snapshot) -> Any:
    """The queue as v1 gets it from the head: by shape, ready apart from infeasible.

    In Ray a task is infeasible as long as no node that is up could ever hold it.
    """
    sizes = {node.resources for node in snapshot.nodes if is_up(node)}
    return gcs_pb2.ResourceLoad(
        resource_demands=[_demand(row, sizes) for row in snapshot.demands if row.queued]
    )


def _demand(row: Demand, sizes: Iterable[Resources]) -> Any:
    feasible = any(row.shape.fits(size) for size in sizes)
    field = "num_ready_requests_queued" if feasible else "num_infeasible_requests_queued"
    return gcs_pb2.ResourceDemand(shape=amounts(row.shape), **{field: row.queued})


def requested(snapshot: Snapshot) -> list[dict[str, float]]:
    """Explicit requests, one entry each."""
    return [amounts(shape) for shape, count in snapshot.requests for _ in range(count)]


def by_count(shape: Resources, count: int) -> Any:
    """Requests of one shape as v2 gets them."""
    request = autoscaler_pb2.ResourceRequest(resources_bundle=amounts(shape))
    return autoscaler_pb2.ResourceRequestByCount(request=request, count=count)
