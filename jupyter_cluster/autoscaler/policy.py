"""The scaling policy: what to launch and what to end, from one snapshot."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace

from jupyter_cluster.autoscaler import reasons
from jupyter_cluster.autoscaler.forecast import left_for_new_nodes, left_for_pending_nodes
from jupyter_cluster.autoscaler.packing import Plan, Purchase, plan
from jupyter_cluster.model import Decision, End, Launch, Node, NodeState, Snapshot

# Between two batches of a notebook the queue is empty for a moment: what boots is given up only
# when nothing has needed it for this long.
UNNEEDED_SECONDS = 10.0
# A person who looks at a result before sending the next cell is not to wait for a node that starts
# in a second.
LEAST_IDLE_SECONDS = 20.0
# What a start costs, in boots: see `idle_limit`.
IDLE_BOOTS = 1.5
# Idle nodes wait for others that will be due so soon, but not for longer than this.
GATHER_SECONDS, LONGEST_WAIT = 3.0, 10.0

Reason = Callable[[Sequence[Node], Snapshot], str]


def decide(snapshot: Snapshot) -> Decision:
    """What to do now; the same snapshot gives the same decision.

    **Launches.** What min_workers, explicit requests and the queue need beyond the nodes that are
    up or pending, within the limits. Of the queue only what is worth a new node when it is up
    (see `forecast`). Where `upscaling_speed` is set, pending nodes of a type stay at most
    ``max(5, speed × ready ones)``, minima aside; this is Ray's rule. Nothing is launched while the
    cluster is closing, and no type that cools down.

    **Ends.** First surplus: nodes beyond max_workers of their type or of the cluster, those that
    idle first, then pending ones, then busy ones, which drain. Then pending nodes that for
    `UNNEEDED_SECONDS` neither a minimum, nor a request, nor what will be left of the queue when
    they are up would use. Then nodes that have idled for the idle time-out, unless a request needs
    them or a queued task would fit. Last, nodes that idle, however long, while max_workers or
    max_hourly_cost leave no room for a node that queued tasks need. Never a node with
    `kept_because`, and none below min_workers, unless max_workers is smaller still.
    """
    surplus = _surplus(snapshot)
    rest = _without(surplus, snapshot)
    needed = plan(replace(rest, demands=left_for_pending_nodes(rest)), search=False)
    unneeded = _unneeded(rest, needed.used)
    worth = replace(rest, demands=left_for_new_nodes(_without(unneeded, rest)))
    later = plan(worth)

    unneeded = [node for node in unneeded if node.id not in later.used]
    cancelled = [node for node in unneeded if _is_long_unneeded(node, snapshot)]
    idle = _idle(_without(cancelled, rest), needed.requested)
    in_the_way = _in_the_way(_without([*cancelled, *idle], worth), later)
    batches = (
        (surplus, reasons.surplus),
        (cancelled, reasons.unneeded),
        (idle, reasons.idle),
        (in_the_way, lambda nodes, _: reasons.in_the_way(nodes, later.unplaced)),
    )
    return Decision(
        launches=() if snapshot.closing else _launches(later, rest),
        ends=tuple(_end(nodes, reason, snapshot) for nodes, reason in batches if nodes),
        infeasible=needed.infeasible,
        unneeded=frozenset(node.id for node in unneeded),
    )


def idle_limit(node: Node, snapshot: Snapshot) -> float:
    """Seconds that a node may be idle.

    With ``auto`` idling may cost as much as the start that it may save: the ski rental rule, never
    more than twice what somebody pays who knows the future (Karlin, Manasse, Rudolph and Sleator,
    "Competitive Snoopy Caching", Algorithmica 3, 1988). A start costs the node's boot, and half as
    much again for those who wait for it.
    """
    if snapshot.limits.idle_timeout is not None:
        return snapshot.limits.idle_timeout
    node_type = snapshot.node_types.get(node.type)
    return max(LEAST_IDLE_SECONDS, IDLE_BOOTS * node_type.boot_seconds if node_type else 0.0)


def _launches(planned: Plan, snapshot: Snapshot) -> tuple[Launch, ...]:
    rows: dict[str, list[Purchase]] = {}
    for purchase in planned.purchases:
        rows.setdefault(purchase.node_type, []).append(purchase)
    return tuple(
        Launch(
            name,
            sum(row.count for row in of_type),
            reasons.launch(name, of_type, snapshot),
            planned.loads[name],
        )
        for name, of_type in rows.items()
    )


def _end(nodes: list[Node], reason: Reason, snapshot: Snapshot) -> End:
    return End(tuple(sorted(node.id for node in nodes)), reason(nodes, snapshot))


def _without(nodes: Iterable[Node], snapshot: Snapshot) -> Snapshot:
    """The snapshot as it will be when these nodes drain: they still count, but hold no work."""
    draining = {node.id: replace(node, state=NodeState.DRAINING) for node in nodes}
    if not draining:
        return snapshot
    return replace(snapshot, nodes=tuple(draining.get(n.id, n) for n in snapshot.nodes))


def _surplus(snapshot: Snapshot) -> list[Node]:
    """Nodes beyond max_workers of their type, then beyond that of the cluster."""
    count = _count(snapshot)
    order = sorted((node for node in snapshot.nodes if node.is_capacity), key=_least_useful_first)
    over_type = _take(order, count, lambda node: count[node.type] > _maximum(node, snapshot))
    ids = {node.id for node in over_type}
    rest = [node for node in order if node.id not in ids]
    limit = snapshot.limits.max_workers
    return over_type + _take(
        rest,
        count,
        lambda node: count.total() > limit and count[node.type] > _minimum(node, snapshot),
    )


def _least_useful_first(node: Node) -> tuple[object, ...]:
    pending = node.state.is_pending
    busy = not pending and node.idle_since is None
    idle_since = -node.since if node.idle_since is None else node.idle_since
    return busy, pending, idle_since, node.id


def _unneeded(snapshot: Snapshot, used: frozenset[str]) -> list[Node]:
    """Pending nodes that hold nothing in the plan, the newest first, down to the minimum."""
    count = _count(snapshot)
    pending = (node for node in snapshot.nodes if node.state.is_pending and node.id not in used)
    newest_first = sorted(pending, key=lambda node: (-node.since, node.id))
    return _take(newest_first, count, lambda node: count[node.type] > _minimum(node, snapshot))


def _is_long_unneeded(node: Node, snapshot: Snapshot) -> bool:
    since = node.unneeded_since
    return since is not None and snapshot.now - since >= UNNEEDED_SECONDS


def _idle(snapshot: Snapshot, requested: frozenset[str]) -> list[Node]:
    """Nodes that have idled too long, the longest first, down to the minimum.

    Those that are due one after the other, since their last tasks ended so, end in one batch.
    """
    count = _count(snapshot)
    idle = [
        (snapshot.now - node.idle_since - idle_limit(node, snapshot), node)
        for node in snapshot.nodes
        if node.state is NodeState.READY
        and node.idle_since is not None
        and node.id not in requested
        and not _has_work_for(node, snapshot)
    ]
    due = [(over, node) for over, node in idle if over >= 0]
    if not due or (
        max(over for over, _ in due) < LONGEST_WAIT
        and any(-GATHER_SECONDS <= over < 0 for over, _ in idle)
    ):
        return []
    longest_first = [node for _, node in sorted(due, key=lambda row: (-row[0], row[1].id))]
    return _take(longest_first, count, lambda node: count[node.type] > _minimum(node, snapshot))


def _in_the_way(snapshot: Snapshot, later: Plan) -> list[Node]:
    """Idle nodes that take the place of nodes that tasks without room need; the longest idle first.

    As many as nodes would be launched beside those that are, if none of them were there.

    Parameters
    ----------
    snapshot : Snapshot
        With the demands of which `later` is the plan.
    """
    idle = [
        node
        for node in snapshot.nodes
        if node.state is NodeState.READY
        and node.idle_since is not None
        and node.id not in later.used
    ]
    count = _count(snapshot)
    longest_first = sorted(idle, key=lambda node: (node.idle_since or 0.0, node.id))
    spare = _take(longest_first, count, lambda node: count[node.type] > _minimum(node, snapshot))
    if not later.unplaced or not spare or snapshot.closing:
        return []
    gone = {node.id for node in spare}
    others = tuple(node for node in snapshot.nodes if node.id not in gone)
    without = plan(replace(snapshot, nodes=others), search=False)
    if _left(without) >= _left(later):
        return []  # what stands in the way is something else
    return spare[: max(0, _bought(without) - _bought(later))]


def _left(planned: Plan) -> int:
    return sum(count for _, count in planned.unplaced)


def _bought(planned: Plan) -> int:
    return sum(row.count for row in planned.purchases)


def _take(
    nodes: Iterable[Node], count: Counter[str], condition: Callable[[Node], bool]
) -> list[Node]:
    """The nodes that meet the condition, which sees `count` go down with each one taken."""
    taken = []
    for node in nodes:
        if not node.kept_because and condition(node):
            count[node.type] -= 1
            taken.append(node)
    return taken


def _count(snapshot: Snapshot) -> Counter[str]:
    return Counter(node.type for node in snapshot.nodes if node.is_capacity)


def _has_work_for(node: Node, snapshot: Snapshot) -> bool:
    return any(d.queued and d.shape.fits(node.resources) for d in snapshot.demands)


def _minimum(node: Node, snapshot: Snapshot) -> int:
    node_type = snapshot.node_types.get(node.type)
    return node_type.min_workers if node_type else 0


def _maximum(node: Node, snapshot: Snapshot) -> int:
    node_type = snapshot.node_types.get(node.type)
    return node_type.max_workers if node_type else 0
