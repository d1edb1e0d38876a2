"""A provider whose machines are records in memory, with failures on demand.

For tests of programs that use clusters, and for simulation: it runs nothing. Time is what the
clock says, so that with a `VirtualClock` an hour passes in no time.

>>> from jupyter_cluster.model import NodeType, Resources
>>> clock = VirtualClock()
>>> box = NodeType("box", Resources.of(CPU=4), boot_seconds=30)
>>> provider = MemoryProvider({"box": box}, clock)
>>> provider.create("box", ["n1"])
>>> clock.advance(30)
>>> provider.instances()[0].state
<NodeState.READY: 'ready'>
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from threading import Lock

from jupyter_cluster.errors import CapacityError, ProviderError, QuotaError
from jupyter_cluster.formats import format_seconds
from jupyter_cluster.model import NodeState, NodeType
from jupyter_cluster.providers.base import Instance, Provider
from jupyter_cluster.resources import CPU

__all__ = [
    "Failure",
    "Machine",
    "MemoryProvider",
    "VirtualClock",
    "dies_after",
    "never_boots",
    "no_capacity",
    "quota_exceeded",
    "throttled",
]


class VirtualClock:
    """A clock that stands still until it is moved; calling it gives the time."""

    def __init__(self, now: float = 0.0) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now

    def advance(self, seconds: float) -> None:
        """Let time pass."""
        self.now += seconds


@dataclass(frozen=True)
class Machine:
    """A machine in memory; `created` is a time of the provider's clock."""

    node_id: str
    node_type: NodeType
    created: float


class Failure:
    """Something that goes wrong; the factories below make the usual kinds.

    A subclass overrides what it wants to spoil.
    """

    def on_call(self) -> None:
        """Before each call of the service; raises to make it fail."""

    def on_create(self, node_type: NodeType, machines: Collection[Machine]) -> None:
        """Before one more machine of a type is made; raises to refuse it."""

    def fate(self, machine: Machine, age: float) -> tuple[NodeState, str] | None:
        """State and detail of a machine of this age in seconds; None where it is as usual."""
        return None


class MemoryProvider(Provider):
    """Machines that boot in the time their type says and do nothing.

    Parameters
    ----------
    node_types : mapping of str to NodeType
        What may be created; gives boot times and, for quotas, CPUs.
    clock : callable
        Gives the time in seconds.
    failures : iterable of Failure
        What goes wrong; also to be changed later, as the list `failures`.
    """

    def __init__(
        self,
        node_types: Mapping[str, NodeType],
        clock: Callable[[], float] = time.time,
        failures: Iterable[Failure] = (),
    ) -> None:
        self.failures = list(failures)
        self._node_types = node_types
        self._clock = clock
        self._machines: dict[str, Machine] = {}
        self._lock = Lock()

    def create(self, node_type: str, node_ids: Sequence[str]) -> None:
        """See `Provider.create`; machines before the one that is refused stay."""
        if node_type not in self._node_types:
            known = ", ".join(sorted(self._node_types)) or "none"
            raise ProviderError(f"{node_type}: no such node type; there are {known}", node_type)
        with self._lock:
            self._call()
            for node_id in node_ids:
                if node_id not in self._machines:
                    self._create_one(self._node_types[node_type], node_id)

    def instances(self) -> Sequence[Instance]:
        """See `Provider.instances`: booting until the boot time has passed, then ready."""
        with self._lock:
            self._call()
            return [self._look_at(machine) for machine in self._machines.values()]

    def terminate(self, node_ids: Collection[str]) -> None:
        """See `Provider.terminate`; machines are gone at once."""
        with self._lock:
            self._call()
            for node_id in node_ids:
                self._machines.pop(node_id, None)

    def _call(self) -> None:
        for failure in self.failures:
            failure.on_call()

    def _create_one(self, node_type: NodeType, node_id: str) -> None:
        for failure in self.failures:
            failure.on_create(node_type, self._machines.values())
        self._machines[node_id] = Machine(node_id, node_type, self._clock())

    def _look_at(self, machine: Machine) -> Instance:
        state, detail = self._fate(machine, self._clock() - machine.created)
        return Instance(machine.node_id, machine.node_type.name, state, detail)

    def _fate(self, machine: Machine, age: float) -> tuple[NodeState, str]:
        for failure in self.failures:
            if fate := failure.fate(machine, age):
                return fate
        booting = age < machine.node_type.boot_seconds
        return (NodeState.BOOTING if booting else NodeState.READY), ""


def no_capacity(node_type: str, after: int = 0) -> Failure:
    """There are `after` machines of this type to be had, and no more."""
    return _NoCapacity(node_type, after)


def quota_exceeded(vcpus: float) -> Failure:
    """The account may have this many CPUs, counted over all its machines."""
    return _QuotaExceeded(vcpus)


def throttled(times: int) -> Failure:
    """The next `times` calls are refused, whatever they ask for."""
    return _Throttled(times)


def never_boots(node_type: str | None = None) -> Failure:
    """Machines of this type, or all, stay booting for ever."""
    return _NeverBoots(node_type)


def dies_after(seconds: float, node_type: str | None = None) -> Failure:
    """Machines of this type, or all, fail so long after they were created."""
    return _DiesAfter(seconds, node_type)


@dataclass(frozen=True)
class _NoCapacity(Failure):
    node_type: str
    after: int

    def on_create(self, node_type: NodeType, machines: Collection[Machine]) -> None:
        have = sum(machine.node_type.name == self.node_type for machine in machines)
        if node_type.name == self.node_type and have >= self.after:
            raise CapacityError(
                f"{self.node_type}: the provider has no machine of this type at the moment; "
                f"the cluster has {have}",
                self.node_type,
            )


@dataclass(frozen=True)
class _QuotaExceeded(Failure):
    vcpus: float

    def on_create(self, node_type: NodeType, machines: Collection[Machine]) -> None:
        used = sum(machine.node_type.resources.get(CPU) for machine in machines)
        wanted = node_type.resources.get(CPU)
        if used + wanted > self.vcpus:
            raise QuotaError(
                f"{node_type.name}: the quota is {self.vcpus:g} vCPUs, {used:g} are in use and "
                f"one more node needs {wanted:g}; ask for a higher quota or lower max_workers",
                node_type.name,
            )


@dataclass
class _Throttled(Failure):
    times: int

    def on_call(self) -> None:
        if self.times > 0:
            self.times -= 1
            raise ProviderError("the provider refuses more calls for now; try again in a moment")


@dataclass(frozen=True)
class _NeverBoots(Failure):
    node_type: str | None

    def fate(self, machine: Machine, age: float) -> tuple[NodeState, str] | None:
        if self.node_type not in (None, machine.node_type.name):
            return None
        return NodeState.BOOTING, f"booting for {format_seconds(age)}"


@dataclass(frozen=True)
class _DiesAfter(Failure):
    seconds: float
    node_type: str | None

    def fate(self, machine: Machine, age: float) -> tuple[NodeState, str] | None:
        if self.node_type not in (None, machine.node_type.name) or age < self.seconds:
            return None
        return NodeState.FAILED, f"died {format_seconds(self.seconds)} after it was created"
