"""What there is to do: batches of tasks, how long tasks take, and the queue they wait in."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from math import inf, log, sqrt
from random import Random
from typing import NamedTuple, Protocol

from jupyter_cluster.errors import UsageError
from jupyter_cluster.resources import Resources


class Row(NamedTuple):
    """So many tasks, and the seconds that each of them takes or has waited."""

    seconds: float
    tasks: int


class Durations(Protocol):
    """How long tasks take."""

    def draw(self, source: Random, count: int) -> list[Row]:
        """The durations of the next `count` tasks.

        Whether tasks are drawn one by one or together changes nothing, so that the same seed
        gives the same tasks to every planner.
        """


def _positive(seconds: float, what: str) -> None:
    if not 0 < seconds < inf:
        raise UsageError(f"{what} must be more than 0 seconds, not {seconds}")


@dataclass(frozen=True)
class Fixed:
    """Every task takes the same time.

    Raises
    ------
    UsageError
        `seconds` is not positive.
    """

    seconds: float

    def __post_init__(self) -> None:
        _positive(self.seconds, "the duration of a task")

    def draw(self, _source: Random, count: int) -> list[Row]:
        """See `Durations`."""
        return [Row(self.seconds, count)]


@dataclass(frozen=True)
class LogNormal:
    """Durations that vary as those of most computations do: never negative, with a long tail.

    Parameters
    ----------
    mean : float
        Seconds.
    spread : float
        Standard deviation over mean; 0 makes all equal.

    Raises
    ------
    UsageError
        `mean` is not positive or `spread` is negative.
    """

    mean: float
    spread: float

    def __post_init__(self) -> None:
        _positive(self.mean, "the mean duration of tasks")
        if not 0 <= self.spread < inf:
            raise UsageError(f"the spread of durations must not be negative, as {self.spread} is")

    def draw(self, source: Random, count: int) -> list[Row]:
        """See `Durations`."""
        if not self.spread:
            return [Row(self.mean, count)]
        middle, width = self._of_logarithm
        return [Row(source.lognormvariate(middle, width), 1) for _ in range(count)]

    @cached_property
    def _of_logarithm(self) -> tuple[float, float]:
        """Mean and standard deviation of the logarithm, which is normal."""
        variance = log(1 + self.spread**2)
        return log(self.mean) - variance / 2, sqrt(variance)


@dataclass(frozen=True)
class Stragglers:
    """A few tasks take much longer than the others.

    Parameters
    ----------
    seconds : float
        What most tasks take.
    share : float
        How many are stragglers, 0 to 1.
    factor : float
        How many times longer they take.

    Raises
    ------
    UsageError
        A value is out of its range.
    """

    seconds: float
    share: float
    factor: float

    def __post_init__(self) -> None:
        _positive(self.seconds, "the duration of a task")
        _positive(self.seconds * self.factor, "the duration of a straggler")
        if not 0 <= self.share <= 1:
            raise UsageError(f"the share of stragglers must be from 0 to 1, not {self.share}")

    def draw(self, source: Random, count: int) -> list[Row]:
        """See `Durations`."""
        long = sum(source.random() < self.share for _ in range(count))
        rows = Row(self.seconds, count - long), Row(self.seconds * self.factor, long)
        return [row for row in rows if row.tasks]


@dataclass(frozen=True)
class Batch:
    """Tasks of one shape that arrive together.

    Parameters
    ----------
    at : float
        When they arrive, in seconds since the start of the simulation.
    shape : Resources
        What each of them needs; by default one CPU.
    seconds : Durations
        How long they take: `Fixed`, `LogNormal`, `Stragglers`.

    Raises
    ------
    UsageError
        `at` or `count` is negative.
    """

    at: float = 0.0
    count: int = 1
    shape: Resources = field(default_factory=lambda: Resources.of(CPU=1))
    seconds: Durations = field(default_factory=lambda: Fixed(1.0))

    def __post_init__(self) -> None:
        if not 0 <= self.at < inf or self.count < 0:
            raise UsageError(f"{self.count} tasks cannot arrive at {self.at} s: negative values")


@dataclass(slots=True)
class Drawn:
    """What the tasks of a batch that have started turned out to be.

    Attributes
    ----------
    seconds : float
        Durations, added up.
    longest : float
        The longest of them.
    """

    batch: Batch
    seconds: float = 0.0
    longest: float = 0.0

    def note(self, rows: Iterable[Row]) -> None:
        """These have started for the first time."""
        for seconds, count in rows:
            self.seconds += seconds * count
            self.longest = max(self.longest, seconds)


class Taken(NamedTuple):
    """Tasks that leave the queue.

    Attributes
    ----------
    arrived : float
        When they arrived.
    is_again : bool
        Whether they had started before, on a node that was lost.
    """

    arrived: float
    is_again: bool
    rows: list[Row]


@dataclass(slots=True)
class _Arrived:
    """A batch in the queue; its durations are drawn as its tasks start."""

    drawn: Drawn
    source: Random
    left: int

    @property
    def arrived(self) -> float:
        return self.drawn.batch.at

    def take(self, count: int) -> Taken:
        self.left -= count
        rows = self.drawn.batch.seconds.draw(self.source, count)
        self.drawn.note(rows)
        return Taken(self.arrived, False, rows)


@dataclass(slots=True)
class _Again:
    """Tasks of a lost node; they take as long as they would have."""

    arrived: float
    seconds: float
    left: int

    def take(self, count: int) -> Taken:
        self.left -= count
        return Taken(self.arrived, True, [Row(self.seconds, count)])


class Queue:
    """Tasks that wait, by shape; within a shape in the order of arrival, lost ones first.

    Attributes
    ----------
    count : dict
        How many tasks wait, by shape; shapes without any are left out.
    drawn : list of Drawn
        One for each batch.
    """

    def __init__(self, seed: int) -> None:
        self.count: dict[Resources, int] = {}
        self.drawn: list[Drawn] = []
        self._seed = seed
        self._waiting: dict[Resources, deque[_Arrived | _Again]] = {}

    def arrive(self, batch: Batch) -> None:
        """Put a batch at the end."""
        # A source of its own, so that the order of starts does not change its durations.
        source = Random(f"{self._seed} batch {len(self.drawn)}")
        self.drawn.append(Drawn(batch))
        waiting = self._waiting.setdefault(batch.shape, deque())
        waiting.append(_Arrived(self.drawn[-1], source, batch.count))
        self._add(batch.shape, batch.count)

    def again(self, shape: Resources, row: Row, arrived: float) -> None:
        """Put tasks of a lost node in front."""
        waiting = self._waiting.setdefault(shape, deque())
        waiting.appendleft(_Again(arrived, row.seconds, row.tasks))
        self._add(shape, row.tasks)

    def _add(self, shape: Resources, count: int) -> None:
        if left := self.count.get(shape, 0) + count:
            self.count[shape] = left
        else:
            del self.count[shape]

    def shapes(self) -> list[Resources]:
        """Those of which tasks wait: the one whose first task has waited longest comes first."""
        if len(self.count) < 2:
            return list(self.count)
        return sorted(self.count, key=lambda shape: self._waiting[shape][0].arrived)

    def take(self, shape: Resources, count: int) -> list[Taken]:
        """The first `count` tasks of a shape; as many must be there."""
        self._add(shape, -count)
        waiting, taken = self._waiting[shape], []
        while count:
            first = waiting[0]
            part = min(count, first.left)
            count -= part
            taken.append(first.take(part))
            if not first.left:
                waiting.popleft()
        return taken


def first_arrival(work: Sequence[Batch]) -> float:
    """When the first task arrives; 0 where there is none."""
    return min((batch.at for batch in work if batch.count), default=0.0)
