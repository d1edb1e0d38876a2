"""What may still be bought, and what is the best buy for a shape."""

from __future__ import annotations

from collections import Counter
from copy import copy
from math import floor, fsum, inf

from jupyter_cluster.autoscaler.prices import estimated_price, hourly_price
from jupyter_cluster.model import Node, NodeState, NodeType, Snapshot
from jupyter_cluster.resources import GPU, Resources

# Ray's rule for upscaling_speed: this many nodes of a type may always be pending.
FREE_PENDING = 5


def preference(
    node_type: NodeType, room: Resources, shape: Resources, left: int
) -> tuple[object, ...]:
    """Sort key of a node for `left` tasks of a shape: the best comes first.

    A GPU that the shape does not ask for is the last resort. Then the least price per task that the
    node would really take counts, so that one last small task does not buy a large node. Among
    equals the node that takes more comes first, then the smaller one.
    """
    taken = min(shape.count_in(room), left)
    price = round(hourly_price(node_type) / taken, 9)
    size = estimated_price(node_type.resources)
    kinds = len(node_type.resources.units)
    spot = node_type.spot  # at the same price, rather one that nobody takes back
    return (
        wastes_gpu(node_type, shape),
        price,
        spot,
        -taken,
        size,
        kinds,
        node_type.name,
        room.units,
    )


def wastes_gpu(node_type: NodeType, shape: Resources) -> bool:
    """Whether the node has a GPU and the shape asks for none."""
    return bool(node_type.resources.get(GPU)) and not shape.get(GPU)


class Market:
    """Counts workers against the limits while a plan buys.

    Every node that is not gone counts, draining ones too: they still cost money and quota.
    """

    def __init__(self, snapshot: Snapshot) -> None:
        nodes = [node for node in snapshot.nodes if not node.state.is_gone]
        self._limits = snapshot.limits
        self._types = [
            node_type
            for name, node_type in sorted(snapshot.node_types.items())
            if name not in snapshot.cooling
        ]
        self._count = Counter(node.type for node in nodes)
        self._ready = Counter(node.type for node in nodes if node.state is NodeState.READY)
        self._pending = Counter(node.type for node in nodes if node.state.is_pending)
        self._paid: Counter[float] = Counter()
        for (name, resources), count in Counter((n.type, n.resources) for n in nodes).items():
            node_type = snapshot.node_types.get(name) or NodeType(name, resources)
            self._paid[hourly_price(node_type)] += count

    def copy(self) -> Market:
        """Another one, in the same state."""
        other = copy(self)
        other._count, other._pending = Counter(self._count), Counter(self._pending)
        other._paid = Counter(self._paid)
        return other

    @property
    def open_types(self) -> list[NodeType]:
        """Types of which at least one node may be bought now, by name."""
        return [node_type for node_type in self._types if self.room(node_type)]

    @property
    def nodes_left(self) -> int:
        """How many more nodes max_workers allows."""
        return max(0, self._limits.max_workers - self._count.total())

    @property
    def budget_left(self) -> float:
        """USD per hour left under max_hourly_cost; infinite without one."""
        limit = self._limits.max_hourly_cost
        if limit is None:
            return inf
        # Sorted, since the order of the nodes must not change the last digit.
        return limit - fsum(price * count for price, count in sorted(self._paid.items()))

    def room(self, node_type: NodeType) -> int:
        """How many more nodes of this type may be bought now."""
        return int(min(self._room_in_limits(node_type), self._room_in_speed(node_type)))

    def buy(self, node_type: NodeType, count: int) -> None:
        """Count them in."""
        self._count[node_type.name] += count
        self._pending[node_type.name] += count
        self._paid[hourly_price(node_type)] += count

    def best(self, shape: Resources, left: int) -> NodeType | None:
        """The type to buy for `left` tasks of a shape; None where nothing that fits may be had."""
        able = self._able(shape)
        # A type that upscaling_speed holds back for a moment is worth waiting for when all else
        # would buy a GPU that nobody asked for.
        lean = [node_type for node_type in able if not wastes_gpu(node_type, shape)] or able
        return min(
            (node_type for node_type in lean if self.room(node_type)),
            key=lambda node_type: preference(node_type, node_type.resources, shape, left),
            default=None,
        )

    def has_lean_type(self, shape: Resources) -> bool:
        """Whether a type without a needless GPU may be bought for a shape, now or soon."""
        return any(not wastes_gpu(node_type, shape) for node_type in self._able(shape))

    def missing_minimum(self, node_type: NodeType, have: int) -> int:
        """How many nodes to buy for min_workers, which upscaling_speed does not hold back."""
        if node_type not in self._types:
            return 0
        return max(0, min(node_type.min_workers - have, self._room_in_limits(node_type)))

    def _able(self, shape: Resources) -> list[NodeType]:
        return [
            node_type
            for node_type in self._types
            if shape.fits(node_type.resources) and self._room_in_limits(node_type)
        ]

    def _room_in_limits(self, node_type: NodeType) -> int:
        rooms = (
            node_type.max_workers - self._count[node_type.name],
            self._limits.max_workers - self._count.total(),
            self._room_in_budget(hourly_price(node_type)),
        )
        return int(max(0, min(rooms)))

    def _room_in_budget(self, price: float) -> float:
        limit = self._limits.max_hourly_cost
        if limit is None or not price:
            return inf
        # The small amount lets ten nodes of 0.1 into a limit of 1.
        return floor(self.budget_left / price + 1e-9)

    def _room_in_speed(self, node_type: NodeType) -> float:
        speed = self._limits.upscaling_speed
        if speed is None:
            return inf
        allowed = max(FREE_PENDING, floor(speed * self._ready[node_type.name]))
        return max(0, allowed - self._pending[node_type.name])


def type_of(node: Node, snapshot: Snapshot) -> NodeType:
    """The node's type, also where the config does not have it any more."""
    return snapshot.node_types.get(node.type) or NodeType(node.type, node.resources)
