"""Lower bounds: what no planner can beat on the same work."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import accumulate, pairwise
from math import inf

from jupyter_cluster.autoscaler.bound import cost_of_hours
from jupyter_cluster.autoscaler.prices import hourly_price
from jupyter_cluster.model import Limits, NodeType
from jupyter_cluster.resources import Resources
from jupyter_cluster.simulator.work import Drawn

# How much of something a node type has room for at a time, e.g. tasks of one shape.
Size = Callable[[NodeType], float]
# When work arrives and how much of it there is, in the unit of a size times seconds.
Arrivals = Sequence[tuple[float, float]]


def least_seconds(
    drawn: Sequence[Drawn],
    node_types: Mapping[str, NodeType],
    limits: Limits,
    boots: Mapping[str, Sequence[float]],
    asked: float,
) -> float:
    """When the last task can end at the earliest, in seconds since the start.

    The largest fleet that the limits allow is requested at `asked`, becomes ready node by node in
    the order of the shortest boot times, and works without a gap on all that has arrived. The
    bound is the largest of: the tasks of each shape alone; what all tasks need of each resource;
    for each batch its longest task, not before it has arrived and a node is ready; each of the
    first two for all work and for what arrives from each later moment on.

    Parameters
    ----------
    boots
        Boot times of the nodes of each type, as many as there may be.
    asked
        When the first node can be requested.
    """
    ready = sorted(seconds for times in boots.values() for seconds in times)
    first = asked + min(ready, default=0.0)
    longest = [max(first, one.batch.at) + one.longest for one in drawn]
    flows = [
        _least_end(arrivals, _largest_fleet(size, node_types, limits), ready, asked)
        for size, arrivals in _views(drawn)
    ]
    return max([0.0, *longest, *flows])


def least_cost(drawn: Sequence[Drawn], node_types: Mapping[str, NodeType]) -> float:
    """What the work costs at the least, in USD: no boot, no idle time.

    The linear program that bounds launch sets, with hours of tasks in the place of tasks.
    """
    hours: defaultdict[Resources, float] = defaultdict(float)
    for one in drawn:
        hours[one.batch.shape] += one.seconds / 3600
    return cost_of_hours(node_types.values(), hours)


def _views(drawn: Sequence[Drawn]) -> Sequence[tuple[Size, Arrivals]]:
    """The work shape by shape, then resource by resource."""
    by_shape: dict[Resources, list[tuple[float, float]]] = defaultdict(list)
    by_resource: dict[str, list[tuple[float, float]]] = defaultdict(list)
    for one in (one for one in drawn if one.seconds):
        at, shape = one.batch.at, one.batch.shape
        by_shape[shape].append((at, one.seconds))
        for name, _ in shape:
            by_resource[name].append((at, one.seconds * shape.get(name)))
    return [
        *((_slots(shape), arrivals) for shape, arrivals in by_shape.items()),
        *((_amount(name), arrivals) for name, arrivals in by_resource.items()),
    ]


def _slots(shape: Resources) -> Size:
    return lambda node_type: shape.count_in(node_type.resources)


def _amount(name: str) -> Size:
    return lambda node_type: node_type.resources.get(name)


def _cheapest(size: Size, node_types: Iterable[NodeType]) -> float:
    """USD per hour for one."""
    able = [node_type for node_type in node_types if size(node_type) and node_type.max_workers]
    return min((hourly_price(one) / size(one) for one in able), default=0.0)


def _largest_fleet(size: Size, node_types: Mapping[str, NodeType], limits: Limits) -> list[float]:
    """Sizes of the nodes of the largest fleet, the largest first."""
    nodes: list[float] = []
    for node_type in sorted(node_types.values(), key=size, reverse=True):
        left = limits.max_workers - len(nodes)
        nodes += [size(node_type)] * min(node_type.max_workers, left)
    price = _cheapest(size, node_types.values())
    if limits.max_hourly_cost is None or not price:
        return nodes
    most = limits.max_hourly_cost / price
    sums = [0.0, *accumulate(nodes)]
    return [min(most, after) - min(most, before) for before, after in pairwise(sums)]


def _least_end(
    arrivals: Arrivals, nodes: Sequence[float], ready: Sequence[float], asked: float
) -> float:
    """When the work can have flowed through the nodes, whichever arrivals one looks at."""
    moments = sorted({at for at, _ in arrivals})
    return max(
        _flow_end(sum(work for at, work in arrivals if at >= moment), moment, nodes, ready, asked)
        for moment in moments
    )


def _flow_end(
    work: float, moment: float, nodes: Sequence[float], ready: Sequence[float], asked: float
) -> float:
    """When the work that is there from a moment on can have flowed through the nodes."""
    end, rate, done_before = inf, 0.0, 0.0
    for size, seconds in zip(nodes, ready, strict=False):
        start = max(moment, asked + seconds)
        if start >= end:
            break
        rate, done_before = rate + size, done_before + size * start
        # At the time t the nodes so far have done rate × t - done_before.
        end = (work + done_before) / rate if rate else inf
    return end if end < inf else moment
