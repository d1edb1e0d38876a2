"""What `up` is about to do, and what it will cost. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from jupyter_cluster.commands.tables import Table
from jupyter_cluster.config import ClusterConfig
from jupyter_cluster.formats import counted, format_seconds, money, place_text
from jupyter_cluster.model import NodeType
from jupyter_cluster.resources import resources_text


def plan_parts(
    config: ClusterConfig, types: Mapping[str, NodeType] | None = None
) -> list[str | Table]:
    """What `up` is about to do, with the node types as their provider knows them."""
    types = types or config.node_types()
    rows = [_type_row(node_type) for node_type in types.values()]
    if config.provider.type != "local":
        rows.insert(0, _head_row(types[config.head_node_type]))
    headings = ("node type", "resources of each", "at least", "at most", "USD per hour")
    table = Table("plan", headings, rows, headings[2:])
    minutes = config.cluster_idle_timeout_minutes
    ends = (
        f"It ends itself after {format_seconds(minutes * 60)} without a task and a client"
        if minutes
        else "It runs until it is taken down"
    )
    return [
        f"Cluster {config.cluster_name!r} on {place_text(config.provider.type)}: at most"
        f" {counted(config.max_workers, 'worker node')}",
        f"It costs {price_text(config, types)}. {ends}.",
        table,
    ]


def _head_row(node_type: NodeType) -> tuple[str, ...]:
    """The head is one machine more, and never a spot instance."""
    _name, resources, *_limits = _type_row(node_type)
    return f"the head ({node_type.name})", resources, "1", "1", _usd(node_type.dearest)


def _type_row(node_type: NodeType) -> tuple[str, ...]:
    price = _usd(node_type.price)
    if node_type.spot and node_type.dearest != node_type.price:
        price += f" as spot, else {_usd(node_type.dearest)}"
    return (
        node_type.name,
        resources_text(node_type.resources.as_dict()) or "those of the machine",
        str(node_type.min_workers),
        str(node_type.max_workers),
        price,
    )


def _usd(price: float | None) -> str:
    return "unknown" if price is None else f"{price:.4g}"


def price_text(config: ClusterConfig, types: Mapping[str, NodeType] | None = None) -> str:
    """What the cluster costs per hour, at its smallest and its largest."""
    if config.provider.type == "local":
        return "nothing"
    types = types or config.node_types()
    head = types[config.head_node_type].dearest
    if head is None or any(None in (one.price, one.dearest) for one in types.values()):
        return "an unknown price per hour"
    least = head + sum(one.min_workers * (one.price or 0.0) for one in types.values())
    most = head + most_expensive(list(types.values()), config.max_workers)
    if config.max_hourly_cost is not None:
        most = min(most, head + config.max_hourly_cost)
    return f"{money(least)} per hour at the least and {money(most)} at the most"


def most_expensive(types: Sequence[NodeType], max_workers: int) -> float:
    """USD per hour of `max_workers` workers, the dearest types first, none of them as spot."""
    left, total = max_workers, 0.0
    for one in sorted(types, key=lambda one: -(one.dearest or 0.0)):
        count = min(left, one.max_workers)
        left, total = left - count, total + count * (one.dearest or 0.0)
    return total
