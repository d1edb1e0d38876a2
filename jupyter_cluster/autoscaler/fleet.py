"""The room on nodes, and how tasks fill it.

Nodes with the same room are one group and tasks of one shape are one number, so that a plan costs
the same for a million tasks as for ten.

A plan must not change its mind: once its launches are in the next snapshot as booting nodes, it may
not ask for more. That holds because room is taken tier by tier, in the order in which it came to
be, and because booting nodes of one moment are taken in the very order in which they were bought.
One exception is known: where upscaling_speed holds a type back, another shape may take what was
bought for the next one, in rare mixes of several types with and without GPUs.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import IntEnum

from jupyter_cluster.autoscaler.market import Market, preference, type_of
from jupyter_cluster.model import Node, NodeState, NodeType, Resources, Snapshot


class Tier(IntEnum):
    """Where room comes from; the first is taken first."""

    UP = 0
    HELD = 1  # pending, and it stays whatever tasks do: a minimum or a request holds it
    PENDING = 2
    BOUGHT = 3


@dataclass(eq=False)
class Group:
    """Nodes of one type with the same room.

    Attributes
    ----------
    order : tuple
        The tier, and within the pending tier the moment of the request.
    members : list of str
        Ids; empty strings for nodes that are not there yet.
    touched : bool
        Whether this plan has put tasks on them already.
    """

    order: tuple[Tier, float]
    node_type: NodeType
    room: Resources
    members: list[str]
    touched: bool = False


class Fleet:
    """All room that tasks may use, growing as a plan buys.

    Attributes
    ----------
    used : set of str
        Ids of the nodes that have been given tasks.
    bought : Counter
        How many nodes were bought, by type and by the shape they were bought for.
    """

    def __init__(self, groups: Iterable[Group], market: Market) -> None:
        self.used: set[str] = set()
        self.bought: Counter[tuple[str, Resources]] = Counter()
        self._groups = list(groups)
        self._market = market

    def place(self, shape: Resources, count: int) -> int:
        """Give room to `count` tasks of a shape; returns how many found none."""
        fitting = [g for g in self._groups if g.members and shape.fits(g.room)]
        left = self._fill_up(shape, count, [g for g in fitting if g.order[0] is Tier.UP])
        for order in sorted({g.order for g in fitting if g.order[0] is not Tier.UP}):
            left = self._fill_tier(shape, left, [g for g in fitting if g.order == order])
        return self._buy(shape, left)

    def _fill_up(self, shape: Resources, left: int, groups: list[Group]) -> int:
        # What is up is paid for however many tasks are left, so one sorting is enough.
        groups.sort(key=lambda group: self._key(group, shape, 2**31))
        for group in groups:
            left = self._fill(group, shape, left)
        return left

    def _fill_tier(self, shape: Resources, left: int, groups: list[Group]) -> int:
        while left and groups:
            group = min(groups, key=lambda group: self._key(group, shape, left))
            left = self._fill(group, shape, left)
            if not group.members or not left:
                groups.remove(group)
        return left

    def _buy(self, shape: Resources, left: int) -> int:
        while left and (node_type := self._market.best(shape, left)):
            whole = left // shape.count_in(node_type.resources)
            count = min(max(1, whole), self._market.room(node_type))
            self._market.buy(node_type, count)
            self.bought[node_type.name, shape] += count
            group = Group((Tier.BOUGHT, 0), node_type, node_type.resources, [""] * count)
            left = self._fill(group, shape, left)
        return left

    def _fill(self, group: Group, shape: Resources, left: int) -> int:
        """Fill whole nodes of a group, or where too few tasks are left, a part of one node."""
        each = min(shape.count_in(group.room), left)
        if not each:
            return left
        taken = group.members[: left // each]
        group.members = group.members[left // each :]
        room = group.room.plus(shape, -each)
        self._groups.append(Group(group.order, group.node_type, room, taken, touched=True))
        self.used.update(name for name in taken if name)
        return left - each * len(taken)

    @staticmethod
    def _key(group: Group, shape: Resources, left: int) -> tuple[object, ...]:
        return not group.touched, *preference(group.node_type, group.room, shape, left)


def is_capacity(node: Node) -> bool:
    """Whether tasks may count on it: it is up or on its way, not draining and not gone."""
    return node.state is NodeState.READY or node.state.is_pending


def groups_of(
    nodes: Iterable[Node], snapshot: Snapshot, held: frozenset[str], whole: bool
) -> list[Group]:
    """Nodes as groups, in the order given.

    Parameters
    ----------
    held : frozenset of str
        Ids of the nodes that a minimum or a request holds.
    whole : bool
        Take all of a node's resources for room, not only what is free.
    """
    groups: dict[tuple[object, ...], Group] = {}
    for node in nodes:
        order = _order(node, held)
        room = node.resources if whole else node.free
        key = (order, node.type, room)
        if key not in groups:
            groups[key] = Group(order, type_of(node, snapshot), room, [])
        groups[key].members.append(node.id)
    return list(groups.values())


def new_groups(counts: Mapping[str, int], snapshot: Snapshot) -> list[Group]:
    """Nodes about to be bought for a minimum or a request."""
    types = [(snapshot.node_types[name], count) for name, count in sorted(counts.items())]
    return [
        Group((Tier.HELD, 0), node_type, node_type.resources, [""] * count)
        for node_type, count in types
        if count
    ]


def _order(node: Node, held: frozenset[str]) -> tuple[Tier, float]:
    if node.state is NodeState.READY:
        return Tier.UP, 0
    if node.id in held:
        return Tier.HELD, 0
    return Tier.PENDING, node.since
