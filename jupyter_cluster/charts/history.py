"""What a figure of a job's or a cluster's past is drawn from, see `history_figure`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

Row = Mapping[str, Any]

# From so many seconds on, time since a beginning is in the larger unit.
UNITS = ((7200.0, 3600.0, "hours"), (600.0, 60.0, "minutes"), (0.0, 1.0, "seconds"))


@dataclass(frozen=True)
class History:
    """What a figure is drawn from; all times are Unix times.

    Attributes
    ----------
    samples : sequence of mapping
        ``time``, ``rate`` (units per second), ``ready`` (nodes), ``queued`` and ``running``
        (tasks), in the order of time.
    costs : sequence of mapping
        ``time``, ``cost`` (USD so far) and ``per_hour`` (USD per hour).
    events : sequence of mapping
        ``time``, ``kind`` and ``text``, see `jupyter_cluster.model.Event`.
    stages : sequence of mapping
        A node each: ``id``, ``type``, ``stages`` (pairs of a `NodeState` and when it was
        entered), ``ended`` (or None) and ``why`` it did.
    durations : sequence of (int, float)
        How many tasks, and the seconds that each of them took.
    unit : str
        What a task works on.
    began, ended : float
        The span that is shown.
    is_clock : bool
        Whether the time axis shows the time of day, not the time since `began`.
    """

    began: float
    ended: float
    unit: str = "task"
    title: str = ""
    samples: Sequence[Row] = ()
    costs: Sequence[Row] = ()
    events: Sequence[Row] = ()
    stages: Sequence[Row] = ()
    durations: Sequence[tuple[int, float]] = ()
    is_clock: bool = False
    time_axis: TimeAxis = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "time_axis", TimeAxis(self.began, self.ended, self.is_clock))


class TimeAxis:
    """Where a moment is on the time axis."""

    def __init__(self, began: float, ended: float, is_clock: bool) -> None:
        span = ended - began
        self.is_clock = is_clock
        self._began = began
        self._scale, self.unit = next((size, name) for least, size, name in UNITS if span >= least)
        self.range = [self.at(began), self.at(ended)]

    def at(self, moment: float) -> Any:
        """The place of a moment."""
        if self.is_clock:
            return datetime.fromtimestamp(moment)
        return (moment - self._began) / self._scale

    def length(self, seconds: float) -> float:
        """So many seconds as a length on the axis: of dates it is in milliseconds."""
        return seconds * 1000 if self.is_clock else seconds / self._scale

    @property
    def title(self) -> str:
        """What stands below it."""
        return "" if self.is_clock else f"{self.unit} since it began"

    @property
    def hover(self) -> str:
        """The format of a moment that is pointed at."""
        return "%{x|%H:%M:%S}" if self.is_clock else f"after %{{x:.4~g}} {self.unit}"
