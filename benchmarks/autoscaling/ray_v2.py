"""Ray's second autoscaler, driven by snapshots.

What runs is ``ray.autoscaler.v2.instance_manager.reconciler.Reconciler.reconcile``, the whole
round of its loop, over a real ``InstanceManager``: maxima, packing and idle termination by
``ResourceDemandScheduler.schedule``, then launch limits in ``Reconciler._compute_to_launch`` (of
a type at most ``max(1, ceil(speed × max(running of it, 1)))`` a round, and 10 requested at once).
What is not launched in a round stays queued in the instance manager. Only the cloud and the head's
reports are ours. v2 sees the whole queue.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable
from typing import Any

from ray.autoscaler.v2.instance_manager.config import AutoscalingConfig
from ray.autoscaler.v2.instance_manager.instance_manager import (
    InstanceManager,
    InstanceUpdatedSubscriber,
)
from ray.autoscaler.v2.instance_manager.instance_storage import InstanceStorage
from ray.autoscaler.v2.instance_manager.node_provider import CloudInstance, ICloudInstanceProvider
from ray.autoscaler.v2.instance_manager.reconciler import Reconciler
from ray.autoscaler.v2.instance_manager.storage import InMemoryStorage
from ray.autoscaler.v2.instance_manager.subscribers.cloud_instance_updater import (
    CloudInstanceUpdater,
)
from ray.autoscaler.v2.instance_manager.subscribers.cloud_resource_monitor import (
    CloudResourceMonitor,
)
from ray.autoscaler.v2.scheduler import (
    IResourceScheduler,
    ResourceDemandScheduler,
    SchedulingReply,
    SchedulingRequest,
)
from ray.core.generated import autoscaler_pb2
from ray.core.generated.instance_manager_pb2 import Instance, NodeKind

from benchmarks.autoscaling.cases import LaunchSet
from benchmarks.autoscaling.ray_config import (
    HEAD,
    HEAD_RESOURCES,
    amounts,
    by_count,
    cluster_config,
    idle_seconds,
    is_up,
)
from jupyter_cluster.model import Decision, End, Launch, Node, NodeState, Snapshot


class _Cloud(ICloudInstanceProvider, InstanceUpdatedSubscriber):  # type: ignore[misc]
    """A cloud that has the nodes of a snapshot and notes what Ray asks of it.

    It also hears of nodes that Ray drains before it ends them: the simulator does both in one.
    """

    def show(self, nodes: tuple[Node, ...]) -> None:
        """Have these nodes, and forget what was asked."""
        self._nodes = [node for node in nodes if not node.state.is_gone]
        self._launched: Counter[str] = Counter()
        self._ended: dict[str, None] = {}

    def decision(self) -> Decision:
        """What Ray asked for since `show`."""
        return Decision(
            launches=tuple(Launch(name, n, f"{n} × {name}") for name, n in self._launched.items()),
            ends=(End(tuple(self._ended), "ended by Ray"),) if self._ended else (),
        )

    def get_non_terminated(self) -> dict[str, CloudInstance]:
        """All nodes, the head among them."""
        head = CloudInstance(HEAD, HEAD, NodeKind.HEAD, is_running=True)
        workers = {
            node.id: CloudInstance(node.id, node.type, NodeKind.WORKER, is_running=True)
            for node in self._nodes
        }
        return {HEAD: head, **workers}

    def launch(self, shape: dict[str, int], request_id: str) -> None:
        """Note a launch."""
        self._launched.update(shape)

    def terminate(self, ids: list[str], request_id: str) -> None:
        """Note an end."""
        self._ended.update(dict.fromkeys(ids))

    def poll_errors(self) -> list[Any]:
        """Launches do not fail here; in the simulator they may, and Ray then waits for a node."""
        return []

    def notify(self, events: list[Any]) -> None:
        """Note the nodes that Ray begins to drain."""
        for event in events:
            if event.new_instance_status == Instance.RAY_STOP_REQUESTED:
                name = bytes.fromhex(event.termination_request.ray_node_id).decode()
                self._ended[name] = None


class _Listener(IResourceScheduler):  # type: ignore[misc]
    """Keeps what Ray's loop asks its scheduler, and answers that nothing is to be done."""

    def schedule(self, request: SchedulingRequest) -> SchedulingReply:
        """Keep the request."""
        self.request = request
        return SchedulingReply()


class RayV2:
    """v2 as a planner."""

    def __init__(self, upscaling_speed: float = 1.0) -> None:
        self._speed = upscaling_speed
        self._scheduler = ResourceDemandScheduler()
        self._cloud = _Cloud()
        self._monitor = CloudResourceMonitor()
        self._instances = InstanceManager(
            InstanceStorage(cluster_id="benchmark", storage=InMemoryStorage()),
            [CloudInstanceUpdater(self._cloud), self._cloud, self._monitor],
        )

    def __call__(self, snapshot: Snapshot) -> Decision:
        """One round of its loop."""
        self._reconcile(snapshot, self._scheduler)
        return self._cloud.decision()

    def prepare(self, snapshot: Snapshot) -> Callable[[], LaunchSet]:
        """Its scheduler, on the request that its loop makes of the snapshot."""
        listener = _Listener()
        self._reconcile(snapshot, listener)

        def run() -> LaunchSet:
            reply = self._scheduler.schedule(listener.request)
            launch = {row.instance_type: row.count for row in reply.to_launch}
            return LaunchSet(launch, len(reply.infeasible_resource_requests))

        return run

    def _reconcile(self, snapshot: Snapshot, scheduler: IResourceScheduler) -> None:
        self._cloud.show(snapshot.nodes)
        config = cluster_config(snapshot, self._speed, f"{__name__}._Cloud")
        Reconciler.reconcile(
            instance_manager=self._instances,
            scheduler=scheduler,
            cloud_provider=self._cloud,
            cloud_resource_monitor=self._monitor,
            ray_cluster_resource_state=_state(snapshot),
            non_terminated_cloud_instances=self._cloud.get_non_terminated(),
            autoscaling_config=AutoscalingConfig(config, skip_content_hash=True),
            # It complains of real time that has passed in none.
            _logger=logging.getLogger("ray.benchmark"),
        )


def _state(snapshot: Snapshot) -> Any:
    """What Ray's head reports: its nodes and the queue."""
    constraint = autoscaler_pb2.ClusterResourceConstraint(
        resource_requests=[by_count(shape, count) for shape, count in snapshot.requests]
    )
    return autoscaler_pb2.ClusterResourceState(
        node_states=[_head(), *(_node(node, snapshot) for node in snapshot.nodes if _runs(node))],
        pending_resource_requests=[
            by_count(row.shape, row.queued) for row in snapshot.demands if row.queued
        ],
        cluster_resource_constraints=[constraint] if snapshot.requests else [],
    )


def _runs(node: Node) -> bool:
    return is_up(node) or node.state is NodeState.DRAINING


def _head() -> Any:
    return autoscaler_pb2.NodeState(
        node_id=HEAD.encode(),
        instance_id=HEAD,
        ray_node_type_name=HEAD,
        total_resources=HEAD_RESOURCES,
        available_resources=HEAD_RESOURCES,
        status=autoscaler_pb2.NodeStatus.RUNNING,
    )


def _node(node: Node, snapshot: Snapshot) -> Any:
    idle = idle_seconds(node, snapshot)
    return autoscaler_pb2.NodeState(
        node_id=node.id.encode(),
        instance_id=node.id,
        ray_node_type_name=node.type,
        total_resources=amounts(node.resources),
        available_resources=amounts(node.free),
        status=_status(node, idle),
        idle_duration_ms=round(1000 * idle),
    )


def _status(node: Node, idle: float) -> int:
    status = autoscaler_pb2.NodeStatus
    if node.state is NodeState.DRAINING:
        return int(status.DRAINING)
    return int(status.IDLE if idle else status.RUNNING)
