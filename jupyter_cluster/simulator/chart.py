"""The chart of a simulation; plotly is imported when it is drawn, not before."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from jupyter_cluster.charts.style import (
    INK,
    RATE_COLOUR,
    RATE_FILL,
    axis,
    layout,
    marks,
    new_figure,
    plain,
)
from jupyter_cluster.model import Event
from jupyter_cluster.simulator.record import Sample
from jupyter_cluster.simulator.result import precise_seconds, usd

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

    from jupyter_cluster.simulator.result import Result

TYPES = ("#d97706", "#0891b2", "#a855f7", "#65a30d", "#db2777", "#6366f1", "#dc2626", "#0d9488")
# Name in the legend and row of each kind of event.
KINDS = {
    "scale-up": ("nodes launched", 1),
    "scale-down": ("nodes ended", 1),
    "warning": ("node lost", 0),
    "error": ("failure", 0),
}
# The rate is that of the last few samples: in a single one, equal tasks end in waves.
WINDOW = 4
# From so many seconds on the axis counts in the larger unit.
UNITS = ((7200.0, 3600.0, "hours"), (600.0, 60.0, "minutes"), (0.0, 1.0, "seconds"))


def figure(result: Result) -> Figure:
    """Tasks per second above, nodes up and pending below, decisions as markers.

    Returns
    -------
    plotly.graph_objects.Figure
        Without a background, for light and dark pages.
    """
    made: Figure = new_figure()
    scale, unit = next((size, name) for least, size, name in UNITS if result.end >= least)
    if result.series:
        made.add_scatter(**_rate(result.series, scale))
        for area in _areas(result.series, scale):
            made.add_scatter(**area)
    for kind in KINDS:
        if shown := [event for event in result.events if event.kind == kind]:
            made.add_scatter(**_marks(kind, shown, scale, unit))
    made.update_layout(_layout(unit, result.end / scale), title=_title(result))
    if result.done:
        made.add_vline(result.last_end / scale, line={"color": INK, "width": 1, "dash": "dot"})
    return made


def _title(result: Result) -> dict[str, Any]:
    text = f"{result.done:,} of {result.tasks:,} tasks"
    if result.done:
        text += f" in {precise_seconds(result.makespan)}, {usd(result.cost)}"
    return {"text": text, "x": 0, "xref": "paper", "font": {"size": 15}}


def _rate(series: Sequence[Sample], scale: float) -> dict[str, Any]:
    earlier = (series[max(0, place - WINDOW)] for place in range(len(series)))
    windows = zip(earlier, series, strict=True)
    rates = [(new.done - old.done) / ((new.t - old.t) or 1.0) for old, new in windows]
    return {
        "name": "tasks per second",
        "x": [sample.t / scale for sample in series],
        "y": rates,
        "text": [f"{sample.done:,} done, {sample.queued:,} queued" for sample in series],
        "hovertemplate": "%{y:,.1f} tasks/s<br>%{text}<extra></extra>",
        "mode": "lines",
        "line": {"color": RATE_COLOUR, "width": 2.5},
        "fill": "tozeroy",
        "fillcolor": RATE_FILL,
    }


def _areas(series: Sequence[Sample], scale: float) -> Iterator[dict[str, Any]]:
    """An area for each type that is up, then one for each that is pending, on top of each other."""
    for stage, opacity in (("up", 0.5), ("pending", 0.14)):
        counts = [getattr(sample, stage) for sample in series]
        names = sorted({name for sample in series for name in (*sample.up, *sample.pending)})
        for number, name in enumerate(names):
            values = [count.get(name, 0) for count in counts]
            if any(values):
                colour = TYPES[number % len(TYPES)]
                yield _area(f"{name} {stage}", values, series, scale, colour, opacity)


def _area(
    name: str,
    values: Sequence[int],
    series: Sequence[Sample],
    scale: float,
    colour: str,
    opacity: float,
) -> dict[str, Any]:
    return {
        "name": plain(name),
        "x": [sample.t / scale for sample in series],
        "y": values,
        "yaxis": "y2",
        "stackgroup": "nodes",
        "mode": "lines",
        "line": {"color": colour, "width": 1 if opacity < 0.3 else 1.5, "shape": "hv"},
        "fillcolor": _transparent(colour, opacity),
        "hovertemplate": f"%{{y}} × {plain(name)}<extra></extra>",
    }


def _transparent(colour: str, opacity: float) -> str:
    parts = (str(int(colour[place : place + 2], 16)) for place in (1, 3, 5))
    return f"rgba({', '.join(parts)}, {opacity})"


def _marks(kind: str, events: Sequence[Event], scale: float, unit: str) -> dict[str, Any]:
    name, row = KINDS[kind]
    return marks(
        kind,
        name,
        60,
        x=[event.time / scale for event in events],
        y=[row] * len(events),
        text=[event.text for event in events],
        hovertemplate=f"%{{text}}<br>after %{{x:.4~g}} {unit}<extra></extra>",
    )


def _layout(unit: str, end: float) -> dict[str, Any]:
    return layout(
        margin={"l": 72, "r": 24, "t": 88, "b": 56},
        xaxis=axis(
            f"{unit} since the start", range=[0, end * 1.01 or 1.0], showgrid=False, anchor="y3"
        ),
        yaxis=axis("tasks per second", domain=[0.5, 1]),
        yaxis2=axis("nodes", domain=[0.14, 0.42]),
        yaxis3={"domain": [0, 0.09], "range": [-0.5, 1.5], "visible": False},
    )
