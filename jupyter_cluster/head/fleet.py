"""The worker nodes from their request to their end, as the head keeps track of them."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from typing import Any

from jupyter_cluster.autoscaler import BootTimes
from jupyter_cluster.head.journal import Journal
from jupyter_cluster.head.link import NodeLink
from jupyter_cluster.model import Launch, Load, Node, NodeState, NodeType
from jupyter_cluster.resources import Resources, unmarked

_ONE_CPU = Resources.of(CPU=1)
# Stands for a type that has gone from the configuration.
_NOTHING = NodeType("", Resources())


# How often the life of the head's own machine is noted; so much of its cost may be missed.
HEAD_NOTE_SECONDS = 30.0


@dataclass(slots=True)
class Member:
    """One node of the fleet.

    Attributes
    ----------
    seconds_up : float
        How long it took from the request to ready; 0 before.
    why : str
        For people: why it is ending or has failed, or why it is kept.
    meant_for : Load
        What it was launched for.
    unneeded_since : float or None
        Since when the autoscaler has had no use for it, while it is on its way.
    address, machine : str
        Where other nodes reach it, and the provider's name for it; empty while unknown.
    price : float or None
        USD per hour of this very machine; None while unknown.
    """

    id: str
    type: str
    state: NodeState
    since: float
    ended: float | None = None
    seconds_up: float = 0.0
    why: str = ""
    meant_for: Load = ()
    unneeded_since: float | None = None
    address: str = ""
    machine: str = ""
    price: float | None = None


class Fleet:
    """All nodes that this cluster ever had, those that are gone for their cost.

    Attributes
    ----------
    head_type : str
        The node type of the head's own machine; empty where it has none and costs nothing.
    """

    head_type = ""

    def __init__(
        self,
        journal: Journal,
        node_types: dict[str, NodeType],
        kept_because: Callable[[str], str] = lambda _node: "",
    ) -> None:
        self._journal = journal
        self.kept_because = kept_because
        self.node_types = node_types
        self.members: dict[str, Member] = {}
        self._stages: dict[str, list[tuple[str, float]]] = {}
        for node, stage, moment in journal.read("SELECT node, state, time FROM stages"):
            self._stages.setdefault(node, []).append((stage, moment))
        self._head_spans: dict[float, float] = dict(journal.read("SELECT * FROM head_spans"))
        self._head_started = time.time()
        self._count = 0
        self.boots = BootTimes()
        prices = dict(journal.read("SELECT * FROM node_prices"))
        for id_, type_, state, since, ended in journal.read("SELECT * FROM nodes ORDER BY since"):
            price = prices.get(id_)
            self.members[id_] = Member(id_, type_, NodeState(state), since, ended, price=price)
            self._count = max(self._count, int(id_.rpartition("-")[2]))

    def request(self, launch: Launch) -> list[Member]:
        """New nodes, written down before anybody is asked for them."""
        made = []
        now = time.time()
        for load in launch.loads:
            self._count += 1
            name = f"{launch.node_type}-{self._count}"
            member = Member(name, launch.node_type, NodeState.REQUESTED, now, meant_for=load)
            self.members[name] = member
            self._save(member)
            self._note_stage(member)
            made.append(member)
        return made

    def move(self, member: Member, state: NodeState, why: str = "") -> None:
        """A node enters a stage."""
        is_new = state is not member.state
        member.state = state
        member.why = why or member.why
        if is_new:
            self._note_stage(member)
        if state.is_gone and member.ended is None:
            member.ended = time.time()
        self._save(member)

    def _note_stage(self, member: Member) -> None:
        now = time.time()
        self._stages.setdefault(member.id, []).append((member.state.value, now))
        self._journal.execute("INSERT INTO stages VALUES (?, ?, ?)", member.id, member.state, now)

    def stages(self) -> list[dict[str, Any]]:
        """A row for each node there ever was: its type, and when it entered each stage."""
        return [
            {
                "id": member.id,
                "type": member.type,
                "stages": self._stages.get(member.id, []),
                "ended": member.ended,
                "why": member.why,
            }
            for member in self.members.values()
        ]

    def ready(self, member: Member) -> None:
        """A node is up: learn how long that took."""
        member.seconds_up = time.time() - member.since
        member.why = ""  # what it was at on its way is of no interest any more
        self.move(member, NodeState.READY)
        known = self.node_types.get(member.type)
        if known is not None:
            self.node_types[member.type] = self.boots.learn(known, member.seconds_up)

    def note_unneeded(self, names: Collection[str]) -> None:
        """Which nodes the last decision has no use for."""
        now = time.time()
        for member in self.members.values():
            if member.id not in names:
                member.unneeded_since = None
            elif member.unneeded_since is None:
                member.unneeded_since = now

    def _save(self, member: Member) -> None:
        self._journal.execute(
            "INSERT OR REPLACE INTO nodes VALUES (?, ?, ?, ?, ?)",
            member.id,
            member.type,
            member.state.value,
            member.since,
            member.ended,
        )

    def has(self, node: str) -> bool:
        """Whether this is a node of the fleet that is not gone."""
        return node in self.members and not self.members[node].state.is_gone

    @property
    def alive(self) -> list[Member]:
        """Nodes that are not gone."""
        return [member for member in self.members.values() if not member.state.is_gone]

    def in_state(self, *states: NodeState) -> list[Member]:
        """Nodes in one of these stages."""
        return [member for member in self.members.values() if member.state in states]

    def nodes(self, links: dict[str, NodeLink]) -> tuple[Node, ...]:
        """All nodes that are not gone, as the autoscaler sees them."""
        return tuple(self._node(member, links.get(member.id)) for member in self.alive)

    def _node(self, member: Member, link: NodeLink | None) -> Node:
        if link is not None:
            capacity, free = unmarked(link.capacity), unmarked(link.free)
            if link.pressure:  # nothing can be counted on that it could hold
                capacity = free = Resources()
            idle = None if link.bundles or member.state is not NodeState.READY else link.idle_since
        else:
            capacity = free = self._known(member.type).resources
            idle = None
        return Node(
            member.id,
            member.type,
            member.state,
            capacity,
            free,
            member.since,
            idle,
            kept_because=self.kept_because(member.id),
            meant_for=member.meant_for if member.state.is_pending else (),
            unneeded_since=member.unneeded_since,
        )

    def note_head(self) -> None:
        """The head's machine runs: it costs until now. While it stands still, it costs nothing."""
        now = time.time()
        if now - self._head_spans.get(self._head_started, 0.0) > HEAD_NOTE_SECONDS:
            self._head_spans[self._head_started] = now
            self._journal.execute(
                "INSERT OR REPLACE INTO head_spans VALUES (?, ?)", self._head_started, now
            )

    def _head_hours(self) -> float:
        spans = {**self._head_spans, self._head_started: time.time()}
        return sum(last - first for first, last in spans.items()) / 3600

    def cost(self) -> dict[str, Any]:
        """What head and nodes cost so far and per hour, USD, with the hours of each type.

        Prices are with disks and public addresses, as the provider tells them.
        """
        now, hours, so_far = time.time(), dict[str, float](), 0.0
        for member in self.members.values():
            spent = ((member.ended or now) - member.since) / 3600
            hours[member.type] = hours.get(member.type, 0.0) + spent
            so_far += spent * self._price(member)
        head = (self._known(self.head_type).dearest or 0.0) if self.head_type else 0.0
        head_hours = self._head_hours() if self.head_type else 0.0
        return {
            "so_far": so_far + head * head_hours,
            "per_hour": sum(self._price(member) for member in self.alive) + head,
            "head": {"hours": head_hours, "price": head},
            "node_hours": hours,
            "price_known": all(self._known(name).price is not None for name in self.node_types),
        }

    def _known(self, name: str) -> NodeType:
        return self.node_types.get(name, _NOTHING)

    def note_price(self, member: Member, on_demand: bool) -> None:
        """What a machine costs is known once it is: its type may be had as spot or on demand, and
        may be gone from the configuration when the bill is made."""
        known = self._known(member.type)
        price = known.dearest if on_demand else known.price
        if member.price is None and price is not None:
            member.price = price
            self._journal.execute(
                "INSERT OR REPLACE INTO node_prices VALUES (?, ?)", member.id, price
            )

    def _price(self, member: Member) -> float:
        known = self._known(member.type).price if member.price is None else member.price
        return known or 0.0

    def describe(self, links: dict[str, NodeLink]) -> Iterable[dict[str, Any]]:
        """A row for each node that is not gone, for the status."""
        now = time.time()
        for member in self.alive:
            link, node = links.get(member.id), self._node(member, links.get(member.id))
            lost = link is not None and link.lost_since is not None
            yield {
                "id": member.id,
                "type": member.type,
                "address": member.address,
                "machine": member.machine,
                "state": "lost contact" if lost else member.state.value,
                "age": now - member.since,
                "seconds_to_ready": member.seconds_up or None,
                "resources": (unmarked(link.capacity) if link else node.resources).as_dict(),
                "slots_busy": link.busy_slots if link else 0,
                "tasks_finished": link.finished if link else 0,
                "idle_seconds": now - node.idle_since if node.idle_since else None,
                "pid": link.pid if link else None,
                "cpu": link.cpu if link else None,
                "memory": link.memory if link else None,
                "slots": link.slots_for(_ONE_CPU) if link else None,
                "cost": self._price(member) * (now - member.since) / 3600,
                "price": self._known(member.type).price if member.price is None else member.price,
                "why": member.why or _pressure(link) or node.kept_because,
            }


def _pressure(link: NodeLink | None) -> str:
    return f"its disk refuses files: {link.pressure}" if link and link.pressure else ""
