"""Whether any node can ever run a task of a shape, and if not, the sentence that says why."""

from __future__ import annotations

from jupyter_cluster.autoscaler.prices import hourly_price
from jupyter_cluster.model import NodeType, Snapshot
from jupyter_cluster.resources import Resources


def why_infeasible(shape: Resources, snapshot: Snapshot) -> str:
    """Why no node of this cluster can ever hold a task of this shape; empty where one can.

    A type that cools down counts as able, and so does a node that is there although its type has
    gone from the config.
    """
    if not snapshot.node_types and not _fits_a_node(shape, snapshot):
        return f"{shape}: the cluster has no node types; add one under available_node_types"
    able = [t for _, t in sorted(snapshot.node_types.items()) if shape.fits(t.resources)]
    obstacles = [_obstacle(node_type, snapshot) for node_type in able]
    if not all(obstacles) or _fits_a_node(shape, snapshot):
        return ""
    if not able:
        return _nothing_is_large_enough(shape, snapshot)
    names = " and ".join(node_type.name for node_type in able)
    return f"{shape}: only {names} can hold it, but {'; '.join(dict.fromkeys(obstacles))}"


def _fits_a_node(shape: Resources, snapshot: Snapshot) -> bool:
    return any(shape.fits(resources) for resources in snapshot.sizes)


def _nothing_is_large_enough(shape: Resources, snapshot: Snapshot) -> str:
    nearest = min(snapshot.node_types.values(), key=lambda t: (*_distance(shape, t), t.name))
    lacking = shape.lacking(nearest.resources)
    return (
        f"{shape}: no node type can hold it; the nearest, {nearest.name}, "
        f"has {nearest.resources} and lacks {lacking}{_spelling(lacking, snapshot)}"
    )


def _spelling(lacking: Resources, snapshot: Snapshot) -> str:
    """A hint where a name differs from a known one only in capitals."""
    known = {name.lower(): name for t in snapshot.node_types.values() for name, _ in t.resources}
    hints = [
        known[name.lower()]
        for name, _ in lacking
        if name not in known.values() and name.lower() in known
    ]
    return f"; did you mean {' and '.join(hints)}?" if hints else ""


def _distance(shape: Resources, node_type: NodeType) -> tuple[int, float]:
    """How many resources are missing altogether, then the largest share that is lacking."""
    lacking = shape.lacking(node_type.resources).by_name
    absent = sum(name not in node_type.resources.by_name for name in lacking)
    return absent, max(units / shape.by_name[name] for name, units in lacking.items())


def _obstacle(node_type: NodeType, snapshot: Snapshot) -> str:
    limits, price = snapshot.limits, hourly_price(node_type)
    if not limits.max_workers:
        return "max_workers of the cluster is 0"
    if not node_type.max_workers:
        return f"max_workers of {node_type.name} is 0"
    if limits.max_hourly_cost is not None and price > limits.max_hourly_cost:
        return (
            f"one {node_type.name} costs {'' if node_type.price is not None else 'about '}"
            f"{price:.3g} USD per hour "
            f"and max_hourly_cost is {limits.max_hourly_cost:g}"
        )
    return ""
