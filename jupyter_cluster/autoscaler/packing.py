"""Which nodes to launch for minima, explicit requests and queued tasks.

First fit by groups: shapes that few node types can hold go first, then large ones; each takes the
room that is there or on its way, and for the rest the type is bought that costs least per task.
Then, where something is to be bought, a search for a cheaper set (see `improvement`). Neither the
number of tasks nor the order of the input changes the plan.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import IntEnum
from math import fsum

from jupyter_cluster.autoscaler.feasibility import why_infeasible
from jupyter_cluster.autoscaler.fleet import Fleet, groups_of, new_groups
from jupyter_cluster.autoscaler.improvement import Counts, Packing, head_start, lower_bound
from jupyter_cluster.autoscaler.market import Market
from jupyter_cluster.autoscaler.prices import hourly_price
from jupyter_cluster.model import Infeasible, Load, Node, Snapshot
from jupyter_cluster.resources import GPU, Resources

# The plan of the last round is kept unless another one does with this share of its pending nodes.
CLEARLY = 0.9


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
    loads : mapping
        For each type to launch, what tasks each of its new nodes is meant to hold.
    requested : frozenset of str
        Ids of the nodes that explicit requests need.
    used : frozenset of str
        Ids of the nodes that requests or queued tasks use.
    unplaced : tuple
        Shapes and counts of tasks that a node could hold but that got none within the limits.
    infeasible : tuple of Infeasible
        Tasks and requests that no node can ever hold.
    cost : float
        USD per hour of the nodes to launch; prices that are not known are estimated.
    bound : float
        USD per hour that no launch set for the same tasks can undercut, given the nodes that
        minima and requests need; 0 where the plan was made without a search.
    """

    purchases: tuple[Purchase, ...] = ()
    loads: Mapping[str, tuple[Load, ...]] = field(default_factory=dict)
    requested: frozenset[str] = frozenset()
    used: frozenset[str] = frozenset()
    unplaced: tuple[tuple[Resources, int], ...] = ()
    infeasible: tuple[Infeasible, ...] = ()
    cost: float = 0.0
    bound: float = 0.0


def plan(snapshot: Snapshot, search: bool = True) -> Plan:
    """Pack minima, explicit requests and queued tasks onto nodes, and buy what is missing.

    Requests are held against all that a node has, whether or not tasks use it; queued tasks take
    what is free. Once the purchases are in the snapshot as pending nodes, with their loads, the
    plan asks for nothing more.

    Parameters
    ----------
    snapshot : Snapshot
        `closing` and `now` play no part.
    search : bool
        Look for a better launch set than first fit finds, which takes about 50 ms for twenty
        shapes, and for the bound.
    """
    requests, queued = _requests(snapshot), _queued(snapshot)
    reasons = _infeasible(requests + queued, snapshot)
    infeasible = Counter({shape: (requests + queued)[shape] for shape in reasons})
    nodes = _usable(snapshot.nodes)
    market = Market(snapshot)

    minima = _buy_minima(nodes, snapshot, market)
    held = _minimum_nodes(nodes, snapshot)
    whole = groups_of(nodes if requests else (), snapshot, held, whole=True)
    groups = whole + new_groups(minima, snapshot)
    asked = _first_fit(Fleet(groups, market), requests - infeasible, snapshot).fleet

    requested = asked.used
    fixed = minima + _by_type(asked)
    there = [*nodes, snapshot.head] if snapshot.head else nodes
    groups = groups_of(there, snapshot, held | requested, whole=False)
    empty = Fleet(groups + new_groups(fixed, snapshot), asked.market)
    wanted = queued - infeasible
    best = _pack(empty, wanted, snapshot, search)
    paid = fsum(hourly_price(snapshot.node_types[name]) * n for name, n in fixed.items())
    return Plan(
        purchases=_purchases(
            minima, asked, best.fleet, _hardest_first(requests + queued - infeasible, snapshot)
        ),
        loads=_loads(best.fleet),
        requested=requested,
        used=requested | best.fleet.used,
        unplaced=tuple(sorted(best.left.items(), key=lambda row: row[0].units)),
        infeasible=tuple(Infeasible(s, infeasible[s], why) for s, why in reasons.items()),
        cost=paid + best.cost,
        bound=paid + min(best.cost, lower_bound(empty, wanted - best.left)) if search else 0.0,
    )


def _pack(fleet: Fleet, counts: Counter[Resources], snapshot: Snapshot, search: bool) -> Packing:
    """The best of first fit, of the last plan remembered, and of a search."""
    first = _first_fit(fleet.copy(), counts, snapshot)
    best = _remembered(fleet, counts, first, snapshot)
    if search and (best.fleet.bought or best.left):
        start = head_start(fleet, counts, best)
        if start is not None:
            found = _first_fit(start, counts - start.placed, snapshot)
            best = min((best, found), key=lambda one: _rank(one, counts))
    return best


def _remembered(
    fleet: Fleet, counts: Counter[Resources], first: Packing, snapshot: Snapshot
) -> Packing:
    """The last plan, unless first fit is clearly better: a plan must not change its mind."""
    if not any(group.meant_for for group in fleet.groups):
        return first
    last, rest = fleet.copy(), Counter(counts)
    last.remember(rest)
    packing = _first_fit(last, +rest, snapshot)
    if packing.left.total() > first.left.total():
        return first
    return first if first.pending_weight < CLEARLY * packing.pending_weight else packing


def _first_fit(fleet: Fleet, counts: Counts, snapshot: Snapshot) -> Packing:
    """Place the shapes on the fleet, the hardest first."""
    left = {shape: fleet.place(shape, counts[shape]) for shape in _hardest_first(counts, snapshot)}
    return Packing(fleet, +Counter(left))


def _rank(packing: Packing, counts: Counts) -> tuple[float, ...]:
    """Every shape is to have a node, then as many tasks as can be, then cost counts."""
    without = sum(packing.left[shape] == count for shape, count in counts.items())
    return without, packing.left.total(), round(packing.weight, 9)


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


def _infeasible(counts: Counts, snapshot: Snapshot) -> dict[Resources, str]:
    """Shapes that no node can ever hold, and why."""
    shapes = sorted(counts, key=lambda shape: shape.units)
    return {shape: why for shape in shapes if (why := why_infeasible(shape, snapshot))}


def _usable(nodes: Iterable[Node]) -> list[Node]:
    """Nodes that are up or on their way, so that what has to stay is filled first.

    Within a group tasks and requests fill nodes in this order: those that work or are kept come
    before those that idle, and of these the one that has idled longest is last.
    """

    def order(node: Node) -> tuple[object, ...]:
        idle = node.idle_since is not None and not node.kept_because
        return idle, -(node.idle_since or 0), node.since, node.id

    return sorted((node for node in nodes if node.is_capacity), key=order)


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
    held: set[str] = set()
    if not any(node_type.min_workers for node_type in snapshot.node_types.values()):
        return frozenset()
    for node in sorted(nodes, key=lambda n: (n.state.is_pending, n.since, n.id)):
        node_type = snapshot.node_types.get(node.type)
        if node_type and taken[node.type] < node_type.min_workers:
            taken[node.type] += 1
            held.add(node.id)
    return frozenset(held)


def _hardest_first(shapes: Iterable[Resources], snapshot: Snapshot) -> list[Resources]:
    """Shapes that need a GPU, then those that few types can hold, then the largest.

    A shape is as large as its largest share of the most that any type has of a resource; a plain
    sum of amounts would let memory in bytes drown everything else.
    """
    types = [node_type.resources for node_type in snapshot.node_types.values()]
    most: dict[str, int] = {}
    for resources in (*types, *snapshot.sizes):
        for name, units in resources:
            most[name] = max(units, most.get(name, 0))

    def order(shape: Resources) -> tuple[object, ...]:
        holders = sum(shape.fits(resources) for resources in types)
        share = max((units / most[name] for name, units in shape), default=0.0)
        return not shape.get(GPU), holders, -share, shape.units

    return sorted(shapes, key=order)


def _by_type(fleet: Fleet) -> Counter[str]:
    counts: Counter[str] = Counter()
    for group in fleet.bought:
        counts[group.node_type.name] += len(group.members)
    return counts


def _purchases(
    minima: Mapping[str, int], asked: Fleet, tasks: Fleet, hardest_first: Iterable[Resources]
) -> tuple[Purchase, ...]:
    """What is bought; of the tasks that a node is for, those name it that were hardest to place."""
    rows = [Purchase(name, Cause.MINIMUM, count) for name, count in minima.items()]
    for cause, fleet in ((Cause.REQUEST, asked), (Cause.DEMAND, tasks)):
        counts: Counter[tuple[str, Resources]] = Counter()
        rank = {shape: number for number, shape in enumerate(hardest_first)}
        for group in fleet.bought:
            shape = min((shape for shape, _ in group.load), key=rank.__getitem__)
            counts[group.node_type.name, shape] += len(group.members)
        rows += [Purchase(name, cause, n, shape) for (name, shape), n in counts.items()]
    return tuple(sorted(rows, key=_row_order))


def _loads(fleet: Fleet) -> dict[str, tuple[Load, ...]]:
    """What the nodes that are not there yet are meant to hold, by type."""
    loads: dict[str, list[Load]] = {}
    for group in fleet.groups:
        if isinstance(group.members, range) and group.members:
            rows = loads.setdefault(group.node_type.name, [])
            rows.extend([group.load] * len(group.members))
    return {name: tuple(rows) for name, rows in loads.items()}


def _row_order(row: Purchase) -> tuple[object, ...]:
    return row.node_type, row.cause, row.shape.units if row.shape else ()
