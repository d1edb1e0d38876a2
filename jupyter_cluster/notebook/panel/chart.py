"""The panel's chart: the rate, the nodes as steps, and the decisions with their sentences.

`course` is what there is to draw, as plain lists; `LiveChart` draws it in a plotly widget, and
`svg` as a picture for a page without a kernel.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from html import escape
from typing import Any

from jupyter_cluster.charts.style import (
    EVENTS,
    GRID,
    INK,
    NODES_COLOUR,
    RATE_COLOUR,
    RATE_FILL,
    WRAP,
    axis,
    layout,
    marks,
)
from jupyter_cluster.client.watch import View
from jupyter_cluster.notebook.panel.sections import unit_of

# Of the newest half hour at most so many points are drawn.
WINDOW_SECONDS, MOST_POINTS = 1800.0, 600
NO_SAMPLES = "The chart begins with the first task or node"
HEIGHT = 300
# The traces, in their order.
TRACES = ("rate", "nodes", "pending", *EVENTS)


@dataclass(frozen=True)
class Course:
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


def course(view: View) -> Course:
    """What there is to draw of a view of the cluster."""
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
    return Course(
        times=[group[-1]["time"] for group in groups],
        rates=[round(sum(s["rate"] for s in group) / len(group), 3) for group in groups],
        nodes=[group[-1]["ready"] for group in groups],
        pending=[group[-1]["pending"] for group in groups],
        decisions=decisions,
        unit=unit_of(view.status.get("jobs", [])),
    )


class LiveChart:
    """A plotly widget that is changed from one thread, in one batch at a time."""

    def __init__(self) -> None:
        from plotly.graph_objects import FigureWidget  # seconds of imports: only a panel pays

        self._lock = threading.Lock()
        self._drawn: Course | None = None
        self.figure = FigureWidget(data=_traces(), layout=_layout())

    def draw(self, drawn: Course) -> None:
        """Show this, where it differs from what is shown."""
        if drawn == self._drawn:
            return
        figure = self.figure
        with self._lock, figure.batch_update():
            times = [datetime.fromtimestamp(moment) for moment in drawn.times]
            self._line("rate", times, drawn.rates)
            self._line("nodes", times, drawn.nodes)
            self._line("pending", times, drawn.pending)
            for kind, events in drawn.decisions.items():
                self._marks(kind, events)
            if self._drawn is None or drawn.unit != self._drawn.unit:
                figure.layout.yaxis.title.text = f"{escape(drawn.unit)}s per second"
            most = max([*drawn.nodes, *drawn.pending, 1])
            if self._drawn is None or most != max([*self._drawn.nodes, *self._drawn.pending, 1]):
                figure.layout.yaxis2.range = [0, most * 1.15]
                figure.layout.yaxis2.dtick = max(1, -(-most // 4))
            if bool(drawn.times) != bool(self._drawn and self._drawn.times):
                figure.layout.annotations = [] if drawn.times else [_blank()]
        self._drawn = drawn

    def _trace(self, name: str) -> Any:
        return self.figure.data[TRACES.index(name)]  # a widget gives its traces uids of its own

    def _line(self, name: str, times: list[datetime], values: Sequence[float]) -> None:
        trace = self._trace(name)
        trace.x, trace.y = times, values
        trace.mode = "lines" if len(times) > 1 else "markers"

    def _marks(self, kind: str, events: list[tuple[float, str]]) -> None:
        trace = self._trace(kind)
        if len(trace.x or ()) == len(events) and (not events or self._drawn is not None):
            before = self._drawn.decisions[kind] if self._drawn else []
            if before == events:
                return
        times = [datetime.fromtimestamp(moment) for moment, _ in events]
        wrapped = marks(kind, EVENTS[kind], WRAP, text=[text for _, text in events])["text"]
        trace.x, trace.y, trace.text = times, [0] * len(events), wrapped


def _traces() -> list[dict[str, Any]]:
    rate = {
        "type": "scatter",
        "name": "rate",
        "line": {"color": RATE_COLOUR, "width": 2.5},
        "fill": "tozeroy",
        "fillcolor": RATE_FILL,
        "hovertemplate": "%{y:,.1f} per second<extra></extra>",
    }
    steps = {"type": "scatter", "yaxis": "y2"}
    line = {"color": NODES_COLOUR, "width": 2, "shape": "hv"}
    nodes = {
        **steps,
        "name": "nodes ready",
        "line": line,
        "hovertemplate": "%{y} nodes ready<extra></extra>",
    }
    pending = {
        **steps,
        "name": "booting",
        "line": {**line, "width": 1.2, "dash": "dot"},
        "hovertemplate": "%{y} booting<extra></extra>",
    }
    decisions = [
        {
            "type": "scatter",
            **marks(kind, name, WRAP, x=[], y=[], text=[]),
            "hovertemplate": "%{text}<br>%{x|%H:%M:%S}<extra></extra>",
        }
        for kind, name in EVENTS.items()
    ]
    return [rate, nodes, pending, *decisions]


def _layout() -> dict[str, Any]:
    return layout(
        height=HEIGHT,
        autosize=True,
        margin={"l": 56, "r": 48, "t": 34, "b": 32},
        uirevision="panel",
        xaxis={"type": "date", "showgrid": False, "anchor": "y3", "nticks": 8},
        yaxis=axis("tasks per second", domain=[0.14, 1]),
        yaxis2=axis("nodes", overlaying="y", side="right", showgrid=False, range=[0, 1.15]),
        yaxis3={"domain": [0, 0.09], "range": [-1, 1], "visible": False},
        annotations=[_blank()],
    )


def _blank() -> dict[str, Any]:
    centre = {"xref": "paper", "yref": "paper", "x": 0.5, "y": 0.55}
    return {"text": NO_SAMPLES, "showarrow": False, **centre}


def svg(drawn: Course, width: int = 900, height: int = 190) -> str:
    """The rate and the nodes as a picture, for a page that draws nothing itself."""
    if len(drawn.times) < 2:
        return f'<div class="jc-blank">{NO_SAMPLES}</div>'
    left, right, top, bottom = 60, width - 50, 18, height - 24
    begin, span = drawn.times[0], (drawn.times[-1] - drawn.times[0]) or 1.0

    def across(moment: float) -> float:
        return left + (moment - begin) / span * (right - left)

    def down(value: float, most: float) -> float:
        return bottom - value / (most or 1.0) * (bottom - top)

    most_rate, most_nodes = max(drawn.rates), max(max(drawn.nodes), 1)
    xs = [across(moment) for moment in drawn.times]
    rate = " ".join(
        f"{x:.1f},{down(r, most_rate):.1f}" for x, r in zip(xs, drawn.rates, strict=True)
    )
    steps: list[str] = []
    for x, nodes in zip(xs, drawn.nodes, strict=True):
        if steps:
            steps.append(f"{x:.1f},{steps[-1].partition(',')[2]}")
        steps.append(f"{x:.1f},{down(nodes, most_nodes):.1f}")
    clock = [datetime.fromtimestamp(t).strftime("%H:%M:%S") for t in (begin, drawn.times[-1])]
    text = f'font-size="12" font-family="sans-serif" fill="{INK}"'
    return (
        f'<svg viewBox="0 0 {width} {height}" style="width: 100%; max-width: {width}px">'
        f'<line x1="{left}" x2="{right}" y1="{bottom}" y2="{bottom}" stroke="{GRID}"/>'
        f'<polygon points="{left},{bottom} {rate} {right},{bottom}" fill="{RATE_FILL}"/>'
        f'<polyline points="{rate}" fill="none" stroke="{RATE_COLOUR}" stroke-width="2"/>'
        f'<polyline points="{" ".join(steps)}" fill="none" stroke="{NODES_COLOUR}"'
        ' stroke-width="1.6"/>'
        f'<text x="{left}" y="12" {text}>{most_rate:,.1f} {escape(drawn.unit)}s/s at most</text>'
        f'<text x="{right}" y="12" text-anchor="end" {text}>{most_nodes} nodes at most</text>'
        f'<text x="{left}" y="{height - 6}" {text}>{clock[0]}</text>'
        f'<text x="{right}" y="{height - 6}" text-anchor="end" {text}>{clock[1]}</text></svg>'
    )
