"""What a simulation found."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from html import escape
from typing import TYPE_CHECKING, Any

from jupyter_cluster.formats import format_seconds
from jupyter_cluster.model import Event
from jupyter_cluster.simulator.record import Sample

if TYPE_CHECKING:
    from plotly.graph_objects import Figure


@dataclass(frozen=True)
class Waits:
    """Seconds that tasks spent in the queue before they started for the first time."""

    mean: float = 0.0
    median: float = 0.0
    p95: float = 0.0
    maximum: float = 0.0


@dataclass(frozen=True)
class Result:
    """What became of the work and of the nodes.

    Attributes
    ----------
    makespan : float
        Seconds from the first arrival to the end of the last task that ended.
    cost : float
        USD of all workers, from their request to their end or that of the simulation; idle time
        and boots are part of it. An unknown price is estimated.
    node_hours, launched_by_type : mapping
        By node type; paid hours, and nodes requested that the cloud had.
    launched : int
        The same, of all types.
    wasted_boots : int
        Nodes that were ended, or failed, before a task started on them.
    wasted_cost : float
        What they cost, in USD.
    waits : Waits
        How long tasks were queued.
    idle_cost : float
        USD that nodes cost after the last task had ended.
    busy : float
        Which share of the paid node time tasks used, 0 to 1, of the resource that they used most.
    bound_seconds : float
        No planner could have had a shorter makespan on the tasks that were started: the largest
        fleet that the limits allow, requested at the first arrival (at the start where
        min_workers or requests ask for nodes), ready in the order of the shortest boot times,
        working without a gap; at the least the longest task. See `bounds.least_seconds`.
    bound_cost : float
        No planner could have paid less, in USD: the same work on the cheapest node type for it,
        nodes always full, without boots. See `bounds.least_cost`.
    tasks, done, unfinished : int
        How many there were, how many ended, and how many did not.
    why_unfinished : tuple of str
        A sentence for each reason.
    lost : int
        How many tasks were under way on a node that was taken back; they ran again.
    last_end : float
        When the last task ended, in seconds since the start; 0 where none did.
    end : float
        When the simulation ended, in seconds since its start.
    rounds : int
        How often the planner was asked.
    series : tuple of Sample
        The cluster over time.
    events : tuple of Event
        Decisions, failures and losses with their sentences; times since the start.
    """

    makespan: float
    cost: float
    node_hours: Mapping[str, float]
    launched: int
    launched_by_type: Mapping[str, int]
    wasted_boots: int
    wasted_cost: float
    waits: Waits
    idle_cost: float
    busy: float
    bound_seconds: float
    bound_cost: float
    tasks: int
    done: int
    unfinished: int
    why_unfinished: tuple[str, ...]
    lost: int
    last_end: float
    end: float
    rounds: int
    series: tuple[Sample, ...] = field(repr=False)
    events: tuple[Event, ...] = field(repr=False)

    @property
    def decisions(self) -> list[tuple[float, str]]:
        """What the planner did: seconds since the start, and the sentence."""
        kinds = ("scale-up", "scale-down")
        return [(event.time, event.text) for event in self.events if event.kind in kinds]

    @property
    def most_nodes(self) -> dict[str, int]:
        """How many nodes of each type there were at most at a time, up or pending."""
        most = dict.fromkeys(self.launched_by_type, 0)
        for sample in self.series:
            for name in most:
                count = sample.up.get(name, 0) + sample.pending.get(name, 0)
                most[name] = max(most[name], count)
        return most

    @property
    def seconds_over_bound(self) -> float | None:
        """Makespan over its lower bound; None where no task was done."""
        return self.makespan / self.bound_seconds if self.done and self.bound_seconds else None

    @property
    def cost_over_bound(self) -> float | None:
        """Cost over its lower bound; None where no task was done, or for nothing."""
        return self.cost / self.bound_cost if self.done and self.bound_cost else None

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {
            **asdict(self),
            "series": [sample._asdict() for sample in self.series],
            "events": [event.as_dict() for event in self.events],
            "decisions": [list(decision) for decision in self.decisions],
        }

    def rows(self) -> list[tuple[str, str]]:
        """The main figures, named, as text."""
        hours = (f"{name} {hours:.2f}" for name, hours in self.node_hours.items())
        launched = (f"{count} × {name}" for name, count in self.launched_by_type.items())
        rows = [
            ("tasks done", f"{self.done:,} of {self.tasks:,}"),
            *self._times(),
            ("cost of workers", usd(self.cost)),
            ("of it idle at the end", usd(self.idle_cost)),
            ("cost at least", _bound(usd(self.bound_cost), self.cost_over_bound)),
            ("launched", ", ".join(launched) or "nothing"),
            ("node hours", ", ".join(hours) or "none"),
            ("wasted boots", f"{self.wasted_boots}, {usd(self.wasted_cost)}"),
            *self._waits(),
            ("node time used", f"{self.busy:.0%}"),
        ]
        return rows + ([("run again", f"{self.lost:,} tasks of lost nodes")] if self.lost else [])

    def _times(self) -> list[tuple[str, str]]:
        if not self.done:
            return []
        least = _bound(precise_seconds(self.bound_seconds), self.seconds_over_bound)
        name = "makespan" if not self.unfinished else "last task ended after"
        return [(name, precise_seconds(self.makespan)), ("makespan at least", least)]

    def _waits(self) -> list[tuple[str, str]]:
        if not self.done:
            return []
        waits = self.waits
        rows = {
            "wait, mean": waits.mean,
            "wait, median": waits.median,
            "wait, 95 %": waits.p95,
            "wait, longest": waits.maximum,
        }
        return [(name, precise_seconds(seconds)) for name, seconds in rows.items()]

    def chart(self) -> Figure:
        """Tasks per second above, nodes up and pending below, decisions as markers."""
        from jupyter_cluster.simulator.chart import figure

        return figure(self)

    def __str__(self) -> str:
        rows = self.rows()
        width = max(len(name) for name, _ in rows)
        lines = [f"{name:{width}}  {value}" for name, value in rows]
        return "\n".join([*lines, *self.why_unfinished])

    def _repr_html_(self) -> str:
        rows = "".join(
            f'<tr><td style="text-align: left">{escape(name)}</td><td>{escape(value)}</td></tr>'
            for name, value in self.rows()
        )
        why = "".join(f"<p>{escape(reason)}</p>" for reason in self.why_unfinished)
        return f"<table>{rows}</table>{why}"


def precise_seconds(seconds: float) -> str:
    """A duration for a person who compares: ``0.4 s``, ``3 min 22 s``, ``2 h 5 min``."""
    if seconds < 60:
        return format_seconds(seconds)
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest} s"
    return f"{minutes // 60:,} h {minutes % 60} min"


def usd(amount: float) -> str:
    """``2.10 USD``, ``nothing``; small amounts are not rounded to nothing."""
    if not amount:
        return "nothing"
    return f"{amount:,.2f} USD" if amount >= 0.01 else f"{amount:.2g} USD"


def _bound(text: str, ratio: float | None) -> str:
    return text if ratio is None else f"{text}, × {ratio:.2f}"
