"""How much of the queue will be left for a node that is not up yet.

A node takes its time to boot. What the nodes that are up, and those that come up before it, will
have started by then needs no new node. The estimate is a fluid one: tasks flow through every slot
without a break, at the mean duration measured so far, and shapes share the nodes.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from math import ceil, fsum, sqrt

from jupyter_cluster.autoscaler.market import wastes_gpu
from jupyter_cluster.autoscaler.prices import hourly_price
from jupyter_cluster.model import Demand, Node, NodeState, Snapshot
from jupyter_cluster.resources import Resources

# The prior: a task of which nothing is known takes a minute. That launches a node for each slot's
# worth of tasks, which is dear when they turn out short and quick when they are long. It counts as
# little as a fifth of a measured task, so the first results outweigh it.
PRIOR_SECONDS, PRIOR_TASKS = 60.0, 0.2
# New nodes share out the work that is left until it takes this part of their boot time. More of
# them would end the job at most that much sooner, and each would cost a whole boot. Measured in
# simulation: against a twentieth, bursts of short tasks cost half as much and end 3 % later.
USEFUL_SHARE = 0.2

Seconds = Mapping[Resources, float]


def expected_seconds(demand: Demand) -> float:
    """The mean duration of the demand's tasks, as well as it is known, erring on the long side.

    All time spent on its tasks, running ones included, over the number of finished ones: the
    estimate for exponential durations when some are still running (Lawless, "Statistical Models
    and Methods for Lifetime Data", chapter 4), with the prior as a part of a finished task, plus
    a standard error. So an estimate grows while nothing finishes.
    """
    if demand.mean_seconds is not None and not demand.finished:
        return demand.mean_seconds
    spent = (demand.mean_seconds or 0.0) * demand.finished + demand.running_seconds
    error = demand.spread_seconds / sqrt(max(1, demand.finished))
    return (PRIOR_SECONDS * PRIOR_TASKS + spent) / (PRIOR_TASKS + demand.finished) + error


def left_for_new_nodes(snapshot: Snapshot) -> tuple[Demand, ...]:
    """The demands, with `queued` cut to the tasks for which a node launched now is worth it.

    That are at most the tasks that it would still find, and not more than keep the new nodes busy
    for `USEFUL_SHARE` of their boot.
    """

    def left(demand: Demand) -> int:
        wait = _boot(demand.shape, snapshot)
        if wait is None:
            return demand.queued
        tasks = _left(demand, snapshot, wait)
        return min(ceil(tasks), _worth_slots(tasks, demand, snapshot, wait))

    return _cut(snapshot, left)


def left_for_pending_nodes(snapshot: Snapshot) -> tuple[Demand, ...]:
    """The demands, with `queued` cut to what the first pending node will find when it is up.

    This is more than what launches a node: between the two nothing happens, so that a load that
    comes in bursts does not make the cluster bounce.
    """

    def left(demand: Demand) -> int:
        waits = [
            _until_up(node, snapshot)
            for node in snapshot.nodes
            if node.state.is_pending and demand.shape.fits(node.resources)
        ]
        return ceil(_left(demand, snapshot, min(waits))) if waits else demand.queued

    return _cut(snapshot, left)


def seconds_of_work(shape: Resources, snapshot: Snapshot) -> float | None:
    """How long the nodes that are up need for all tasks of a shape, if they do nothing else.

    None where no node that is up can run them.
    """
    slots = _slots_up(shape, snapshot)
    rows = [demand for demand in snapshot.demands if demand.shape == shape]
    work = fsum((row.queued + row.running / 2) * expected_seconds(row) for row in rows)
    return work / slots if slots else None


def _cut(snapshot: Snapshot, left: Callable[[Demand], int]) -> tuple[Demand, ...]:
    return tuple(
        replace(demand, queued=min(demand.queued, left(demand))) for demand in snapshot.demands
    )


def _left(demand: Demand, snapshot: Snapshot, wait: float) -> float:
    """How many tasks nobody will have started when the wait is over."""
    seconds = _node_seconds(snapshot, wait)
    if not _task_seconds(demand.shape, seconds):
        return float(demand.queued)
    load = _shared_load(demand, snapshot, seconds)
    share_left = 1 - 1 / load if load > 1 else 0.0
    # Rounded, so that a last digit of a float is not a task.
    return round((demand.queued + demand.running / 2) * share_left, 6)


def _worth_slots(tasks: float, demand: Demand, snapshot: Snapshot, wait: float) -> int:
    """How many more slots the tasks that are left would keep busy for long enough."""
    if tasks <= 0:
        return 0
    enough = max(USEFUL_SHARE * wait, 1e-9)
    slots = tasks * expected_seconds(demand) / enough
    up = _slots_up(demand.shape, snapshot)
    if up:
        seconds = _node_seconds(snapshot, wait)
        slots -= up * _load(demand, seconds) / max(_shared_load(demand, snapshot, seconds), 1e-9)
    return max(0, ceil(slots))


def _slots_up(shape: Resources, snapshot: Snapshot) -> int:
    return sum(
        shape.count_in(node.resources) for node in snapshot.nodes if node.state is NodeState.READY
    )


def _boot(shape: Resources, snapshot: Snapshot) -> float | None:
    """Seconds until a node for this shape is up, of the type that costs least for it.

    None where none may be launched.
    """
    count = Counter(node.type for node in snapshot.nodes if not node.state.is_gone)
    able = [
        node_type
        for name, node_type in snapshot.node_types.items()
        if count[name] < node_type.max_workers
        and name not in snapshot.cooling
        and shape.fits(node_type.resources)
    ]
    if not able:
        return None
    best = min(
        able,
        key=lambda t: (
            wastes_gpu(t, shape),
            hourly_price(t) / shape.count_in(t.resources),
            t.boot_seconds,
            t.name,
        ),
    )
    return best.boot_seconds


def _node_seconds(snapshot: Snapshot, wait: float) -> Seconds:
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
    if snapshot.now - node.since > 2 * node_type.boot_seconds:
        return 0.0  # after twice its usual time nobody counts on it any more
    return max(0.0, wait - _until_up(node, snapshot))


def _until_up(node: Node, snapshot: Snapshot) -> float:
    node_type = snapshot.node_types.get(node.type)
    boot = node_type.boot_seconds if node_type else 0.0
    return max(0.0, node.since + boot - snapshot.now)


def _shared_load(demand: Demand, snapshot: Snapshot, seconds: Seconds) -> float:
    """The load of all demands that share nodes with this one."""
    return fsum(
        _load(other, seconds) for other in snapshot.demands if _share_nodes(demand, other, seconds)
    )


def _share_nodes(one: Demand, other: Demand, sizes: Iterable[Resources]) -> bool:
    return any(one.shape.fits(size) and other.shape.fits(size) for size in sizes)


def _task_seconds(shape: Resources, seconds: Seconds) -> float:
    return fsum(shape.count_in(resources) * s for resources, s in seconds.items())


def _load(demand: Demand, seconds: Seconds) -> float:
    """The demand's work over what the nodes could do of it if they did nothing else.

    Running tasks are on average half done.
    """
    available = _task_seconds(demand.shape, seconds)
    if not available:
        return 0.0
    return (demand.queued + demand.running / 2) * expected_seconds(demand) / available
