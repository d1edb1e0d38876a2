"""Which nodes to launch for minima, explicit requests and queued tasks.

The algorithm is first fit by groups. Shapes that few node types can hold go first, then large ones;
each takes the room that is there or on its way, and for the rest the type is bought that costs
least per task. Neither the number of tasks nor the order of the input changes the plan.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import IntEnum

from jupyter_cluster.autoscaler.feasibility import why_infeasible
from jupyter_cluster.autoscaler.fleet import Fleet, groups_of, is_capacity, new_groups
from jupyter_cluster.autoscaler.market import Market
from jupyter_cluster.model import GPU, Infeasible, Node, Resources, Snapshot

Counts = Mapping[Resources, int]


class Cause(IntEnum):
    """What a node is bought for, in the order in which causes are served."""

    MINIMUM = 0
    REQUEST = 1
    DEMAND = 2


@dataclass(frozen=True)
class Purchase:
    """`count` nodes of one type for one cause.

    Attributes
    ----------
    shape : Resources or None
        Whose tasks or requests made it necessary; None for a minimum.
    """

    node_type: str
    cause: Cause
    count: int
    shape: Resources | None = None


@dataclass(frozen=True)
class Plan:
    """What the nodes are for, and what is missing.

    Attributes
    ----------
    purchases : tuple of Purchase
        Nodes to launch, sorted; never more than the limits allow.
    requested : frozenset of str
        Ids of the nodes that explicit requests need.
    used : frozenset of str
        Ids of the nodes that requests or queued tasks use.
    unplaced : tuple
        Shapes and counts of tasks that a node could hold but that got none within the limits.
    infeasible : tuple of Infeasible
        Tasks and requests that no node can ever hold.
    """

    purchases: tuple[Purchase, ...] = ()
    requested: frozenset[str] = frozenset()
    used: frozenset[str] = frozenset()
    unplaced: tuple[tuple[Resources, int], ...] = ()
    infeasible: tuple[Infeasible, ...] = ()


def plan(snapshot: Snapshot) -> Plan:
    """Pack minima, explicit requests and queued tasks onto nodes, and buy what is missing.

    Requests are held against all that a node has, whether or not tasks use it; queued tasks take
    what is free. Once the purchases are in the snapshot as pending nodes, the plan asks for nothing
    more.

    Parameters
    ----------
    snapshot : Snapshot
        `closing` and `now` play no part.
    """
    requests, queued = _requests(snapshot), _queued(snapshot)
    infeasible = _infeasible(requests + queued, snapshot)
    nodes = _usable(snapshot.nodes)
    market = Market(snapshot)

    minima = _buy_minima(nodes, snapshot, market)
    held = _minimum_nodes(nodes, snapshot)
    asked = Fleet(
        groups_of(nodes, snapshot, held, whole=True) + new_groups(minima, snapshot), market
    )
    _place(asked, requests - infeasible, snapshot)

    requested = frozenset(asked.used)
    fixed = minima + _by_type(asked.bought)
    tasks = Fleet(
        groups_of(nodes, snapshot, held | requested, whole=False) + new_groups(fixed, snapshot),
        market,
    )
    unplaced = _place(tasks, queued - infeasible, snapshot)

    return Plan(
        purchases=_purchases(minima, asked, tasks),
        requested=requested,
        used=requested | tasks.used,
        unplaced=unplaced,
        infeasible=_explain(infeasible, snapshot),
    )


def _requests(snapshot: Snapshot) -> Counter[Resources]:
    counts: Counter[Resources] = Counter()
    for shape, count in snapshot.requests:
        counts[shape] += count
    return +counts


def _queued(snapshot: Snapshot) -> Counter[Resources]:
    counts: Counter[Resources] = Counter()
    for demand in snapshot.demands:
        counts[demand.shape] += demand.queued
    return +counts


def _infeasible(counts: Counter[Resources], snapshot: Snapshot) -> Counter[Resources]:
    return Counter({s: n for s, n in counts.items() if why_infeasible(s, snapshot)})


def _explain(counts: Counts, snapshot: Snapshot) -> tuple[Infeasible, ...]:
    ordered = sorted(counts.items(), key=lambda item: item[0].units)
    return tuple(Infeasible(s, n, why_infeasible(s, snapshot)) for s, n in ordered)


def _usable(nodes: Iterable[Node]) -> list[Node]:
    """Nodes that are up or on their way, so that what has to stay is filled first.

    Within a group tasks and requests fill nodes in this order: those that work or are kept come
    before those that idle, and of these the one that has idled longest is last.
    """

    def order(node: Node) -> tuple[object, ...]:
        idle = node.idle_since is not None and not node.kept_because
        return idle, -(node.idle_since or 0), node.since, node.id

    return sorted(filter(is_capacity, nodes), key=order)


def _buy_minima(nodes: list[Node], snapshot: Snapshot, market: Market) -> Counter[str]:
    have = Counter(node.type for node in nodes)
    bought: Counter[str] = Counter()
    for name, node_type in sorted(snapshot.node_types.items()):
        bought[name] = market.missing_minimum(node_type, have[name])
        market.buy(node_type, bought[name])
    return +bought


def _minimum_nodes(nodes: list[Node], snapshot: Snapshot) -> frozenset[str]:
    """Ids of the nodes that make up the minima: those that are up, then the oldest."""
    taken: Counter[str] = Counter()
    held = set()
    for node in sorted(nodes, key=lambda n: (n.state.is_pending, n.since, n.id)):
        node_type = snapshot.node_types.get(node.type)
        if node_type and taken[node.type] < node_type.min_workers:
            taken[node.type] += 1
            held.add(node.id)
    return frozenset(held)


def _place(fleet: Fleet, counts: Counts, snapshot: Snapshot) -> tuple[tuple[Resources, int], ...]:
    left = [
        (shape, fleet.place(shape, counts[shape])) for shape in _hardest_first(counts, snapshot)
    ]
    return tuple((shape, count) for shape, count in left if count)


def _hardest_first(shapes: Iterable[Resources], snapshot: Snapshot) -> list[Resources]:
    """Shapes that need a GPU, then those that few types can hold, then the largest.

    A shape is as large as its largest share of the most that any type has of a resource; a plain
    sum of amounts would let memory in bytes drown everything else.
    """
    types = [node_type.resources for node_type in snapshot.node_types.values()]
    most: dict[str, int] = {}
    for resources in types + [node.resources for node in snapshot.nodes]:
        for name, units in resources:
            most[name] = max(units, most.get(name, 0))

    def order(shape: Resources) -> tuple[object, ...]:
        holders = sum(shape.fits(resources) for resources in types)
        share = max((units / most[name] for name, units in shape), default=0.0)
        return not shape.get(GPU), holders, -share, shape.units

    return sorted(shapes, key=order)


def _by_type(bought: Mapping[tuple[str, Resources], int]) -> Counter[str]:
    counts: Counter[str] = Counter()
    for (name, _), count in bought.items():
        counts[name] += count
    return counts


def _purchases(minima: Mapping[str, int], asked: Fleet, tasks: Fleet) -> tuple[Purchase, ...]:
    rows = [Purchase(name, Cause.MINIMUM, count) for name, count in minima.items()]
    for cause, fleet in ((Cause.REQUEST, asked), (Cause.DEMAND, tasks)):
        rows += [Purchase(name, cause, n, shape) for (name, shape), n in fleet.bought.items()]
    return tuple(sorted(rows, key=_row_order))


def _row_order(row: Purchase) -> tuple[object, ...]:
    return row.node_type, row.cause, row.shape.units if row.shape else ()
