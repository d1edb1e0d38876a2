"""What is written down while the simulation runs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from math import sqrt
from typing import NamedTuple

from jupyter_cluster.model import Event, NodeState
from jupyter_cluster.simulator.fleet import Fleet
from jupyter_cluster.simulator.work import Row

# Enough for a chart as wide as a screen.
MOST_SAMPLES = 2000


class Sample(NamedTuple):
    """The cluster at one moment.

    Attributes
    ----------
    t : float
        Seconds since the start of the simulation.
    tasks_per_second : float
        Tasks that ended since the sample before, per second.
    pending, up : mapping
        Nodes by type; up ones are ready or draining.
    """

    t: float
    done: int
    queued: int
    tasks_per_second: float
    pending: Mapping[str, int]
    up: Mapping[str, int]


@dataclass
class Measured:
    """Durations of the tasks of one shape, as they become known.

    Attributes
    ----------
    started_sum : float
        The moments at which the running ones started, added up.
    occupied : float
        Seconds for which tasks that run no more took up room, those of lost nodes included.
    """

    finished: int = 0
    mean: float = 0.0
    running: int = 0
    started_sum: float = 0.0
    occupied: float = 0.0
    _squares: float = 0.0

    def start(self, count: int, now: float) -> None:
        """Tasks have started."""
        self.running += count
        self.started_sum += now * count

    def leave(self, count: int, started: float, now: float) -> None:
        """Tasks run no more, whether or not they were done."""
        self.running -= count
        self.started_sum -= started * count
        self.occupied += (now - started) * count

    def running_seconds(self, now: float) -> float:
        """How long the running ones have run, added up."""
        # Both are sums of floats: no task has run for less than nothing.
        return max(0.0, now * self.running - self.started_sum) if self.running else 0.0

    def occupied_until(self, now: float) -> float:
        """Seconds that tasks took up room until now, those that still run included."""
        return self.occupied + self.running_seconds(now)

    def finish(self, row: Row) -> None:
        """Tasks were done: Welford's update of mean and squares, for several at once."""
        self.finished += row.tasks
        distance = row.seconds - self.mean
        self.mean += distance * row.tasks / self.finished
        self._squares += distance * (row.seconds - self.mean) * row.tasks

    @property
    def spread(self) -> float:
        """Standard deviation, in seconds."""
        # Of equal durations the sum may be a last digit below zero.
        return sqrt(max(0.0, self._squares) / self.finished) if self.finished else 0.0


class Recorder:
    """The diary, the waits and the series."""

    def __init__(self) -> None:
        self.events: list[Event] = []
        self.waits: list[Row] = []
        self.series: list[Sample] = []
        self.done = self.lost = 0
        self.last_end = 0.0
        self._step, self.next_sample = 1.0, 0.0

    def event(self, now: float, kind: str, text: str) -> None:
        """A line of the diary, as `jupyter_cluster.model.Event` has them."""
        self.events.append(Event(len(self.events) + 1, now, kind, text))

    def finish(self, count: int, now: float) -> None:
        """Tasks were done."""
        self.done += count
        self.last_end = now

    def sample(self, queued: int, fleet: Fleet) -> None:
        """The moment `next_sample` is over: nothing happened since the last event before it."""
        pending, up = Counter[str](), Counter[str]()
        for machine in fleet.alive.values():
            (pending if machine.state is NodeState.BOOTING else up)[machine.type.name] += 1
        before = self.series[-1].done if self.series else 0
        rate = (self.done - before) / self._step
        self.series.append(
            Sample(self.next_sample, self.done, queued, rate, dict(pending), dict(up))
        )
        if len(self.series) > MOST_SAMPLES:
            self._thin()
        self.next_sample = self.series[-1].t + self._step

    def _thin(self) -> None:
        """Half as many samples, each for twice the time."""
        self._step *= 2
        kept = self.series[::2]
        before = [0] + [sample.done for sample in kept[:-1]]
        self.series = [
            sample._replace(tasks_per_second=(sample.done - done) / self._step)
            for sample, done in zip(kept, before, strict=True)
        ]


def weighted_quantile(rows: Iterable[Row], share: float) -> float:
    """The smallest value that at least this share of the tasks does not exceed."""
    ordered = sorted(rows)
    left = share * sum(row.tasks for row in ordered)
    for seconds, tasks in ordered:
        left -= tasks
        if left <= 1e-9:
            return seconds
    return 0.0
