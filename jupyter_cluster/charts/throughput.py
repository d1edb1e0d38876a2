"""The chart of a job's rate, as a figure and as text.

A *sample* is what a job reports about once a second: a mapping with ``t`` (seconds since the job
began), its rate (the key that ends in ``_per_second``, e.g. ``images_per_second``), ``nodes``,
and more that the chart shows where it is there (``done``, ``queued``, ``slots``). An *event* has
``t``, ``kind`` (see `jupyter_cluster.model.Event`) and ``text``.
"""

from __future__ import annotations

import textwrap
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from jupyter_cluster.charts.style import (
    EVENTS,
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

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

Sample = Mapping[str, Any]

RATE_SUFFIX = "_per_second"
NO_SAMPLES = "No samples: the job ended, or was interrupted, before its first one"

BARS = "▁▂▃▄▅▆▇█"


def throughput_figure(
    series: Sequence[Sample],
    events: Sequence[Mapping[str, Any]] = (),
    unit: str = "image",
    title: str | None = None,
) -> Figure:
    """Rate and number of nodes over the seconds since a job began, decisions below.

    Parameters
    ----------
    series : sequence of Sample
        In the order of time; may be empty.
    events : sequence of mapping
        Those of the kinds scale-up, scale-down, warning and error are shown, each with its
        sentence when pointed at.
    unit : str
        What one task works on; names the axis of the rate.

    Returns
    -------
    plotly.graph_objects.Figure
        Without a background, for light and dark pages.
    """
    figure: Figure = new_figure()
    if series:
        figure.add_scatter(**_rate_line(series, unit))
        figure.add_scatter(**_nodes_line(series))
    for kind in EVENTS:
        shown = [event for event in events if event["kind"] == kind]
        if shown:
            figure.add_scatter(**_marks(kind, shown))
    figure.update_layout(_layout(series, unit, title))
    return figure


def throughput_text(series: Sequence[Sample], width: int = 60) -> str:
    """The same for a terminal: two rows of bars with numbers, no line longer than `width`.

    Raises
    ------
    ValueError
        `width` is below 40, which leaves no room for the bars.
    """
    if width < 40:
        raise ValueError(f"width is {width}, but the chart needs at least 40 columns")
    if not series:
        return textwrap.fill(NO_SAMPLES, width)
    key = rate_key(series)
    rows = {key.removesuffix(RATE_SUFFIX) + "/s": key, "nodes": "nodes"}
    margin = max(map(len, rows))
    columns = width - margin - len("  peak 12345, last 12345")
    lines = [_bar_line(series, of, f"{label:{margin}}", columns) for label, of in rows.items()]
    end = f"{series[-1]['t']:.0f} s"
    return "\n".join([*lines, f"{'':{margin}} 0 s{end:>{columns - 3}}"])


def rate_key(series: Sequence[Sample]) -> str:
    """The key of the rate in these samples, e.g. ``images_per_second``.

    Raises
    ------
    ValueError
        The first sample has no key that ends in ``_per_second``.
    """
    for key in series[0]:
        if key.endswith(RATE_SUFFIX):
            return key
    raise ValueError(
        f"sample {dict(series[0])} has no rate: give it a key like images{RATE_SUFFIX}"
    )


def _rate_line(series: Sequence[Sample], unit: str) -> dict[str, Any]:
    key = rate_key(series)
    return {
        "name": plain(f"{unit}s per second"),
        "x": [sample["t"] for sample in series],
        "y": [sample[key] for sample in series],
        "text": [_explain(sample) for sample in series],
        "hovertemplate": f"%{{y:.1f}} {plain(unit)}s/s after %{{x:.0f}} s%{{text}}<extra></extra>",
        # A single sample is a point: a line needs two.
        "mode": "lines" if len(series) > 1 else "markers",
        "line": {"color": RATE_COLOUR, "width": 2.5},
        "fill": "tozeroy",
        "fillcolor": RATE_FILL,
    }


def _nodes_line(series: Sequence[Sample]) -> dict[str, Any]:
    return {
        "name": "nodes",
        "x": [sample["t"] for sample in series],
        "y": [sample["nodes"] for sample in series],
        "yaxis": "y2",
        "hovertemplate": "%{y} nodes<extra></extra>",
        "mode": "lines" if len(series) > 1 else "markers",
        "line": {"color": NODES_COLOUR, "width": 2, "shape": "hv"},
    }


def _marks(kind: str, events: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    return marks(
        kind,
        EVENTS[kind],
        WRAP,
        x=[event["t"] for event in events],
        y=[0] * len(events),
        text=[str(event["text"]) for event in events],
        hovertemplate="%{text}<br>after %{x:.1f} s<extra></extra>",
    )


def _layout(series: Sequence[Sample], unit: str, title: str | None) -> dict[str, Any]:
    most = max((sample["nodes"] for sample in series), default=1)
    shown = bool(series)
    return layout(
        title={"text": plain(title), "x": 0, "xref": "paper"} if title else None,
        margin={"l": 60, "r": 56, "t": 88 if title else 48, "b": 56},
        xaxis=axis("seconds since the job began", visible=shown, showgrid=False, anchor="y3"),
        yaxis=axis(f"{unit}s per second", visible=shown, domain=[0.12, 1]),
        yaxis2=axis(
            "nodes",
            visible=shown,
            overlaying="y",
            side="right",
            showgrid=False,
            # Room above, so that the steps do not lie on the upper edge; whole numbers only.
            range=[0, max(1, most) * 1.15],
            dtick=max(1, -(-most // 5)),
        ),
        yaxis3={"domain": [0, 0.08], "range": [-1, 1], "visible": False},
        annotations=[] if shown else [_blank()],
    )


def _blank() -> dict[str, Any]:
    centre = {"xref": "paper", "yref": "paper", "x": 0.5, "y": 0.5}
    return {"text": wrap(NO_SAMPLES, WRAP), "showarrow": False, **centre}


def _explain(sample: Sample) -> str:
    parts = [f"{sample[key]} {key}" for key in ("done", "queued", "slots") if key in sample]
    return "<br>" + ", ".join(parts) if parts else ""


def _bar_line(series: Sequence[Sample], key: str, label: str, columns: int) -> str:
    peak = float(max(sample[key] for sample in series))
    values = _resample(series, key, columns)
    bars = "".join(BARS[round(value / (peak or 1) * (len(BARS) - 1))] for value in values)
    return f"{label} {bars} peak {_number(peak)}, last {_number(series[-1][key])}"


def _number(value: float) -> str:
    return f"{value:.0f}" if value >= 100 else f"{value:.3g}"


def _resample(series: Sequence[Sample], key: str, columns: int) -> list[float]:
    """The values at `columns` moments, evenly spaced; each the last one known by then."""
    times = [sample["t"] for sample in series]
    moments = (times[-1] * (column + 1) / columns for column in range(columns))
    places = (max(0, bisect_right(times, moment) - 1) for moment in moments)
    return [float(series[place][key]) for place in places]
