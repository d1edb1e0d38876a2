"""The chart of a cluster as HTML. Pure.

Lines are SVG that stretches to the width of its place; words stand beside it as HTML, since SVG
would stretch them too. `chart.js` reads what the pointer is at from the lines' points.
"""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from jupyter_cluster.viewmodel.model import Chart, Series, Tick

# The lines' coordinates, of which the place's width and height are made.
WIDTH, HEIGHT = 1000.0, 100.0


def chart(shown: Chart) -> str:
    """Draw the chart of a cluster."""
    if shown.blank:
        return f'<div class="jc-blank">{escape(shown.blank)}</div>'
    edges = (
        f'data-begin="{shown.begin:.3f}" data-end="{shown.end:.3f}"'
        f' data-offset="{shown.utc_offset:g}" data-rate-top="{_top(shown.rates):g}"'
        f' data-nodes-top="{_top(shown.nodes):g}" data-unit="{escape(shown.unit)}"'
    )
    return (
        f'<div class="jc-legend">{_legend(shown)}</div>'
        f'<div class="jc-plot" {edges}>{_lines(shown)}{_labels(shown)}'
        f'<div class="jc-marks">{_marks(shown)}</div></div>'
    )


def _top(ticks: Sequence[Tick]) -> float:
    return ticks[-1].at


def _legend(shown: Chart) -> str:
    keys = [
        f'<span><i class="jc-key jc-of-{line.of}"></i>{escape(line.label)}</span>'
        for line in shown.series
    ]
    symbols = {decision.kind: decision.symbol for decision in shown.decisions}
    keys += [
        f'<span class="jc-{kind}"><span class="jc-kind">{symbols[kind]}</span> {text}</span>'
        for kind, text in shown.legend.items()
    ]
    return "".join(keys)


def _lines(shown: Chart) -> str:
    points = {line.of: _points(line, shown) for line in shown.series}
    rate = points["rate"]
    first, last = rate[0].partition(",")[0], rate[-1].partition(",")[0]
    area = " ".join([f"{first},{HEIGHT:g}", *rate, f"{last},{HEIGHT:g}"])
    heights = [_down(tick.at, _top(shown.rates)) for tick in shown.rates]
    grid = "".join(f'<line x1="0" x2="{WIDTH:g}" y1="{y:g}" y2="{y:g}"/>' for y in heights)
    # What there is stands above what comes.
    above = sorted(shown.series, key=lambda line: line.of == "nodes")
    lines = "".join(_polyline(line.of, points[line.of]) for line in above)
    return (
        f'<svg viewBox="0 0 {WIDTH:g} {HEIGHT:g}" preserveAspectRatio="none" role="img"'
        f' aria-label="{escape(shown.said)}"><g class="jc-grid">{grid}</g>'
        f'<polygon class="jc-of-rate" points="{area}"/>{lines}</svg>'
    )


def _polyline(of: str, points: Sequence[str]) -> str:
    shown = [*points, points[-1]]  # a line of one point has no length: a round cap shows it
    return f'<polyline class="jc-of-{of}" points="{" ".join(shown)}"/>'


def _points(line: Series, shown: Chart) -> list[str]:
    most = _top(shown.rates if line.of == "rate" else shown.nodes)
    points = _steps(line.points) if line.is_steps else line.points
    return [f"{_across(at, shown) * WIDTH:.1f},{_down(value, most):g}" for at, value in points]


def _steps(points: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    """A count holds until the next one: a point at each change's foot and one at its head."""
    steps: list[tuple[float, float]] = []
    for moment, value in points:
        if steps and steps[-1][1] != value:
            steps.append((moment, steps[-1][1]))
        steps.append((moment, value))
    return steps


def _across(moment: float, shown: Chart) -> float:
    """Where a moment stands between the left (0) and the right (1)."""
    return (moment - shown.begin) / (shown.end - shown.begin)


def _down(value: float, most: float) -> float:
    """The distance from the upper edge, in the lines' coordinates."""
    return round(HEIGHT * (1 - value / most), 2)


def _labels(shown: Chart) -> str:
    labels = [
        f'<span class="jc-{side}" style="top: {_down(tick.at, _top(ticks)):g}%">{tick.text}</span>'
        for side, ticks in (("left", shown.rates), ("right", shown.nodes))
        for tick in ticks
    ]
    labels += [
        f'<span class="jc-time" style="left: {_across(tick.at, shown):.2%}">{tick.text}</span>'
        for tick in shown.times
    ]
    return f'<div class="jc-labels">{"".join(labels)}</div>'


def _marks(shown: Chart) -> str:
    return "".join(
        f'<span class="jc-{decision.kind}"'
        f' style="left: {max(0.0, _across(decision.time, shown)):.2%}"'
        f' title="{decision.clock} {escape(decision.text)}">'
        f'<span class="jc-kind">{decision.symbol}</span></span>'
        for decision in shown.decisions
    )
