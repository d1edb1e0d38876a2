"""The scaling policy: what to launch and what to end, from one snapshot."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import replace

from jupyter_cluster.autoscaler import reasons
from jupyter_cluster.autoscaler.fleet import is_capacity
from jupyter_cluster.autoscaler.forecast import left_for_new_nodes
from jupyter_cluster.autoscaler.packing import Purchase, plan
from jupyter_cluster.model import Decision, End, Launch, Node, NodeState, Snapshot


def decide(snapshot: Snapshot) -> Decision:
    """What to do now; the same snapshot gives the same decision.

    **Launches.** What min_workers, explicit requests and the queue need beyond the nodes that are
    up or pending, within the limits. Of the queue only what will be left when a new node is up
    (see `forecast`). Where `upscaling_speed` is set, pending nodes of a type stay at most
    ``max(5, speed × ready ones)``, minima aside; this is Ray's rule. Nothing is launched while the
    cluster is closing, and no type that cools down.

    **Ends.** First surplus: nodes beyond max_workers of their type or of the cluster, those that
    idle first, then pending ones, then busy ones, which drain. Then pending nodes that neither a
    minimum, nor a request, nor the whole queue would use. Then nodes that have idled for the idle
    time-out, unless a request needs them or a queued task would fit. Never a node with
    `kept_because`, and none below min_workers, unless max_workers is smaller still.

    The queue that keeps a pending node is larger than the queue that launches one; between the
    two nothing happens, so that the cluster does not bounce.
    """
    whole = plan(snapshot)
    left = left_for_new_nodes(snapshot)
    later = whole if left == snapshot.demands else plan(replace(snapshot, demands=left))
    launches = () if snapshot.closing else _launches(later.purchases, snapshot)
    ends = _Ends(snapshot, needed=whole.used | later.used, requested=whole.requested).all()
    return Decision(launches, ends, whole.infeasible)


def _launches(purchases: Iterable[Purchase], snapshot: Snapshot) -> tuple[Launch, ...]:
    rows: dict[str, list[Purchase]] = {}
    for purchase in purchases:
        rows.setdefault(purchase.node_type, []).append(purchase)
    return tuple(
        Launch(name, sum(row.count for row in of_type), reasons.launch(name, of_type, snapshot))
        for name, of_type in rows.items()
    )


class _Ends:
    """Picks the nodes to end, one rule after the other, each seeing what the others took."""

    def __init__(
        self, snapshot: Snapshot, needed: frozenset[str], requested: frozenset[str]
    ) -> None:
        self._snapshot = snapshot
        self._needed = needed
        self._requested = requested
        self._nodes = {node.id: node for node in snapshot.nodes if is_capacity(node)}
        self._count = Counter(node.type for node in self._nodes.values())

    def all(self) -> tuple[End, ...]:
        """One batch for each rule that applies."""
        rules = (
            (self._surplus, reasons.surplus),
            (self._unneeded, reasons.unneeded),
            (self._idle, reasons.idle),
        )
        ends = []
        for pick, reason in rules:
            if nodes := sorted(pick(), key=lambda node: node.id):
                ends.append(End(tuple(n.id for n in nodes), reason(nodes, self._snapshot)))
        return tuple(ends)

    def _surplus(self) -> list[Node]:
        order = sorted(self._nodes.values(), key=self._least_useful_first)
        limit = self._snapshot.limits.max_workers
        return [
            *self._take(order, lambda node: self._count[node.type] > self._maximum(node)),
            *self._take(order, lambda node: self._count.total() > limit and self._is_spare(node)),
        ]

    def _unneeded(self) -> list[Node]:
        pending = (
            n for n in self._nodes.values() if n.state.is_pending and n.id not in self._needed
        )
        newest_first = sorted(pending, key=lambda n: (-n.since, n.id))
        return self._take(newest_first, self._is_spare)

    def _idle(self) -> list[Node]:
        idle = (node for node in self._nodes.values() if self._has_idled(node))
        longest_first = sorted(idle, key=lambda n: (n.idle_since, n.id))
        return self._take(longest_first, self._is_spare)

    def _take(self, nodes: Iterable[Node], condition: Callable[[Node], bool]) -> list[Node]:
        """Take the nodes that meet the condition, which sees the counts as they go down."""
        taken = []
        for node in nodes:
            if node.id in self._nodes and not node.kept_because and condition(node):
                del self._nodes[node.id]
                self._count[node.type] -= 1
                taken.append(node)
        return taken

    def _has_idled(self, node: Node) -> bool:
        if node.idle_since is None or node.state is not NodeState.READY:
            return False
        long_enough = self._snapshot.now - node.idle_since >= self._snapshot.limits.idle_timeout
        return long_enough and node.id not in self._requested and not self._has_work_for(node)

    def _has_work_for(self, node: Node) -> bool:
        return any(d.queued and d.shape.fits(node.resources) for d in self._snapshot.demands)

    def _is_spare(self, node: Node) -> bool:
        node_type = self._snapshot.node_types.get(node.type)
        return self._count[node.type] > (node_type.min_workers if node_type else 0)

    def _maximum(self, node: Node) -> int:
        node_type = self._snapshot.node_types.get(node.type)
        return node_type.max_workers if node_type else 0

    def _least_useful_first(self, node: Node) -> tuple[object, ...]:
        busy = not node.state.is_pending and node.idle_since is None
        wanted = node.id in (self._needed if node.state.is_pending else self._requested)
        idle_since = node.idle_since if node.idle_since is not None else -node.since
        return busy, wanted, node.state.is_pending, idle_since, node.id
