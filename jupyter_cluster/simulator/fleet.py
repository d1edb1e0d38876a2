"""The simulated nodes, from their request to their end, and what they cost."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import islice

from jupyter_cluster.autoscaler.prices import hourly_price
from jupyter_cluster.model import Load, Node, NodeState, NodeType
from jupyter_cluster.resources import Resources
from jupyter_cluster.simulator.cloud import Cloud, Fate
from jupyter_cluster.simulator.work import Row


@dataclass(slots=True, eq=False)
class Run:
    """Tasks that started together on one node and end together."""

    shape: Resources
    row: Row
    arrived: float
    started: float


@dataclass(eq=False)
class Machine:
    """One node.

    Attributes
    ----------
    free : Resources
        What no running task holds.
    runs : dict
        What it runs; a dict, since it keeps the order and forgets quickly.
    reserved_for : Resources or None
        Only tasks of this shape may start on it.
    has_worked : bool
        Whether a task has ever started on it.
    """

    id: str
    type: NodeType
    since: float
    fate: Fate
    meant_for: Load
    free: Resources
    state: NodeState = NodeState.BOOTING
    ended: float | None = None
    idle_since: float | None = None
    unneeded_since: float | None = None
    reserved_for: Resources | None = None
    has_worked: bool = False
    runs: dict[Run, None] = field(default_factory=dict)
    _node: Node | None = None

    def set(self, state: NodeState) -> None:
        """It enters a stage."""
        self.state, self._node = state, None

    def start(self, run: Run) -> None:
        """Tasks start on it."""
        self.runs[run] = None
        self.free = self.free.plus(run.shape, -run.row.tasks)
        self.has_worked, self.idle_since, self._node = True, None, None

    def stop(self, run: Run, now: float) -> None:
        """They have ended."""
        del self.runs[run]
        self.free = self.free.plus(run.shape, run.row.tasks)
        self.idle_since = None if self.runs else now
        self._node = None

    def note_need(self, unneeded: bool, now: float) -> None:
        """Whether the planner has said that nothing needs it."""
        known = self.unneeded_since
        since = None if not unneeded else now if known is None else known
        if since != self.unneeded_since:
            self.unneeded_since, self._node = since, None

    def seen(self) -> Node:
        """The node as the planner sees it."""
        if self._node is None:
            ready, pending = self.state is NodeState.READY, self.state.is_pending
            self._node = Node(
                self.id,
                self.type.name,
                self.state,
                self.type.resources,
                self.free,
                self.since,
                idle_since=self.idle_since if ready else None,
                meant_for=self.meant_for if pending else (),
                unneeded_since=self.unneeded_since if pending else None,
            )
        return self._node

    def billed_seconds(self, now: float, minimum: float) -> float:
        """From its request to its end."""
        return max(minimum, (now if self.ended is None else self.ended) - self.since)


class Fleet:
    """All nodes that there ever were.

    Attributes
    ----------
    alive : dict
        Those that are not gone, by id.
    gone : list of Machine
        The others.
    """

    def __init__(self, cloud: Cloud, seed: int) -> None:
        self.alive: dict[str, Machine] = {}
        self.gone: list[Machine] = []
        self._cloud, self._seed = cloud, seed
        self._fates: dict[str, Iterator[Fate]] = {}
        self._requested = Counter[str]()

    @property
    def all(self) -> Iterable[Machine]:
        """Those that are gone and those that are not."""
        return [*self.gone, *self.alive.values()]

    def request(
        self, node_type: NodeType, count: int, loads: tuple[Load, ...], now: float
    ) -> list[Machine]:
        """As many new nodes as the cloud has, `count` at most."""
        loads += ((),) * (count - len(loads))
        count = min(count, self._capacity_left(node_type.name, count))
        return [self._new(node_type, load, now) for load in loads[:count]]

    def _capacity_left(self, name: str, wanted: int) -> int:
        most = self._cloud.no_capacity.get(name)
        return wanted if most is None else max(0, most - self.count()[name])

    def _new(self, node_type: NodeType, load: Load, now: float) -> Machine:
        name = node_type.name
        if name not in self._fates:
            self._fates[name] = self._cloud.fates(node_type, self._seed)
        self._requested[name] += 1
        machine = Machine(
            f"{name}-{self._requested[name]}",
            node_type,
            now,
            next(self._fates[name]),
            load,
            node_type.resources,
        )
        self.alive[machine.id] = machine
        return machine

    def end(self, machine: Machine, state: NodeState, now: float) -> None:
        """It is gone."""
        del self.alive[machine.id]
        machine.set(state)
        machine.ended = now
        self.gone.append(machine)

    def count(self) -> Counter[str]:
        """How many there are of each type, draining ones included."""
        return Counter(machine.type.name for machine in self.alive.values())

    def boots(self, node_type: NodeType, count: int) -> list[float]:
        """The boot times of the first `count` nodes of a type, or of all that were requested."""
        fates = self._cloud.fates(node_type, self._seed)
        count = max(count, self._requested[node_type.name])
        return [fate.boot_seconds for fate in islice(fates, count)]

    def seconds(self, machine: Machine, now: float) -> float:
        """How long a node is paid for."""
        return machine.billed_seconds(now, self._cloud.minimum_seconds)

    def cost(self, machine: Machine, now: float) -> float:
        """What a node has cost, in USD."""
        return self.seconds(machine, now) * hourly_price(machine.type) / 3600

    def cost_after(self, machine: Machine, moment: float, now: float) -> float:
        """USD that a node costs from a moment on."""
        end = machine.ended if machine.ended is not None else now
        seconds = max(0.0, end - max(moment, machine.since))
        return seconds * hourly_price(machine.type) / 3600
