"""The chart of a cluster: rate, nodes and scaling decisions of the last half hour, as HTML. Pure.

The chart is drawn whole from one view of the cluster, so that whoever shows it at any time shows
all of it. Lines are SVG that stretches to the width of its place; words stand beside it as HTML,
since SVG would stretch them too. `chart.js` reads what the pointer is at from the lines' points.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from html import escape

from jupyter_cluster.charts.style import EVENTS
from jupyter_cluster.client.watch import View
from jupyter_cluster.panel.sections import SYMBOLS, unit_of

# Of the newest half hour at most so many points are drawn.
WINDOW_SECONDS, MOST_POINTS = 1800.0, 600
# A chart that has just begun is not stretched: its first second would fill it.
LEAST_SECONDS = 10.0
NO_SAMPLES = "The chart begins with the first task or node"
# The lines' coordinates, of which the place's width and height are made.
WIDTH, HEIGHT = 1000.0, 100.0
# Steps that a clock reads well, in seconds.
TIME_STEPS = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600)
MOST_TIMES, MOST_VALUES = 6, 4


@dataclass(frozen=True)
class ChartData:
    """What the chart draws.

    Attributes
    ----------
    times : list of float
        Unix times, ascending.
    rates, nodes, pending : list
        Tasks a second, nodes that are ready, nodes on their way up.
    decisions : dict
        Time and sentence of the events of each kind that is marked.
    unit : str
        What a task works on.
    """

    times: list[float]
    rates: list[float]
    nodes: list[int]
    pending: list[int]
    decisions: dict[str, list[tuple[float, str]]]
    unit: str


def chart_data(view: View) -> ChartData:
    """Reduce a view of the cluster to what the chart draws of it."""
    samples = list(view.samples)
    newest = samples[-1]["time"] if samples else 0.0
    samples = [s for s in samples if s["time"] >= newest - WINDOW_SECONDS]
    stride = math.ceil(len(samples) / MOST_POINTS) or 1
    groups = [samples[at : at + stride] for at in range(0, len(samples), stride)]
    first = samples[0]["time"] if samples else newest
    decisions: dict[str, list[tuple[float, str]]] = {kind: [] for kind in EVENTS}
    for event in view.events:
        if event["kind"] in decisions and event["time"] >= first - 1:
            decisions[event["kind"]].append((event["time"], event["text"]))
    return ChartData(
        times=[group[-1]["time"] for group in groups],
        rates=[round(sum(s["rate"] for s in group) / len(group), 3) for group in groups],
        nodes=[group[-1]["ready"] for group in groups],
        pending=[group[-1]["pending"] for group in groups],
        decisions=decisions,
        unit=unit_of(view.status.get("jobs", [])),
    )


def chart(view: View) -> str:
    """Draw the chart of a view of the cluster."""
    data = chart_data(view)
    if not data.times:
        return f'<div class="jc-blank">{NO_SAMPLES}</div>'
    axes = _Axes(data)
    return (
        f'<div class="jc-legend">{_legend(data)}</div>'
        f'<div class="jc-plot" {axes.attributes}>{_lines(data, axes)}{_labels(axes)}'
        f'<div class="jc-marks">{_marks(data, axes)}</div></div>'
    )


class _Axes:
    """Where times, rates and counts of nodes stand in the plot."""

    def __init__(self, data: ChartData) -> None:
        self.end = data.times[-1]
        self.begin = min(data.times[0], self.end - LEAST_SECONDS)
        most_rate = max(data.rates)
        step = _round_step(most_rate / MOST_VALUES) if most_rate > 0 else 1.0
        self.rates = _ticks(max(most_rate, step), step)
        most_nodes = max(*data.nodes, *data.pending, 1)
        self.nodes = _ticks(most_nodes, max(1, math.ceil(most_nodes / MOST_VALUES)))
        # The clock of this process: the words beside the lines have it, so the pointer's have, too.
        offset = time.localtime(self.end).tm_gmtoff
        self.attributes = (
            f'data-begin="{self.begin:.3f}" data-end="{self.end:.3f}" data-offset="{offset}"'
            f' data-rate-top="{self.rates[-1]:g}" data-nodes-top="{self.nodes[-1]:g}"'
            f' data-unit="{escape(data.unit)}"'
        )

    def across(self, moment: float) -> float:
        """Where a moment stands between the left (0) and the right (1)."""
        return (moment - self.begin) / (self.end - self.begin)

    def times(self) -> Iterator[tuple[float, str]]:
        """Moments with words, and the words."""
        span = self.end - self.begin
        fitting = (step for step in TIME_STEPS if span / step <= MOST_TIMES)
        step = next(fitting, TIME_STEPS[-1])
        shown = "%H:%M:%S" if step < 60 else "%H:%M"
        for number in range(math.ceil(self.begin / step), math.floor(self.end / step) + 1):
            moment = float(number * step)
            yield moment, time.strftime(shown, time.localtime(moment))


def _round_step(least: float) -> float:
    """The smallest of 1, 2, 2.5 and 5 times a power of ten that is not below `least`."""
    power = 10.0 ** math.floor(math.log10(least))
    return next(n * power for n in (1, 2, 2.5, 5, 10) if n * power >= least * (1 - 1e-9))


def _ticks(most: float, step: float) -> list[float]:
    """Multiples of a step from zero to the first that is not below `most`."""
    return [number * step for number in range(math.ceil(most / step - 1e-9) + 1)]


# -- HTML -----------------------------------------------------------------------------------------


def _legend(data: ChartData) -> str:
    lines = [("rate", f"{data.unit}s per second"), ("nodes", "nodes ready")]
    if any(data.pending):
        lines.append(("pending", "nodes booting"))
    keys = [f'<span><i class="jc-key jc-of-{of}"></i>{escape(text)}</span>' for of, text in lines]
    keys += [
        f'<span class="jc-{kind}"><span class="jc-kind">{SYMBOLS[kind]}</span> {text}</span>'
        for kind, text in EVENTS.items()
        if data.decisions[kind]
    ]
    return "".join(keys)


def _lines(data: ChartData, axes: _Axes) -> str:
    rate = _points(data.times, data.rates, axes, axes.rates[-1])
    nodes = _points(*_steps(data.times, data.nodes), axes, axes.nodes[-1])
    first, last = rate[0].partition(",")[0], rate[-1].partition(",")[0]
    area = " ".join([f"{first},{HEIGHT:g}", *rate, f"{last},{HEIGHT:g}"])
    pending = ""
    if any(data.pending):
        points = _points(*_steps(data.times, data.pending), axes, axes.nodes[-1])
        pending = _polyline("pending", points)
    grid = "".join(
        f'<line x1="0" x2="{WIDTH:g}" y1="{_down(value, axes.rates[-1]):g}"'
        f' y2="{_down(value, axes.rates[-1]):g}"/>'
        for value in axes.rates
    )
    said = (
        f"{data.unit}s per second, now {data.rates[-1]:,.1f}, at most {max(data.rates):,.1f};"
        f" nodes ready, now {data.nodes[-1]:,}, at most {max(data.nodes):,}"
    )
    return (
        f'<svg viewBox="0 0 {WIDTH:g} {HEIGHT:g}" preserveAspectRatio="none" role="img"'
        f' aria-label="{escape(said)}"><g class="jc-grid">{grid}</g>'
        f'<polygon class="jc-of-rate" points="{area}"/>{_polyline("rate", rate)}'
        f"{pending}{_polyline('nodes', nodes)}</svg>"
    )


def _polyline(of: str, points: Sequence[str]) -> str:
    shown = [*points, points[-1]]  # a line of one point has no length: a round cap shows it
    return f'<polyline class="jc-of-{of}" points="{" ".join(shown)}"/>'


def _points(times: Sequence[float], values: Sequence[float], axes: _Axes, most: float) -> list[str]:
    return [
        f"{axes.across(moment) * WIDTH:.1f},{_down(value, most):g}"
        for moment, value in zip(times, values, strict=True)
    ]


def _steps(times: Sequence[float], values: Sequence[float]) -> tuple[list[float], list[float]]:
    """A count holds until the next one: a point at each change's foot and one at its head."""
    at: list[float] = []
    counts: list[float] = []
    for moment, value in zip(times, values, strict=True):
        if counts and counts[-1] != value:
            at.append(moment)
            counts.append(counts[-1])
        at.append(moment)
        counts.append(value)
    return at, counts


def _down(value: float, most: float) -> float:
    """The distance from the upper edge, in the lines' coordinates."""
    return round(HEIGHT * (1 - value / most), 2)


def _labels(axes: _Axes) -> str:
    sides = (("left", axes.rates), ("right", axes.nodes))
    labels = [
        f'<span class="jc-{side}" style="top: {_down(value, values[-1]):g}%">{value:,.10g}</span>'
        for side, values in sides
        for value in values
    ]
    labels += [
        f'<span class="jc-time" style="left: {axes.across(moment):.2%}">{text}</span>'
        for moment, text in axes.times()
    ]
    return f'<div class="jc-labels">{"".join(labels)}</div>'


def _marks(data: ChartData, axes: _Axes) -> str:
    return "".join(
        f'<span class="jc-{kind}" style="left: {max(0.0, axes.across(moment)):.2%}"'
        f' title="{time.strftime("%H:%M:%S", time.localtime(moment))} {escape(text)}">'
        f'<span class="jc-kind">{SYMBOLS[kind]}</span></span>'
        for kind, events in data.decisions.items()
        for moment, text in events
        if moment <= axes.end
    )
