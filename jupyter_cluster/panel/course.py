"""How a cluster went of late: the rate, the nodes, the decisions, as plain lists and as a picture.

Pure.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import datetime
from html import escape

from jupyter_cluster.charts.style import EVENTS, GRID, INK, NODES_COLOUR, RATE_COLOUR, RATE_FILL
from jupyter_cluster.client.watch import View
from jupyter_cluster.panel.sections import unit_of

# Of the newest half hour at most so many points are drawn.
WINDOW_SECONDS, MOST_POINTS = 1800.0, 600
NO_SAMPLES = "The chart begins with the first task or node"


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
