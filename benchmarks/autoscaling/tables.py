"""The tables of a run: for a terminal through rich, otherwise as Markdown."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import median, quantiles

from rich.console import Console
from rich.table import Table

from benchmarks.autoscaling.aims import Verdict, ratio_to_ray
from benchmarks.autoscaling.launch_sets import Price
from benchmarks.autoscaling.peers import OURS, OURS_AUTO
from benchmarks.autoscaling.planning import MAX_WORKERS, Timing
from benchmarks.autoscaling.simulations import Outcome
from benchmarks.autoscaling.workloads import WORKLOADS
from benchmarks.report import MET, MISSED, OPEN, median_or_none, show

NONE = "–"
COLOURS = {MET: "green", MISSED: "red", OPEN: "yellow"}


@dataclass(frozen=True)
class Grid:
    """A table: the first column names its rows.

    Attributes
    ----------
    note : str
        A sentence below; may be empty.
    """

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    note: str = ""

    def print(self, console: Console) -> None:
        """In a terminal as a table, into a file or a pipe as Markdown."""
        if console.is_terminal:
            console.print(self.as_rich())
            console.print(self.note, style="dim")
        else:
            # Not through rich, which would wrap its lines.
            console.file.write(self.as_markdown() + "\n")

    def as_rich(self) -> Table:
        """For a terminal."""
        table = Table(title=self.title, title_justify="left")
        for index, column in enumerate(self.columns):
            table.add_column(column, justify="right" if index else "left")
        for row in self.rows:
            *cells, last = row
            table.add_row(*cells, f"[{COLOURS[last]}]{last}[/]" if last in COLOURS else last)
        return table

    def as_markdown(self) -> str:
        """For a document."""
        lines = [self.columns, ("---", *["---:"] * (len(self.columns) - 1)), *self.rows]
        table = "\n".join("| " + " | ".join(line) + " |" for line in lines)
        return f"**{self.title}**\n\n{table}\n" + (f"\n{self.note}\n" if self.note else "")


def workload_grids(outcomes: Sequence[Outcome]) -> list[Grid]:
    """A table for each workload, with a row for each planner."""
    names = [name for name in WORKLOADS if any(s.workload == name for s in outcomes)]
    return [_workload_grid(name, [s for s in outcomes if s.workload == name]) for name in names]


def _workload_grid(name: str, outcomes: Sequence[Outcome]) -> Grid:
    columns = (
        "", "makespan, s", "÷ bound", "cost, USD", "÷ bound",
        "launched", "wasted boots", "median wait, s", "undone",
    )  # fmt: skip
    peers = dict.fromkeys(outcome.peer for outcome in outcomes)
    rows = tuple(_workload_row(peer, [s for s in outcomes if s.peer == peer]) for peer in peers)
    seeds = len({outcome.seed for outcome in outcomes})
    note = f"Medians; seeds: {seeds}. The cost ends with the last node, idle ones included."
    return Grid(f"{name}: {WORKLOADS[name].title}", columns, rows, note)


def _workload_row(peer: str, runs: Sequence[Outcome]) -> tuple[str, ...]:
    figures: tuple[Callable[[Outcome], float], ...] = (
        lambda s: s.makespan,
        lambda s: s.makespan / s.bound_seconds,
        lambda s: s.cost,
        lambda s: s.cost / s.bound_cost,
        lambda s: s.launched,
        lambda s: s.wasted_boots,
        lambda s: s.median_wait,
    )
    undone = max(run.unfinished for run in runs)
    return (peer, *(show(median(map(figure, runs))) for figure in figures), f"{undone:,}")


def ratios_grid(outcomes: Sequence[Outcome]) -> Grid:
    """A row for each workload: ours over the better of Ray's two in each figure."""
    names = dict.fromkeys(outcome.workload for outcome in outcomes)
    cases = [(peer, figure) for peer in (OURS, OURS_AUTO) for figure in ("makespan", "cost")]
    rows = tuple(
        (name, *(_ratio(ratio_to_ray(name, outcomes, figure, peer)) for peer, figure in cases))
        for name in names
    )
    columns = ("", *(f"{figure}, {peer}" for peer, figure in cases))
    note = "Medians of the ratios with the same seed; the better of Ray's two in each figure."
    return Grid("Ours ÷ the better of Ray's two", columns, rows, note)


def _ratio(number: float | None) -> str:
    return NONE if number is None else f"{number:.3f}"


def launch_grid(prices: Sequence[Price]) -> Grid:
    """A row for each planner: the price of its launch sets over the bound."""
    columns = ("", "median", "95th percentile", "worst", "planning, ms", "tasks without a node")
    peers = dict.fromkeys(price.peer for price in prices)
    rows = tuple(_launch_row(peer, [p for p in prices if p.peer == peer]) for peer in peers)
    cases = len({price.seed for price in prices})
    note = f"{cases} random mixes; ratios are of those mixes in which it placed every task."
    return Grid("Hourly cost ÷ lower bound, 20 shapes × 10 types", columns, rows, note)


def _launch_row(peer: str, prices: Sequence[Price]) -> tuple[str, ...]:
    ratios = [price.ratio for price in prices if not price.unplaced]
    planning = f"{show(1000 * median(price.seconds for price in prices))}"
    unplaced = f"{sum(price.unplaced for price in prices):,}"
    if not ratios:
        return (peer, NONE, NONE, NONE, planning, unplaced)
    found = (f"{x:.3f}" for x in (median(ratios), percentile(ratios, 95), max(ratios)))
    return (peer, *found, planning, unplaced)


def percentile(numbers: Sequence[float], percent: int) -> float:
    """Between the nearest figures; the only one of one."""
    if len(numbers) == 1:
        return numbers[0]
    return quantiles(numbers, n=100, method="inclusive")[percent - 1]


def planning_grid(timings: Sequence[Timing], limit: float) -> Grid:
    """A row for each planner and number of nodes, a column for each number of tasks."""
    counts = sorted({timing.tasks for timing in timings})
    groups = dict.fromkeys((timing.nodes, timing.peer) for timing in timings)
    rows = tuple(
        (
            f"{peer}, {nodes:,} nodes" if nodes else f"{peer}, empty",
            *(planning_time(timings, peer, tasks, nodes, limit) for tasks in counts),
        )
        for nodes, peer in sorted(groups, key=lambda group: group[0])
    )
    columns = ("tasks", *(f"{tasks:,}" for tasks in counts))
    note = (
        f"Medians; at most {MAX_WORKERS:,} workers; {NONE}: not tried, since fewer tasks took over"
        f" {limit:.0f} s."
    )
    return Grid("Planning time, 3 shapes, 10 types", columns, rows, note)


def planning_time(
    timings: Sequence[Timing], peer: str, tasks: int, nodes: int, limit: float
) -> str:
    """``0.8 ms``, ``4.3 s`` or ``> 60 s``."""
    found = [t.seconds for t in timings if (t.peer, t.tasks, t.nodes) == (peer, tasks, nodes)]
    if None in found:
        return f"> {limit:.0f} s"
    seconds = median_or_none([second for second in found if second is not None])
    if seconds is None:
        return NONE
    return f"{show(seconds)} s" if seconds >= 1 else f"{show(1000 * seconds)} ms"


def aims_grid(verdicts: Sequence[Verdict]) -> Grid:
    """A row for each aim."""
    rows = tuple(
        (
            verdict.aim,
            NONE if verdict.measured is None else _figure(verdict.measured, verdict.unit),
            _figure(verdict.most, verdict.unit),
            verdict.state,
        )
        for verdict in verdicts
    )
    return Grid("Aims", ("", "measured", "at most", "state"), rows)


def _figure(number: float, unit: str) -> str:
    text = "too slow" if number == float("inf") else f"{number:.3f}".rstrip("0").rstrip(".")
    return f"{text} {unit}".rstrip()
