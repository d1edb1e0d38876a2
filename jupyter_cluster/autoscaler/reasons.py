"""The sentences that say why: users read them in the panel and in the log."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

from jupyter_cluster.autoscaler.forecast import seconds_of_work
from jupyter_cluster.autoscaler.packing import Cause, Purchase
from jupyter_cluster.formats import format_seconds
from jupyter_cluster.model import Node, NodeState, Snapshot
from jupyter_cluster.resources import Resources

SHAPES_SHOWN = 3


def launch(name: str, purchases: Sequence[Purchase], snapshot: Snapshot) -> str:
    """Why nodes of one type are launched.

    ``launch 2 × local: 400 tasks of {CPU: 1} queued, 0 nodes up, boot 2 s``

    ``launch 12 × m5.4xlarge: 134,000 tasks of {CPU: 1} queued at 0.4 s each, about 56 min of work
    for what is up, 1 node up, boot 90 s, 12 × 0.768 USD per hour``
    """
    node_type = snapshot.node_types[name]
    count = sum(purchase.count for purchase in purchases)
    boot = f"boot {format_seconds(node_type.boot_seconds)}"
    facts = [_causes(purchases, snapshot), _nodes_there(snapshot), boot]
    if node_type.price:
        facts.append(f"{count} × {node_type.price:.3g} USD per hour")
    return f"launch {count} × {name}: {', '.join(facts)}"


def surplus(nodes: Sequence[Node], snapshot: Snapshot) -> str:
    """Why nodes over the maximum are ended.

    ``end 2 × local: 4 workers of local and max_workers is 2``
    """
    have = Counter(n.type for n in snapshot.nodes if n.is_capacity)
    limits = {name: t.max_workers for name, t in snapshot.node_types.items()}
    over = [
        f"{have[name]} workers of {name} and " + _limit_of_type(limits.get(name))
        for name in sorted({node.type for node in nodes})
        if have[name] > limits.get(name, 0)
    ]
    if have.total() > snapshot.limits.max_workers:
        over.append(
            f"{have.total()} workers in all and max_workers is {snapshot.limits.max_workers}"
        )
    return f"end {_by_type(nodes)}: {'; '.join(over)}"


def unneeded(nodes: Sequence[Node], snapshot: Snapshot) -> str:
    """Why nodes are ended before they are up.

    ``end 3 × local before they are up: 0 tasks queued, 1 node up, no request or minimum …``
    """
    queued = sum(demand.queued for demand in snapshot.demands)
    it = "it is" if len(nodes) == 1 else "they are"
    needs = "needs it" if len(nodes) == 1 else "needs them"
    return (
        f"end {_by_type(nodes)} before {it} up: {plural(queued, 'task')} queued, "
        f"{_nodes_there(snapshot)}, no task, request or minimum {needs}"
    )


def idle(nodes: Sequence[Node], snapshot: Snapshot) -> str:
    """Why idle nodes are ended.

    ``end 2 × local: idle for 61 s, the time-out is 60 s, no queued task fits``
    """
    limit = snapshot.limits.idle_timeout
    spans = sorted(snapshot.now - (node.idle_since or 0.0) for node in nodes)
    shortest, longest = format_seconds(spans[0]), format_seconds(spans[-1])
    span = longest if shortest == longest else f"{shortest} to {longest}"
    rule = (
        "as long as a new start is worth"
        if limit is None
        else f"the time-out is {format_seconds(limit)}"
    )
    return f"end {_by_type(nodes)}: idle for {span}, {rule}, no queued task fits"


def in_the_way(nodes: Sequence[Node], unplaced: Iterable[tuple[Resources, int]]) -> str:
    """Why idle nodes are ended before their time.

    ``end 2 × small: idle, and the limits leave no room for nodes for 20 tasks of {GPU: 1}``
    """
    tasks = [f"{plural(count, 'task')} of {shape}" for shape, count in unplaced]
    return (
        f"end {_by_type(nodes)}: idle, and the limits leave no room for nodes for "
        f"{_and_more(tasks)}"
    )


def plural(count: int, noun: str) -> str:
    """``1 task``, ``134,000 tasks``."""
    return f"{count:,} {noun}" + ("" if count == 1 else "s")


def _causes(purchases: Iterable[Purchase], snapshot: Snapshot) -> str:
    return _and_more([_cause(purchase, snapshot) for purchase in purchases])


def _and_more(parts: list[str]) -> str:
    more = len(parts) - SHAPES_SHOWN
    rest = [f"{plural(more, 'more shape')}"] if more > 0 else []
    return " and ".join(parts[:SHAPES_SHOWN] + rest)


def _cause(purchase: Purchase, snapshot: Snapshot) -> str:
    shape = purchase.shape
    if shape is None:
        return f"min_workers is {snapshot.node_types[purchase.node_type].min_workers}"
    if purchase.cause is Cause.REQUEST:
        asked = sum(count for wanted, count in snapshot.requests if wanted == shape)
        return f"{asked:,} × {shape} requested"
    return _queue(shape, snapshot)


def _queue(shape: Resources, snapshot: Snapshot) -> str:
    rows = [demand for demand in snapshot.demands if demand.shape == shape]
    text = f"{plural(sum(row.queued for row in rows), 'task')} of {shape} queued"
    means = [row.mean_seconds for row in rows if row.mean_seconds is not None]
    if means:
        text += f" at {format_seconds(max(means))} each"
    work = seconds_of_work(shape, snapshot)
    return f"{text}, about {format_seconds(work)} of work for what is up" if work else text


def _nodes_there(snapshot: Snapshot) -> str:
    up = sum(node.state is NodeState.READY for node in snapshot.nodes)
    pending = sum(node.state.is_pending for node in snapshot.nodes)
    return f"{plural(up, 'node')} up" + (f" and {pending:,} on the way" if pending else "")


def _by_type(nodes: Iterable[Node]) -> str:
    counts = sorted(Counter(node.type for node in nodes).items())
    return " and ".join(f"{count:,} × {name}" for name, count in counts)


def _limit_of_type(limit: int | None) -> str:
    return (
        "the config has no such type any more" if limit is None else f"its max_workers is {limit}"
    )
