"""Which node a task goes to."""

from __future__ import annotations

from collections.abc import Callable

from jupyter_cluster.model import NodeState
from jupyter_cluster.resources import GPU, Resources
from jupyter_cluster.simulator.fleet import Fleet, Machine
from jupyter_cluster.simulator.work import Queue

# As the live head: a task that found no room for this long gets a node reserved.
RESERVE_SECONDS = 0.5


class Dispatcher:
    """Hands out queued tasks, shapes in the order of arrival.

    Tasks that arrive go to the fullest node that has room, so that other nodes can end. Nodes with
    GPUs come last for tasks without, and on them tasks with GPUs come first. A shape that finds no
    room lets the next one pass, but when the first in the queue has found none for half a second,
    one node is reserved for it: otherwise large tasks would wait until no small one is left.

    Parameters
    ----------
    start
        Called with a node, a shape and how many tasks of it start there now.
    """

    def __init__(
        self, queue: Queue, fleet: Fleet, start: Callable[[Machine, Resources, int], None]
    ) -> None:
        self._queue, self._fleet, self._start = queue, fleet, start
        self._blocked_since: dict[Resources, float] = {}
        self._reserved: dict[Resources, Machine] = {}

    def fill(self, machine: Machine, now: float) -> None:
        """A node has got room: nothing but this node can take what waits."""
        for shape in self._order(machine):
            self._place(shape, machine)
        self._reserve(now)

    def spread(self, shape: Resources, now: float) -> None:
        """Tasks of a shape have come: find the nodes that have room."""
        fitting = [m for m in self._fleet.alive.values() if shape.fits(m.free)]
        for machine in sorted(fitting, key=lambda m: (_wastes_gpu(m, shape), -_load(m))):
            if shape not in self._queue.count:
                break
            self._place(shape, machine)
        self._reserve(now)

    def _order(self, machine: Machine) -> list[Resources]:
        return sorted(self._queue.shapes(), key=lambda shape: _wastes_gpu(machine, shape))

    def _place(self, shape: Resources, machine: Machine) -> None:
        if machine.state is not NodeState.READY or machine.reserved_for not in (None, shape):
            return
        count = min(self._queue.count.get(shape, 0), shape.count_in(machine.free))
        if not count:
            return
        self._start(machine, shape, count)
        self._blocked_since.pop(shape, None)
        if reserved := self._reserved.pop(shape, None):
            reserved.reserved_for = None
            for other in self._order(reserved):
                self._place(other, reserved)

    def _reserve(self, now: float) -> None:
        if len(self._queue.count) < 2:
            return
        first = self._queue.shapes()[0]
        if now - self._blocked_since.setdefault(first, now) < RESERVE_SECONDS:
            return
        self._blocked_since[first] = now
        held = self._reserved.get(first)
        if held and held.state is NodeState.READY:
            return
        able = [m for m in self._fleet.alive.values() if _could_hold(m, first)]
        if able:
            emptiest = min(able, key=_load)
            emptiest.reserved_for = first
            self._reserved[first] = emptiest


def _could_hold(machine: Machine, shape: Resources) -> bool:
    return (
        machine.state is NodeState.READY
        and machine.reserved_for is None
        and shape.fits(machine.type.resources)
    )


def _wastes_gpu(machine: Machine, shape: Resources) -> bool:
    return bool(machine.type.resources.get(GPU)) and not shape.get(GPU)


def _load(machine: Machine) -> float:
    """The share in use of the resource that is used most."""
    free = machine.free.by_name
    return max((1 - free.get(name, 0) / n for name, n in machine.type.resources), default=0.0)
