"""Charts of a run, as HTML files that share one copy of plotly's script.

plotly is imported when a chart is drawn, not before.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

from benchmarks.autoscaling.launch_sets import Price
from benchmarks.autoscaling.peers import OURS, OURS_AUTO, RAY_V1, RAY_V2
from benchmarks.autoscaling.planning import OUR_POLICY, Timing
from benchmarks.autoscaling.simulations import Outcome
from benchmarks.autoscaling.workloads import WORKLOADS

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

# Each has a contrast of at least 3 to white and to #111111, as in the project's other charts.
COLOURS = {
    OURS: "#3b82f6",
    OURS_AUTO: "#0891b2",
    OUR_POLICY: "#0891b2",
    RAY_V1: "#d97706",
    RAY_V2: "#a855f7",
}
INK, GRID = "#808080", "rgba(128, 128, 128, 0.22)"


def write_charts(
    folder: Path,
    outcomes: Sequence[Outcome],
    prices: Sequence[Price],
    timings: Sequence[Timing],
) -> list[Path]:
    """Write a file for each chart that something was measured for; returns their paths."""
    figures = {}
    if outcomes:
        figures["workloads"] = workloads_figure(outcomes)
        for name in dict.fromkeys(outcome.workload for outcome in outcomes):
            figures[f"nodes-{name}"] = nodes_figure(name, outcomes)
    if prices:
        figures["launch-sets"] = prices_figure(prices)
    if timings:
        figures["planning"] = planning_figure(timings)
    return [_write(figure, folder / f"{name}.html") for name, figure in figures.items()]


def _write(figure: Figure, path: Path) -> Path:
    figure.write_html(path, include_plotlyjs="directory", config={"displaylogo": False})
    return path


def workloads_figure(outcomes: Sequence[Outcome]) -> Figure:
    """Makespan and cost over their lower bounds, medians, side by side."""
    from plotly.subplots import make_subplots

    titles = ("makespan ÷ lower bound", "cost ÷ lower bound")
    figure = make_subplots(rows=2, cols=1, subplot_titles=titles, shared_xaxes=True)
    names = list(dict.fromkeys(outcome.workload for outcome in outcomes))
    for peer in dict.fromkeys(outcome.peer for outcome in outcomes):
        runs = [[o for o in outcomes if (o.workload, o.peer) == (n, peer)] for n in names]
        slower = [median(o.makespan / o.bound_seconds for o in group) for group in runs]
        dearer = [median(o.cost / o.bound_cost for o in group) for group in runs]
        for row, values in ((1, slower), (2, dearer)):
            bar = {"name": peer, "legendgroup": peer, "showlegend": row == 1}
            figure.add_bar(x=names, y=values, marker_color=COLOURS[peer], row=row, col=1, **bar)
    figure.update_layout(_layout("Every planner on every workload, 1 is the lower bound"))
    return figure


def nodes_figure(workload: str, outcomes: Sequence[Outcome]) -> Figure:
    """Nodes that are up, solid, and nodes that are paid for, dotted, with the first seed."""
    from plotly.graph_objects import Figure

    figure = Figure()
    shown = [o for o in outcomes if o.workload == workload and o.seed == 0]
    for outcome in shown:
        times = [sample.t for sample in outcome.series]
        up = [sum(sample.up.values()) for sample in outcome.series]
        paid = [n + sum(s.pending.values()) for n, s in zip(up, outcome.series, strict=True)]
        line = {"color": COLOURS[outcome.peer], "shape": "hv"}
        common = {"x": times, "mode": "lines", "legendgroup": outcome.peer}
        figure.add_scatter(y=up, name=outcome.peer, line=line, **common)
        dotted = {**line, "dash": "dot", "width": 1}
        figure.add_scatter(y=paid, line=dotted, showlegend=False, hoverinfo="skip", **common)
    figure.update_layout(_layout(f"Nodes up (dotted: paid for): {WORKLOADS[workload].title}"))
    figure.update_xaxes(title="seconds")
    figure.update_yaxes(title="nodes")
    return figure


def prices_figure(prices: Sequence[Price]) -> Figure:
    """Every launch set as a point, with the quartiles."""
    from plotly.graph_objects import Figure

    figure = Figure()
    for peer in dict.fromkeys(price.peer for price in prices):
        ratios = [p.ratio for p in prices if p.peer == peer and not p.unplaced]
        figure.add_box(y=ratios, name=peer, boxpoints="all", marker_color=COLOURS[peer])
    figure.update_layout(_layout("Hourly cost of the launch set ÷ lower bound", showlegend=False))
    return figure


def planning_figure(timings: Sequence[Timing]) -> Figure:
    """Planning time over tasks, both logarithmic; solid with nodes that are up, dotted without."""
    from plotly.graph_objects import Figure

    figure = Figure()
    for peer, nodes in dict.fromkeys((timing.peer, timing.nodes) for timing in timings):
        found = [t for t in timings if (t.peer, t.nodes) == (peer, nodes)]
        points = [(n, _seconds(found, n)) for n in sorted({t.tasks for t in found})]
        line = {"color": COLOURS[peer], "dash": "solid" if nodes else "dot"}
        figure.add_scatter(
            x=[tasks for tasks, _ in points],
            y=[seconds for _, seconds in points],
            name=f"{peer}, {nodes:,} nodes" if nodes else f"{peer}, empty",
            mode="lines+markers",
            line=line,
        )
    figure.update_layout(_layout("Planning time"))
    figure.update_xaxes(type="log", title="tasks")
    figure.update_yaxes(type="log", title="seconds")
    return figure


def _seconds(timings: Sequence[Timing], tasks: int) -> float | None:
    found = [t.seconds for t in timings if t.tasks == tasks]
    return None if None in found else median(s for s in found if s is not None)


def _layout(title: str, **more: Any) -> dict[str, Any]:
    axis = {"gridcolor": GRID, "zerolinecolor": GRID}
    return {
        "title": {"text": title},
        "font": {"color": INK},
        "paper_bgcolor": "rgba(0,0,0,0)",
        "plot_bgcolor": "rgba(0,0,0,0)",
        "template": {"layout": {"xaxis": axis, "yaxis": axis}},
        "legend": {"orientation": "h", "y": -0.15},
        **more,
    }
