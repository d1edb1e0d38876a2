"""The panel's chart as a plotly widget: the rate, the nodes as steps, and the decisions."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from datetime import datetime
from html import escape
from typing import Any

from jupyter_cluster.charts.style import (
    EVENTS,
    NODES_COLOUR,
    RATE_COLOUR,
    RATE_FILL,
    WRAP,
    axis,
    layout,
    marks,
)
from jupyter_cluster.panel.course import NO_SAMPLES, Course

HEIGHT = 300
# The traces, in their order.
TRACES = ("rate", "nodes", "pending", *EVENTS)


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
