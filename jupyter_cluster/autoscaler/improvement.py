"""From a good launch set to a better one, and a bound that says how good it is."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import fsum, inf

import numpy as np

from jupyter_cluster.autoscaler.bins import Bin, Problem, make_problem
from jupyter_cluster.autoscaler.bound import pooled_bound
from jupyter_cluster.autoscaler.columns import Filling, best_mix
from jupyter_cluster.autoscaler.fleet import Fleet, Tier
from jupyter_cluster.autoscaler.market import Market, wastes_gpu
from jupyter_cluster.autoscaler.prices import estimated_price, hourly_price, weight
from jupyter_cluster.autoscaler.rounding import whole_nodes
from jupyter_cluster.model import Load, NodeType
from jupyter_cluster.resources import GPU, Resources

# The search looks at this many groups of nodes that are there; the largest rooms first.
MAX_GROUPS = 16
# A launch set this close to the bound is not worth a search.
CLOSE = 1.002

Counts = Mapping[Resources, int]
# What a bin stands for: a type that may be bought, or the number of a group in the fleet.
Source = NodeType | int
Price = Callable[[NodeType], float]


@dataclass(frozen=True)
class Packing:
    """Tasks on nodes, some of them to be bought.

    Attributes
    ----------
    left : Counter
        Tasks without room.
    """

    fleet: Fleet
    left: Counter[Resources]

    @property
    def cost(self) -> float:
        """USD per hour of the nodes to buy."""
        return self._sum(hourly_price)

    @property
    def weight(self) -> float:
        """What they count when packings are compared."""
        return self._sum(weight)

    @property
    def pending_weight(self) -> float:
        """What the nodes count that are bought or on their way and have been given tasks."""
        return fsum(
            weight(group.node_type) * len(group.members)
            for group in self.fleet.groups
            if group.load and group.order[0] is not Tier.UP
        )

    def _sum(self, price: Price) -> float:
        return fsum(price(g.node_type) * len(g.members) for g in self.fleet.bought)


def lower_bound(fleet: Fleet, placed: Counts) -> float:
    """USD per hour that no launch set for these tasks can undercut.

    Parameters
    ----------
    fleet : Fleet
        Nodes that are there, and what may be bought.
    """
    scale = _scale(fleet.market)
    problem, _ = _problem(fleet, placed, lambda t: hourly_price(t) / scale, scale, pool=True)
    found = problem and pooled_bound(problem, in_whole_nodes=True)
    return max(0.0, found.value * scale) if found else 0.0


def head_start(fleet: Fleet, counts: Counter[Resources], first: Packing) -> Fleet | None:
    """A copy of the fleet with whole nodes of the best mix of fillings.

    They hold most tasks; the rest is to be placed one shape after the other. None where the first
    packing is close to the bound. First fit places GPU tasks first, and no more GPU nodes are taken
    than it needed: else GPU tasks would be spread out to buy cheap CPUs.

    Parameters
    ----------
    fleet : Fleet
        As it was before the first packing.
    """
    gpu_nodes = sum(len(g.members) for g in first.fleet.bought if g.node_type.resources.get(GPU))
    scale = _scale(fleet.market)
    problem, sources = _problem(fleet, counts, lambda t: weight(t) / scale, scale, gpu_nodes)
    if problem is None or (bound := pooled_bound(problem)) is None:
        return None
    first_weight = first.weight / scale
    enough = bound.value + (CLOSE - 1) * first_weight
    if first_weight + problem.penalty(first.left) <= enough:
        return None
    known = _fillings(first.fleet, problem, sources)
    mix = best_mix(problem, bound.prices, known, enough)
    if mix is None:
        return None
    trial = fleet.copy()
    for filling, nodes in whole_nodes(problem, mix):
        source = sources[filling.bin]
        group = trial.buy(source, nodes) if isinstance(source, NodeType) else trial.groups[source]
        trial.put(group, _load(filling, problem), nodes)
    return trial


def _load(filling: Filling, problem: Problem) -> Load:
    return tuple((s, int(n)) for s, n in zip(problem.shapes, filling.tasks, strict=True) if n)


def _fillings(fleet: Fleet, problem: Problem, sources: Sequence[Source]) -> list[Filling]:
    """How a packing fills the nodes that it buys."""
    at = {source.name: i for i, source in enumerate(sources) if isinstance(source, NodeType)}
    loads = {(group.node_type.name, group.load) for group in fleet.bought}
    found = []
    for name, load in sorted(loads, key=lambda row: (row[0], [(s.units, n) for s, n in row[1]])):
        counts = Counter[Resources]()
        for shape, each in load:
            counts[shape] += each
        found.append(Filling(at[name], np.array([counts[s] for s in problem.shapes], np.int64)))
    return found


def _scale(market: Market) -> float:
    """USD per hour of the dearest type: prices are shares of it, whatever they are."""
    return max((weight(node_type) for node_type in market.open_types), default=1.0)


def _problem(
    fleet: Fleet,
    counts: Counts,
    price: Price,
    scale: float,
    gpu_nodes: float = inf,
    pool: bool = False,
) -> tuple[Problem | None, list[Source]]:
    """The packing problem, and for each of its bins the type or the number of the group.

    Of the groups that are too many, `pool` makes one large node, which only a bound may use.
    """
    rooms = [
        (number, group)
        for number, group in enumerate(fleet.groups)
        if group.members and any(shape.fits(group.room) for shape in counts)
    ]
    rooms.sort(key=lambda row: (-estimated_price(row[1].room) * len(row[1].members), row[0]))
    types = fleet.market.open_types
    sources: list[Source] = [number for number, _ in rooms[:MAX_GROUPS]]
    bins = [Bin(g.room, 0.0, len(g.members), is_new=False) for _, g in rooms[:MAX_GROUPS]]
    if pool and rooms[MAX_GROUPS:]:
        sources.append(rooms[MAX_GROUPS][0])
        pooled = Resources()
        for _, group in rooms[MAX_GROUPS:]:
            pooled = pooled.plus(group.room, len(group.members))
        bins.append(Bin(pooled, 0.0, 1, is_new=False))
    bins += [
        Bin(t.resources, price(t), fleet.market.room(t), _refused(t, counts, fleet.market))
        for t in types
    ]
    market = fleet.market
    problem = make_problem(counts, bins, (market.nodes_left, market.budget_left / scale, gpu_nodes))
    return problem, [*sources, *types]


def _refused(
    node_type: NodeType, shapes: Iterable[Resources], market: Market
) -> frozenset[Resources]:
    """Shapes that must not buy this type, for its GPUs, since another type can take them."""
    return frozenset(
        shape for shape in shapes if wastes_gpu(node_type, shape) and market.has_lean_type(shape)
    )
