"""All that happened to a job or a cluster, as one figure: rate and nodes, queue, cost, a Gantt of
the nodes' stages, durations of tasks."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from jupyter_cluster.charts.history import History, Row
from jupyter_cluster.charts.style import (
    EVENTS,
    INK,
    MARKERS,
    NODES_COLOUR,
    RATE_COLOUR,
    RATE_FILL,
    WRAP,
    axis,
    layout,
    marks,
    new_figure,
    plain,
    wrap,
)
from jupyter_cluster.described import repr_of
from jupyter_cluster.errors import UsageError
from jupyter_cluster.formats import format_seconds
from jupyter_cluster.model import NodeState

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

PARTS = ("rate", "queue", "cost", "nodes", "durations")
NOTHING_YET = "Nothing has been measured yet"
# Height of the parts, and of what lies between two, in pixels; a node has a line of its own.
HEIGHTS = {"rate": 230, "queue": 130, "cost": 110, "durations": 150}
GAP, AXIS_HEIGHT, NOTE_HEIGHT = 36, 34, 16
NODE_HEIGHT, FEWEST_NODES, MOST_NODES = 18, 2, 24
TOP, BOTTOM, TITLE = 36, 48, 30
QUEUED_COLOUR, RUNNING_COLOUR, COST_COLOUR, TASK_COLOUR = "#0d9488", "#db2777", "#65a30d", "#6366f1"
# The colour of the stages in which a node is.
STAGES = {
    "on its way up": "#eab308",
    "ready": RATE_COLOUR,
    "draining": "#a855f7",
    "failed": "#dc2626",
}


def checked_parts(parts: Sequence[str]) -> list[str]:
    """The parts to draw, in their order; all where none is named.

    To be asked before a head is: what prevents a chart is said at once.

    Raises
    ------
    UsageError
        There is no such part, or plotly is not installed.
    """
    for part in parts:
        if part not in PARTS:
            raise UsageError(f"a chart has no part {repr_of(part)}; it has {', '.join(PARTS)}")
    new_figure()
    return [part for part in PARTS if not parts or part in parts]


def history_figure(history: History, parts: Sequence[str] = PARTS) -> Figure:
    """These parts, one below another.

    Returns
    -------
    plotly.graph_objects.Figure
        Stands alone: needs neither the cluster nor this package to be shown again. Without a
        background, for light and dark pages.

    Raises
    ------
    UsageError
        There is no such part, or plotly is not installed.
    """
    figure = new_figure()
    drawn = _Drawing(history)
    for part in checked_parts(parts):
        drawn.add(part)
    figure.add_traces(drawn.traces)
    figure.update_layout(drawn.layout())
    return figure


class _Drawing:
    """Collects the traces and axes of a figure, from the top down."""

    def __init__(self, history: History) -> None:
        self._history = history
        self._time = history.time_axis
        self.traces: list[dict[str, Any]] = []
        self._axes: dict[str, dict[str, Any]] = {}
        # The axis beside which it stands, how high along it, and the rest of the annotation.
        self._notes: list[tuple[str, float, dict[str, Any]]] = []
        self._bands: list[tuple[int, list[tuple[str, float, float]]]] = []
        self._count = 0

    def add(self, part: str) -> None:
        draw: Callable[[], None] = getattr(self, f"_{part}")
        draw()

    def _axis(self, title: str, **more: Any) -> str:
        self._count += 1
        number = "" if self._count == 1 else str(self._count)
        self._axes[f"yaxis{number}"] = axis(title, **more)
        return f"y{number}"

    def _band(self, height: int, *axes: tuple[str, float, float], **named: str) -> None:
        """A band of the figure: what part of it each axis takes, and what its colours stand for."""
        self._bands.append((height, list(axes)))
        words = (
            f'<span style="color: {colour}">{plain(name.replace("_", " "))}</span>'
            for name, colour in named.items()
        )
        place = {"x": 0, "xanchor": "left", "yanchor": "bottom", "yshift": 3}
        note = {"text": "    ".join(words), "font": {"size": 13}, **place}
        self._notes.append((axes[0][0], 1.0, note))

    def _line(self, name: str, rows: Sequence[Row], key: str, y: str, **more: Any) -> None:
        self.traces.append(
            {
                "type": "scatter",
                "name": plain(name),
                "x": [self._time.at(row["time"]) for row in rows],
                "y": [row[key] for row in rows],
                "yaxis": y,
                "mode": "lines" if len(rows) > 1 else "markers",
                "hovertemplate": f"%{{y:,.4~g}} {plain(name)}, {self._time.hover}<extra></extra>",
                **more,
            }
        )

    # -- parts ------------------------------------------------------------------------------

    def _rate(self) -> None:
        samples = self._history.samples
        unit = f"{self._history.unit}s per second"
        rate = self._axis("")
        most = max((sample["ready"] for sample in samples), default=0)
        room = {"range": [0, max(1, most) * 1.15], "dtick": max(1, -(-most // 5))}
        nodes = self._axis("", overlaying=rate, side="right", showgrid=False, **room)
        row = self._axis("", range=[-1, 1], visible=False)
        style = {"color": RATE_COLOUR, "width": 2.5}
        self._line(unit, samples, "rate", rate, line=style, fill="tozeroy", fillcolor=RATE_FILL)
        steps = {"color": NODES_COLOUR, "width": 2, "shape": "hv"}
        self._line("nodes ready", samples, "ready", nodes, line=steps)
        for kind, name in EVENTS.items():
            if events := [e for e in self._history.events if e["kind"] == kind]:
                self.traces.append(self._marks(kind, name, events, row))
        self._note_blank(samples, rate)
        parts = ((rate, 0.1, 1), (nodes, 0.1, 1), (row, 0, 0.07))
        shown = {e["kind"] for e in self._history.events}
        decisions = {EVENTS[kind]: MARKERS[kind][1] for kind in EVENTS if kind in shown}
        names = {unit: RATE_COLOUR, "nodes ready": NODES_COLOUR, **decisions}
        self._band(HEIGHTS["rate"], *parts, **names)

    def _marks(self, kind: str, name: str, events: Sequence[Row], row: str) -> dict[str, Any]:
        made = marks(
            kind,
            name,
            WRAP,
            x=[self._time.at(event["time"]) for event in events],
            y=[0] * len(events),
            text=[str(event["text"]) for event in events],
            hovertemplate=f"%{{text}}<br>{self._time.hover}<extra></extra>",
        )
        return {"type": "scatter", **made, "yaxis": row}

    def _queue(self) -> None:
        y = self._axis("")
        samples = self._history.samples
        fill = {"fill": "tozeroy", "fillcolor": "rgba(13, 148, 136, 0.12)"}
        line = {"color": QUEUED_COLOUR, "width": 2}
        self._line("tasks queued", samples, "queued", y, line=line, **fill)
        names = {"tasks queued": QUEUED_COLOUR}
        if any("running" in sample for sample in samples):
            line = {"color": RUNNING_COLOUR, "width": 1.6}
            self._line("tasks running", samples, "running", y, line=line)
            names["tasks running"] = RUNNING_COLOUR
        self._note_blank(samples, y)
        self._band(HEIGHTS["queue"], (y, 0, 1), **names)

    def _cost(self) -> None:
        costs = self._history.costs
        names = {"USD so far": COST_COLOUR}
        if costs and not any(row["cost"] or row["per_hour"] for row in costs):
            y = self._axis("", visible=False)
            self._note("these nodes cost nothing", y)
            self._band(NOTE_HEIGHT, (y, 0, 1), **names)
            return
        y = self._axis("")
        line = {"color": COST_COLOUR, "width": 2}
        self._line("USD so far", costs, "cost", y, line=line)
        self._note_blank(costs, y)
        self._band(HEIGHTS["cost"], (y, 0, 1), **names)

    def _nodes(self) -> None:
        known = [row for row in self._history.stages if row["stages"]]
        rows = sorted(known, key=lambda row: row["stages"][0][1])
        few, names = len(rows) <= MOST_NODES, {}
        labels = {"tickvals": list(range(len(rows))), "ticktext": [plain(r["id"]) for r in rows]}
        y = self._axis(
            "",
            range=[len(rows) - 0.5, -0.5] if rows else [0, 1],
            **(labels if few else {"showticklabels": False}),
            showgrid=False,
        )
        for name in STAGES:
            if found := list(_spans(rows, name, self._history.ended)):
                self.traces.append(self._stage(name, found, y))
                names[name] = STAGES[name]
        if not rows:
            self._note("There was no node", y)
        height = NODE_HEIGHT * min(max(len(rows), FEWEST_NODES), MOST_NODES)
        title = {f"{len(rows)} nodes" if len(rows) != 1 else "1 node": INK}
        self._band(height, (y, 0, 1), **title, **names)

    def _stage(self, name: str, spans: Sequence[Span], y: str) -> dict[str, Any]:
        """The spans of one stage as bars; a failure is a moment, so a mark."""
        trace: dict[str, Any] = {
            "name": name,
            "y": [span.place for span in spans],
            "text": [span.text for span in spans],
            "yaxis": y,
            "hovertemplate": "%{text}<extra></extra>",
        }
        if name == NodeState.FAILED:
            xs = [self._time.at(span.ended) for span in spans]
            marker = {"symbol": "x", "size": 9, "color": STAGES[name]}
            return {**trace, "type": "scatter", "mode": "markers", "x": xs, "marker": marker}
        return {
            **trace,
            "type": "bar",
            "orientation": "h",
            "base": [self._time.at(span.began) for span in spans],
            "x": [self._time.length(span.ended - span.began) for span in spans],
            "width": 0.64,
            "textposition": "none",
            "marker": {"color": STAGES[name], "line": {"width": 0}},
        }

    def _durations(self) -> None:
        rows = self._history.durations
        y = self._axis("", anchor="x2")
        self._axes["xaxis2"] = axis("seconds of a task", anchor=y, showgrid=False)
        if rows:
            self.traces.append(
                {
                    "type": "histogram",
                    "name": "tasks by duration",
                    "x": [seconds for _, seconds in rows],
                    "y": [count for count, _ in rows],
                    "histfunc": "sum",
                    "nbinsx": 40,
                    "xaxis": "x2",
                    "yaxis": y,
                    "marker": {"color": TASK_COLOUR, "line": {"width": 0}},
                    "hovertemplate": "%{y:,} tasks of %{x} s<extra></extra>",
                }
            )
        else:
            self._note("No task has ended yet", y)
        self._band(HEIGHTS["durations"], (y, 0, 1), **{"tasks by duration": TASK_COLOUR})

    # -- the whole --------------------------------------------------------------------------

    def _note_blank(self, rows: Sequence[Row], y: str) -> None:
        if not rows:
            self._note(NOTHING_YET, y)

    def _note(self, text: str, y: str) -> None:
        self._notes.append((y, 0.5, {"text": plain(text), "x": 0.5}))

    def _annotation(self, y: str, height: float, note: dict[str, Any]) -> dict[str, Any]:
        """A note in coordinates of the figure: an axis without a trace has none of its own."""
        low, high = self._axes["yaxis" + y[1:]]["domain"]
        place = {"xref": "paper", "yref": "paper", "y": low + height * (high - low)}
        return {**note, **place, "showarrow": False}

    def layout(self) -> dict[str, Any]:
        """All but the traces."""
        timed = [axes for _, axes in self._bands if not self._is_of_tasks(axes)]
        gaps = [GAP] * (len(self._bands) - 1)
        if gaps and len(timed) < len(self._bands):
            gaps[-1] += AXIS_HEIGHT  # below the last band that has the time axis
        drawn = sum(height for height, _ in self._bands) + sum(gaps)
        top = float(drawn)
        for (height, axes), gap in zip(self._bands, [*gaps, 0], strict=True):
            for y, low, high in axes:
                ends = [(top - height + part * height) / drawn for part in (low, high)]
                self._axes["yaxis" + y[1:]]["domain"] = ends
            top -= height + gap
        title = self._history.title
        above = TOP + (TITLE if title else 0)
        heading = {"text": plain(title), "x": 0, "xref": "paper", "font": {"size": 15}}
        heading |= {"yref": "container", "y": 1, "yanchor": "top", "pad": {"t": 10}}
        return layout(
            title=heading if title else None,
            showlegend=False,
            height=drawn + above + BOTTOM,
            margin={"l": 76, "r": 48, "t": above, "b": BOTTOM},
            xaxis=self._time_axis(timed),
            annotations=[self._annotation(*note) for note in self._notes],
            bargap=0.04,
            barmode="overlay",
            **self._axes,
        )

    def _is_of_tasks(self, axes: Sequence[tuple[str, float, float]]) -> bool:
        return self._axes["yaxis" + axes[0][0][1:]].get("anchor") == "x2"

    def _time_axis(self, timed: Sequence[Sequence[tuple[str, float, float]]]) -> dict[str, Any]:
        if not timed:
            return {"visible": False}
        made = axis(self._time.title, range=self._time.range, showgrid=False)
        made |= {"anchor": timed[-1][-1][0], "rangemode": "normal"}
        return made | ({"type": "date", "nticks": 8} if self._time.is_clock else {})


@dataclass(frozen=True)
class Span:
    """A node in one stage: its place from above, since when and until when, what is said of it."""

    place: int
    began: float
    ended: float
    text: str


def _spans(rows: Sequence[Row], wanted: str, until: float) -> Iterator[Span]:
    for place, row in enumerate(rows):
        steps = [(NodeState(stage), moment) for stage, moment in row["stages"]]
        ends = [moment for _, moment in steps[1:]] + [row["ended"] or until]
        for (stage, began), end in zip(steps, ends, strict=True):
            if _kind(stage) != wanted:
                continue
            ended = max(began, end)
            said = f"{stage} for {format_seconds(ended - began)}"
            if stage is NodeState.FAILED:
                said = f"failed: {row['why'] or 'nobody knows why'}"
            yield Span(place, began, ended, wrap(f"{row['id']} ({row['type']}): {said}", WRAP))


def _kind(stage: NodeState) -> str:
    if stage.is_pending:
        return "on its way up"
    return stage.value
