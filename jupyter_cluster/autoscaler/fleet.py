"""The room on nodes, and how tasks fill it.

Nodes with the same room are one group and tasks of one shape are one number, so that a plan costs
the same for a million tasks as for ten.

A plan must not change its mind: once its launches are in the next snapshot as booting nodes, it may
not ask for more. So each node is launched with the load it is meant for, and the next plan can give
it that load again.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from copy import copy
from dataclasses import dataclass, replace
from enum import IntEnum

from jupyter_cluster.autoscaler.market import Market, preference, type_of
from jupyter_cluster.model import Load, Node, NodeState, NodeType, Snapshot
from jupyter_cluster.resources import Resources


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
    members : sequence
        Ids; a range for nodes that are not there yet.
    load : Load
        What this plan has put on each of them.
    meant_for : Load
        What they were launched for.
    """

    order: tuple[Tier, float]
    node_type: NodeType
    room: Resources
    members: Sequence[str] | range
    load: Load = ()
    meant_for: Load = ()

    @property
    def is_new(self) -> bool:
        """Whether they are to be bought."""
        return self.order[0] is Tier.BOUGHT


class Fleet:
    """All room that tasks may use, growing as a plan buys.

    Attributes
    ----------
    groups : list of Group
        Nodes that are there and nodes that are to be bought.
    market : Market
        What may still be bought.
    """

    def __init__(self, groups: Iterable[Group], market: Market) -> None:
        self.groups = list(groups)
        self.market = market

    def copy(self) -> Fleet:
        """Another one to try things on."""
        return Fleet([copy(group) for group in self.groups], self.market.copy())

    @property
    def bought(self) -> list[Group]:
        """Nodes to buy."""
        return [group for group in self.groups if group.is_new and group.members]

    @property
    def used(self) -> frozenset[str]:
        """Ids of the nodes that have been given tasks."""
        there = (group.members for group in self.groups if group.load)
        return frozenset(n for members in there if not isinstance(members, range) for n in members)

    @property
    def placed(self) -> Counter[Resources]:
        """Tasks by shape that have been given room."""
        counts: Counter[Resources] = Counter()
        for group in self.groups:
            for shape, each in group.load:
                counts[shape] += each * len(group.members)
        return counts

    def place(self, shape: Resources, count: int) -> int:
        """Give room to `count` tasks of a shape; returns how many found none."""
        fitting = [g for g in self.groups if g.members and shape.fits(g.room)]
        left = self._fill_up(shape, count, [g for g in fitting if g.order[0] is Tier.UP])
        for order in sorted({g.order for g in fitting if g.order[0] is not Tier.UP}):
            left = self._fill_tier(shape, left, [g for g in fitting if g.order == order])
        return self._buy(shape, left)

    def remember(self, counts: Counter[Resources]) -> None:
        """Put tasks where pending nodes were launched for them; takes them out of `counts`.

        So the plan of the next round is that of this one, however it was found. The last node
        may be given a part of what it was meant for.
        """
        for group in [group for group in self.groups if group.meant_for]:
            while group.members and (load := _part_of(group.meant_for, counts)):
                whole = min(counts[shape] // each for shape, each in load)
                nodes = min(whole, len(group.members))
                self.put(group, load, nodes)
                for shape, each in load:
                    counts[shape] -= each * nodes

    def put(self, group: Group, load: Load, nodes: int) -> None:
        """Put the same load on some nodes of a group of this fleet."""
        room = group.room
        for shape, count in load:
            room = room.plus(shape, -count)
        taken, group.members = group.members[:nodes], group.members[nodes:]
        self.groups.append(replace(group, room=room, members=taken, load=(*group.load, *load)))

    def buy(self, node_type: NodeType, nodes: int) -> Group:
        """Empty nodes to put something on, not more than the limits allow."""
        nodes = min(nodes, self.market.room(node_type))
        self.market.buy(node_type, nodes)
        group = Group((Tier.BOUGHT, 0), node_type, node_type.resources, range(nodes))
        self.groups.append(group)
        return group

    def _fill_up(self, shape: Resources, left: int, groups: list[Group]) -> int:
        # What is up is paid for however many tasks are left, so one sorting is enough.
        groups.sort(key=lambda group: self._key(group, shape, 2**31))
        for group in groups:
            left = self._fill(group, shape, left)  # whole nodes
            left = self._fill(group, shape, left)  # and a part of one more
        return left

    def _fill_tier(self, shape: Resources, left: int, groups: list[Group]) -> int:
        while left and groups:
            group = min(groups, key=lambda group: self._key(group, shape, left))
            left = self._fill(group, shape, left)
            if not group.members or not left:
                groups.remove(group)
        return left

    def _buy(self, shape: Resources, left: int) -> int:
        while left and (node_type := self.market.best(shape, left)):
            whole = left // shape.count_in(node_type.resources)
            count = min(max(1, whole), self.market.room(node_type))
            left = self._fill(self.buy(node_type, count), shape, left)
        return left

    def _fill(self, group: Group, shape: Resources, left: int) -> int:
        """Fill whole nodes of a group, or where too few tasks are left, a part of one node."""
        each = min(shape.count_in(group.room), left)
        if not each or not group.members:
            return left
        nodes = min(left // each, len(group.members))
        self.put(group, ((shape, each),), nodes)
        return left - each * nodes

    @staticmethod
    def _key(group: Group, shape: Resources, left: int) -> tuple[object, ...]:
        return not group.load, *preference(group.node_type, group.room, shape, left)


def _part_of(load: Load, counts: Mapping[Resources, int]) -> Load:
    """As much of a load as there are tasks for."""
    there = [(shape, min(each, counts.get(shape, 0))) for shape, each in load]
    return tuple((shape, each) for shape, each in there if each)


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
    members: dict[tuple[object, ...], list[str]] = {}
    groups = []
    for node in nodes:
        order = _order(node, held)
        room = node.resources if whole else node.free
        key = (order, node.type, room, node.meant_for)
        if key not in members:
            members[key] = []
            node_type = type_of(node, snapshot)
            groups.append(Group(order, node_type, room, members[key], meant_for=node.meant_for))
        members[key].append(node.id)
    return groups


def new_groups(counts: Mapping[str, int], snapshot: Snapshot) -> list[Group]:
    """Nodes about to be bought for a minimum or a request."""
    types = [(snapshot.node_types[name], count) for name, count in sorted(counts.items())]
    return [
        Group((Tier.HELD, 0), node_type, node_type.resources, range(count))
        for node_type, count in types
        if count
    ]


def _order(node: Node, held: frozenset[str]) -> tuple[Tier, float]:
    if node.state is NodeState.READY:
        return Tier.UP, 0
    if node.id in held:
        return Tier.HELD, 0
    return Tier.PENDING, node.since
