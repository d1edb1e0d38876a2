"""The head's end of one node: what it can hold, what it was sent, what is still out."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from distributed.comm import CommClosedError

from jupyter_cluster.resources import Resources

logger = logging.getLogger("jupyter_cluster.head")

Key = tuple[str, int, int, int]  # job, start, stop, attempt

# A node gets work ahead of free slots only where that work is short: what waits on a node
# cannot be given to another one that comes up.
PREFETCH_SECONDS = 1.0
# Tasks that need nothing still take a process each.
ZERO_SHAPE_BUNDLES = 8


def as_key(key: list[Any]) -> Key:
    """A bundle's key as it was before it travelled."""
    job, start, stop, attempt = key
    return job, start, stop, attempt


@dataclass(slots=True)
class Outstanding:
    """A bundle that a node has and has not finished.

    Attributes
    ----------
    seconds : float or None
        How long it should take; None where nothing was measured yet.
    begins_session : bool
        The node makes a session for it.
    sent : float
        When it was sent (monotonic clock).
    """

    key: Key
    shape: Resources
    seconds: float | None = None
    begins_session: bool = False
    sent: float = field(default_factory=time.monotonic)


@dataclass(eq=False)
class NodeLink:
    """A node that has said hello at least once.

    Attributes
    ----------
    used : dict
        What the outstanding bundles need together, in ten-thousandths; up to twice the capacity
        with prefetching.
    load : float
        The fullest resource's share in use, 0 to 2.
    sent : set
        Digests of functions and modules that the node has.
    jobs : set
        Jobs of which it has run something, and that were not over when it was told last.
    values : set
        Refs whose values the node has.
    reclaimed : bool
        It will be taken back; what it does not finish is no failure.
    pressure : str
        Why its disk refuses what work needs there; empty where it does not.
    pressed_since : float
        Since when (monotonic clock).
    lost_since : float or None
        Since when there is no connection, or nothing has come on it (monotonic clock).
    silent_looks : int
        How often the head has looked and nothing had come since the look before.
    idle_since : float
        Since when it has had nothing to do (Unix time).
    cpu, memory : float and int, or None
        Cores and bytes that its slots use, as it has told last.
    """

    id: str
    type: str
    capacity: Resources
    address: str
    pid: int
    send: Callable[[dict[str, Any]], None]
    used: dict[str, int] = field(default_factory=dict)
    load: float = 0.0
    bundles: dict[Key, Outstanding] = field(default_factory=dict)
    sent: set[str] = field(default_factory=set)
    jobs: set[str] = field(default_factory=set)
    values: set[str] = field(default_factory=set)
    acks: list[int] = field(default_factory=list)
    draining: bool = False
    reclaimed: bool = False
    settled: bool = False
    pressure: str = ""
    pressed_since: float = 0.0
    lost_since: float | None = None
    silent_looks: int = 0
    idle_since: float = field(default_factory=time.time)
    reserved_for: str = ""
    cpu: float | None = None
    memory: int | None = None
    finished: int = 0
    recalled: float = 0.0

    def reserve(self, resources: Resources, times: int = 1) -> None:
        """A session holds this, or with -1 no longer, whether or not a cell runs in it."""
        self._use(resources, times)

    @property
    def accepts(self) -> bool:
        """Whether it may be sent work."""
        may_be_sent = self.lost_since is None and self.settled
        return may_be_sent and not self.draining and not self.pressure

    def slots_for(self, shape: Resources) -> int:
        """How many tasks of a shape it can run at a time."""
        return shape.count_in(self.capacity) if shape else ZERO_SHAPE_BUNDLES

    def has_room(self, shape: Resources, seconds: float | None) -> bool:
        """Whether to send a bundle that will take this long."""
        if not shape:
            return sum(not b.shape for b in self.bundles.values()) < ZERO_SHAPE_BUNDLES
        is_soon_free = _is_short(seconds) and all(
            _is_short(bundle.seconds) for bundle in self.bundles.values()
        )
        return self._holds(shape, 2 if is_soon_free else 1)

    def could_start(self, shape: Resources) -> bool:
        """Whether one more task would start at once."""
        return self._holds(shape, 1)

    def _holds(self, shape: Resources, times: int) -> bool:
        # Plain integers: this is asked for every node and every bundle.
        used, have = self.used, self.capacity.by_name
        return all(used.get(name, 0) + n <= have.get(name, 0) * times for name, n in shape.units)

    def is_stuck(self) -> bool:
        """Whether work waits here, behind a task that takes longer than was measured."""
        now = time.monotonic()
        if now - self.recalled < PREFETCH_SECONDS:
            return False
        late = [b.key for b in self.bundles.values() if now - b.sent > 2 * PREFETCH_SECONDS]
        return bool(late) and (self.load > 1 or any(stop - start > 1 for _, start, stop, _ in late))

    @property
    def free(self) -> Resources:
        """What the outstanding bundles leave of it."""
        have = self.capacity.by_name
        return Resources.from_units(
            {name: max(0, n - self.used.get(name, 0)) for name, n in have.items()}
        )

    @property
    def busy_slots(self) -> int:
        """How many bundles run, as far as can be told from here."""
        over = self.load
        return len(self.bundles) if over <= 1 else round(len(self.bundles) / over)

    def hold(self, bundle: Outstanding) -> None:
        """The node has this bundle."""
        self.bundles[bundle.key] = bundle
        self.jobs.add(bundle.key[0])
        self._use(bundle.shape, 1)

    def let_go(self, key: Key) -> Outstanding | None:
        """The node no longer has this bundle; None where it had not."""
        bundle = self.bundles.pop(key, None)
        if bundle is not None:
            self._use(bundle.shape, -1)
            if not self.bundles:
                self.idle_since = time.time()
        return bundle

    def _use(self, shape: Resources, times: int) -> None:
        have = self.capacity.by_name
        for name, n in shape.units:
            self.used[name] = self.used.get(name, 0) + n * times
        self.load = max(
            (n / have[name] for name, n in self.used.items() if have.get(name)), default=0.0
        )


def _is_short(seconds: float | None) -> bool:
    return seconds is not None and seconds <= PREFETCH_SECONDS


def posting(send: Callable[[dict[str, Any]], None]) -> Callable[[dict[str, Any]], None]:
    """Sending on a stream that may have just closed: then the node settles or is given up."""

    def post(message: dict[str, Any]) -> None:
        try:
            send(message)
        except CommClosedError:
            logger.info("a message to a node was not sent: its connection has closed")

    return post
