"""Ray's first autoscaler, driven by snapshots.

What runs is ``ray.autoscaler._private.autoscaler.StandardAutoscaler.update``, the whole round of
its loop: maxima, idle termination, packing by ``ResourceDemandScheduler.get_nodes_to_launch``, and
launch limits (pending nodes of a type at most ``max(5, int(speed × max(running of it, 1)))``). Only
the cloud and the head's reports are ours. Durations reach Ray as durations, so that its own clock
need not be changed.

In production v1 sees at most 1,000 waiting and 1,000 infeasible demands
(``AUTOSCALER_MAX_RESOURCE_DEMAND_VECTOR_SIZE`` in ``ray/autoscaler/_private/constants.py``, applied
by ``LoadMetrics.get_resource_demand_vector`` and ``monitor.parse_resource_demands``). It does so
here; the environment variable of that name, which is Ray's own, changes it.
"""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Callable
from typing import Any

from ray.autoscaler._private.autoscaler import StandardAutoscaler
from ray.autoscaler._private.load_metrics import LoadMetrics
from ray.autoscaler._private.monitor import parse_resource_demands
from ray.autoscaler.node_provider import NodeProvider
from ray.autoscaler.tags import (
    NODE_KIND_HEAD,
    NODE_KIND_WORKER,
    STATUS_SETTING_UP,
    STATUS_UP_TO_DATE,
    TAG_RAY_NODE_KIND,
    TAG_RAY_NODE_STATUS,
    TAG_RAY_USER_NODE_TYPE,
)

from benchmarks.autoscaling.cases import LaunchSet
from benchmarks.autoscaling.ray_config import (
    HEAD,
    HEAD_RESOURCES,
    amounts,
    cluster_config,
    idle_seconds,
    is_known,
    is_up,
    requested,
    resource_load,
)
from jupyter_cluster.model import Decision, End, Launch, Node, Snapshot

# Ray keeps node providers by the name of their cluster.
_NUMBERS = itertools.count()


class SnapshotCloud(NodeProvider):  # type: ignore[misc]
    """A cloud that has the nodes of a snapshot and notes what Ray asks of it."""

    def __init__(self, provider_config: dict[str, Any], cluster_name: str) -> None:
        super().__init__(provider_config, cluster_name)
        self.show(())

    def show(self, nodes: tuple[Node, ...]) -> None:
        """Have these nodes, and forget what was asked."""
        self._nodes = {node.id: node for node in nodes if is_known(node)}
        self._launched: Counter[str] = Counter()
        self._ended: list[str] = []

    def decision(self) -> Decision:
        """What Ray asked for since `show`."""
        return Decision(
            launches=tuple(Launch(name, n, f"{n} × {name}") for name, n in self._launched.items()),
            ends=(End(tuple(self._ended), "ended by Ray"),) if self._ended else (),
        )

    def non_terminated_nodes(self, tag_filters: dict[str, str]) -> list[str]:
        """Ids of all nodes, the head's first; Ray filters by nothing."""
        return [HEAD, *self._nodes]

    def node_tags(self, node_id: str) -> dict[str, str]:
        """Kind, type and status."""
        node = self._nodes.get(node_id)
        up = node is None or is_up(node)
        return {
            TAG_RAY_NODE_KIND: NODE_KIND_WORKER if node else NODE_KIND_HEAD,
            TAG_RAY_USER_NODE_TYPE: node.type if node else HEAD,
            TAG_RAY_NODE_STATUS: STATUS_UP_TO_DATE if up else STATUS_SETTING_UP,
        }

    def internal_ip(self, node_id: str) -> str:
        """The id: an address is only a name here."""
        return node_id

    def create_node(self, node_config: Any, tags: dict[str, str], count: int) -> None:
        """Note a launch."""
        self._launched[tags[TAG_RAY_USER_NODE_TYPE]] += count

    def terminate_node(self, node_id: str) -> None:
        """Note an end."""
        self._ended.append(node_id)


class _Gcs:
    """The one thing that the autoscaler asks of the head: to drain nodes."""

    def drain_nodes(self, node_ids: set[bytes], timeout: float) -> set[bytes]:
        """All of them are drained; the simulator does it."""
        return node_ids


class RayV1:
    """v1 as a planner."""

    def __init__(self, upscaling_speed: float = 1.0) -> None:
        self._speed = upscaling_speed
        self._name = f"benchmark{next(_NUMBERS)}"
        self._metrics = LoadMetrics()
        self._autoscaler: Any = None

    def __call__(self, snapshot: Snapshot) -> Decision:
        """One round of its loop."""
        self._report(snapshot, self._speed)
        self._autoscaler.update()
        return self._cloud.decision()

    def prepare(self, snapshot: Snapshot) -> Callable[[], LaunchSet]:
        """Its packing over all demands, none cut off."""
        # As good as no launch limit: the limit is a whole number of nodes.
        self._report(snapshot, upscaling_speed=1e9)
        demands: list[dict[str, float]] = []
        for row in snapshot.demands:
            demands += [amounts(row.shape)] * row.queued

        def run() -> LaunchSet:
            launch, unfulfilled = self._autoscaler.resource_demand_scheduler.get_nodes_to_launch(
                self._cloud.non_terminated_nodes({}),
                {},
                demands,
                self._metrics.get_resource_utilization(),
                [],
                self._metrics.get_static_node_resources_by_ip(),
                ensure_min_cluster_size=self._metrics.get_resource_requests(),
                node_availability_summary=None,
            )
            return LaunchSet(dict(launch), len(unfulfilled))

        return run

    @property
    def _cloud(self) -> SnapshotCloud:
        cloud: SnapshotCloud = self._autoscaler.provider
        return cloud

    def _report(self, snapshot: Snapshot, upscaling_speed: float) -> None:
        """Tell Ray what its monitor would: the config, the nodes and the queue."""
        self._config = {
            **cluster_config(snapshot, upscaling_speed, f"{__name__}.SnapshotCloud"),
            "cluster_name": self._name,
        }
        if self._autoscaler is None:
            self._autoscaler = self._start()
        self._cloud.show(snapshot.nodes)
        waiting, infeasible = parse_resource_demands(resource_load(snapshot))
        self._metrics.set_resource_requests(requested(snapshot))
        self._update(HEAD, HEAD_RESOURCES, HEAD_RESOURCES, 0.0, waiting, infeasible)
        for node in filter(is_up, snapshot.nodes):
            total, free = amounts(node.resources), amounts(node.free)
            idle = idle_seconds(node, snapshot)
            self._update(node.id, total, free, idle, waiting, infeasible)

    def _update(self, name: str, *facts: Any) -> None:
        self._metrics.update(name, name.encode(), *facts)

    def _start(self) -> Any:
        # No failed round is forgiven, and rounds follow at the simulator's pace.
        return StandardAutoscaler(
            lambda: self._config, self._metrics, _Gcs(), max_failures=0, update_interval_s=0
        )
