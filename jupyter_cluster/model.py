"""The records that all rooms speak of: node types, nodes, demand, decisions.

Plain values without I/O, a clock or a dependency. Times are seconds; a moment is a Unix time;
money is USD.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from functools import cached_property
from typing import Any

from .resources import Resources


class NodeState(StrEnum):
    """The stages of a worker node, in the order in which it passes them."""

    REQUESTED = "requested"
    BOOTING = "booting"
    CONNECTING = "connecting"
    SYNCING_FILES = "syncing-files"
    SETTING_UP = "setting-up"
    READY = "ready"
    DRAINING = "draining"
    STOPPED = "stopped"
    TERMINATED = "terminated"
    FAILED = "failed"

    @property
    def is_pending(self) -> bool:
        """On its way up: it counts as capacity but runs nothing yet."""
        return self in _PENDING

    @property
    def is_gone(self) -> bool:
        """It costs nothing and runs nothing any more."""
        return self in (NodeState.STOPPED, NodeState.TERMINATED, NodeState.FAILED)


_PENDING = frozenset(
    {
        NodeState.REQUESTED,
        NodeState.BOOTING,
        NodeState.CONNECTING,
        NodeState.SYNCING_FILES,
        NodeState.SETTING_UP,
    }
)


@dataclass(frozen=True)
class NodeType:
    """A kind of node that may be launched.

    Attributes
    ----------
    price : float or None
        USD per hour; None where unknown, 0 on this machine.
    on_demand : float or None
        USD per hour of one that is had for certain: of a spot type where there are no spot
        instances, and of a head; None where that is no other price.
    boot_seconds : float
        From the request to ready, as far as known.
    spot : bool
        The cloud may take such a node back at any time.
    """

    name: str
    resources: Resources
    min_workers: int = 0
    max_workers: int = 0
    price: float | None = None
    boot_seconds: float = 90.0
    spot: bool = False
    on_demand: float | None = None

    @property
    def dearest(self) -> float | None:
        """USD per hour at the most; None where unknown."""
        return self.price if self.on_demand is None else self.on_demand


# What a node is meant to hold: shapes with counts.
Load = tuple[tuple[Resources, int], ...]


@dataclass(frozen=True)
class Node:
    """A worker node as the autoscaler sees it at one moment.

    Attributes
    ----------
    free : Resources
        What no running task holds; on a pending node all of it.
    since : float
        When it was requested.
    idle_since : float or None
        Since when it has run nothing; None while it runs something or is not ready.
    kept_because : str
        Why it may not be ended although idle, e.g. it holds results; empty where it may.
    meant_for : Load
        On a pending node what it was launched for, from `Launch.loads`.
    unneeded_since : float or None
        On a pending node since when every decision has named it in `Decision.unneeded`.
    """

    id: str
    type: str
    state: NodeState
    resources: Resources
    free: Resources
    since: float
    idle_since: float | None = None
    kept_because: str = ""
    meant_for: Load = ()
    unneeded_since: float | None = None

    @property
    def is_capacity(self) -> bool:
        """Whether tasks may count on it: it is up or on its way, not draining and not gone."""
        return self.state is NodeState.READY or self.state.is_pending


@dataclass(frozen=True)
class Demand:
    """All tasks of one shape: a million of them are one row.

    Attributes
    ----------
    queued, running : int
        Queued tasks are not yet with a node; running ones are.
    mean_seconds : float or None
        Mean duration measured so far; None before the first result.
    spread_seconds : float
        Standard deviation of the durations measured so far.
    finished : int
        How many tasks were measured; 0 with a mean: somebody knows it without measuring.
    running_seconds : float
        How long the running tasks have run so far, added up. Before the first result it is all
        that is known of their durations.
    """

    shape: Resources
    queued: int
    running: int = 0
    mean_seconds: float | None = None
    spread_seconds: float = 0.0
    finished: int = 0
    running_seconds: float = 0.0


@dataclass(frozen=True)
class Limits:
    """What the planner never exceeds.

    Attributes
    ----------
    max_workers : int
        Running, pending and launched workers of all types together.
    max_hourly_cost : float or None
        USD per hour of all workers together.
    upscaling_speed : float or None
        Only where the user set it: pending nodes of a type at most
        ``max(5, speed × running of it)``.
    idle_timeout : float or None
        Seconds that a node may be idle before it is ended; None: ``auto``, the policy weighs what
        idling costs against what starting the node again would.
    """

    max_workers: int
    max_hourly_cost: float | None = None
    upscaling_speed: float | None = None
    idle_timeout: float | None = 300.0


@dataclass(frozen=True)
class Snapshot:
    """All that a scaling decision depends on, taken at one moment.

    Attributes
    ----------
    requests : tuple
        Capacity asked for with `request_resources`, as shapes with counts: it is held whether
        or not tasks use it.
    cooling : frozenset
        Node types that failed to launch a moment ago and are not to be tried now.
    closing : bool
        The cluster is ending: nothing is launched.
    head : Node or None
        A head node with room for tasks, which is no worker; ours run none.
    """

    now: float
    node_types: Mapping[str, NodeType]
    limits: Limits
    nodes: tuple[Node, ...] = ()
    demands: tuple[Demand, ...] = ()
    requests: tuple[tuple[Resources, int], ...] = ()
    cooling: frozenset[str] = frozenset()
    closing: bool = False
    head: Node | None = None

    @cached_property
    def sizes(self) -> frozenset[Resources]:
        """The resources of the nodes that tasks may count on, each once."""
        nodes = (*self.nodes, self.head) if self.head else self.nodes
        return frozenset(node.resources for node in nodes if node.is_capacity)


@dataclass(frozen=True)
class Launch:
    """Start `count` nodes of a type.

    Attributes
    ----------
    loads : tuple of Load
        What each of them is meant to hold; empty for a minimum. The caller keeps it with the node
        (`Node.meant_for`), so that the next plan remembers it.
    """

    node_type: str
    count: int
    reason: str
    loads: tuple[Load, ...] = ()


@dataclass(frozen=True)
class End:
    """Drain these nodes and end them."""

    nodes: tuple[str, ...]
    reason: str


@dataclass(frozen=True)
class Infeasible:
    """Tasks that no node of this cluster can ever run, and why."""

    shape: Resources
    count: int
    reason: str


@dataclass(frozen=True)
class Decision:
    """What one round of the autoscaler wants done, with a sentence for each thing.

    Attributes
    ----------
    unneeded : frozenset of str
        Ids of pending nodes that nothing needs at this moment. The caller remembers since when
        (`Node.unneeded_since`); after a while they are among the `ends`.
    """

    launches: tuple[Launch, ...] = ()
    ends: tuple[End, ...] = ()
    infeasible: tuple[Infeasible, ...] = ()
    unneeded: frozenset[str] = frozenset()

    def __bool__(self) -> bool:
        return bool(self.launches or self.ends)


@dataclass(frozen=True)
class Event:
    """A line of the cluster's diary: a decision, a node's state, a failure.

    Attributes
    ----------
    kind : str
        ``scale-up``, ``scale-down``, ``node``, ``job``, ``warning`` or ``error``.
    """

    number: int
    time: float
    kind: str
    text: str

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)


class JobState(StrEnum):
    """The stages of a job."""

    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"  # every task ended, at least one with an error
    CANCELLED = "cancelled"


@dataclass(frozen=True)
class JobInfo:
    """A job as everybody may see it.

    Attributes
    ----------
    total : int
        Tasks known so far; more may come until it is sealed.
    unit : str
        What one task works on, e.g. ``image``; names the rate.
    """

    id: str
    name: str
    unit: str
    state: JobState
    total: int
    queued: int
    running: int
    done: int
    failed: int
    cancelled: int
    sealed: bool
    submitted: float
    finished: float | None
    shape: dict[str, float] = field(default_factory=dict)
    mean_seconds: float | None = None
    note: str = ""

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)
