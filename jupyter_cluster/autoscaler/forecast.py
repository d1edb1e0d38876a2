"""How much of the queue will be left when a node launched now is up.

A node takes its time to boot. What the nodes that are up, and those that come up before it, will
have started by then needs no new node. The estimate is a fluid one: tasks flow through every slot
without a break, at the mean duration measured so far, and shapes share the nodes.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import replace
from math import ceil, fsum

from jupyter_cluster.model import Demand, Node, NodeState, Resources, Snapshot


def left_for_new_nodes(snapshot: Snapshot) -> tuple[Demand, ...]:
    """The demands, with `queued` cut to what a node launched now would find when it is up.

    The prior: before a duration is known the whole queue counts. So a shape without a measured
    mean is never cut, and while tasks of such a shape run, nothing is: nobody knows when they
    will give their room back.
    """
    if any(demand.running and demand.mean_seconds is None for demand in snapshot.demands):
        return snapshot.demands
    return tuple(_cut(demand, snapshot) for demand in snapshot.demands)


def _cut(demand: Demand, snapshot: Snapshot) -> Demand:
    wait = _quickest_boot(demand.shape, snapshot)
    if demand.mean_seconds is None or wait is None:
        return demand
    seconds = _node_seconds(snapshot, wait)
    if not _task_seconds(demand.shape, seconds):
        return demand  # no node that is up can run it
    rivals = [other for other in snapshot.demands if _share_nodes(demand, other, seconds)]
    load = fsum(_load(rival, seconds) for rival in rivals)
    share_left = 1 - 1 / load if load > 1 else 0.0
    # Rounded, so that a last digit of a float is not a task.
    left = ceil(round((demand.queued + demand.running / 2) * share_left, 6))
    return replace(demand, queued=min(demand.queued, left))


def _quickest_boot(shape: Resources, snapshot: Snapshot) -> float | None:
    """Seconds until a node for this shape could be up; None where none may be launched."""
    waits = (
        node_type.boot_seconds
        for name, node_type in snapshot.node_types.items()
        if node_type.max_workers
        and name not in snapshot.cooling
        and shape.fits(node_type.resources)
    )
    return min(waits, default=None)


def _node_seconds(snapshot: Snapshot, wait: float) -> dict[Resources, float]:
    """For how many seconds, within the wait, nodes of each size will be up, added up."""
    seconds: defaultdict[Resources, list[float]] = defaultdict(list)
    for node in snapshot.nodes:
        seconds[node.resources].append(_seconds_up(node, snapshot, wait))
    sums = {resources: fsum(parts) for resources, parts in seconds.items()}
    return {resources: total for resources, total in sums.items() if total}


def _seconds_up(node: Node, snapshot: Snapshot, wait: float) -> float:
    if node.state is NodeState.READY:
        return wait
    node_type = snapshot.node_types.get(node.type)
    if not node.state.is_pending or node_type is None:
        return 0.0
    until_up = node.since + node_type.boot_seconds - snapshot.now
    if until_up < -node_type.boot_seconds:
        return 0.0  # after twice its usual time nobody counts on it any more
    return max(0.0, wait - max(0.0, until_up))


def _share_nodes(one: Demand, other: Demand, seconds: Iterable[Resources]) -> bool:
    return any(one.shape.fits(resources) and other.shape.fits(resources) for resources in seconds)


def _task_seconds(shape: Resources, seconds: Mapping[Resources, float]) -> float:
    return fsum(shape.count_in(resources) * s for resources, s in seconds.items())


def _load(demand: Demand, seconds: Mapping[Resources, float]) -> float:
    """The demand's work over what the nodes could do of it if they did nothing else.

    Running tasks are on average half done.
    """
    available = _task_seconds(demand.shape, seconds)
    if demand.mean_seconds is None or not available:
        return 0.0
    return (demand.queued + demand.running / 2) * demand.mean_seconds / available
