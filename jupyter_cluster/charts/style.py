"""How all charts look: of live jobs and of simulations.

Colours have a contrast of at least 3 to white and to #111111, so that one chart suits light and
dark pages.
"""

from __future__ import annotations

import textwrap
from html import escape
from typing import Any

from jupyter_cluster.errors import not_installed

INK = "#808080"
GRID = "rgba(128, 128, 128, 0.22)"
RATE_COLOUR = "#3b82f6"
RATE_FILL = "rgba(59, 130, 246, 0.12)"
NODES_COLOUR = "#d97706"
# Name in a legend of each kind of event that is marked.
EVENTS = {
    "scale-up": "nodes added",
    "scale-down": "nodes ended",
    "warning": "warning",
    "error": "error",
}
# Characters in a line of a sentence that one points at.
WRAP = 44
# Marker and colour of each kind of event.
MARKERS = {
    "scale-up": ("triangle-up", "#16a34a"),
    "scale-down": ("triangle-down", "#a855f7"),
    "warning": ("diamond", "#d97706"),
    "error": ("x", "#dc2626"),
}


def layout(**more: Any) -> dict[str, Any]:
    """A plotly layout without background, the legend in a row above."""
    nothing = "rgba(0, 0, 0, 0)"
    legend = {"orientation": "h", "x": 0, "y": 1.02, "yanchor": "bottom", "traceorder": "normal"}
    return {
        "template": "none",
        "font": {"color": INK, "size": 12, "family": "system-ui, sans-serif"},
        "paper_bgcolor": nothing,
        "plot_bgcolor": nothing,
        "modebar": {"bgcolor": nothing, "color": INK},
        "hovermode": "closest",
        "legend": legend,
        **more,
    }


def axis(title: str, **more: Any) -> dict[str, Any]:
    """An axis from zero, with faint lines."""
    return {
        "title": {"text": plain(title), "standoff": 8, "font": {"size": 13}},
        "rangemode": "tozero",
        "gridcolor": GRID,
        "zeroline": False,
        **more,
    }


def new_figure() -> Any:
    """An empty figure of plotly's.

    Raises
    ------
    UsageError
        plotly is not installed.
    """
    try:
        from plotly.graph_objects import Figure
    except ImportError as error:
        raise not_installed("charts need", "notebook", error) from error
    return Figure()


def marks(kind: str, name: str, width: int, **more: Any) -> dict[str, Any]:
    """Markers of the events of one kind; `text` in `more` is wrapped to lines of `width`."""
    symbol, colour = MARKERS[kind]
    return {
        "name": name,
        "yaxis": "y3",
        "mode": "markers",
        "marker": {"symbol": symbol, "size": 10, "color": colour},
        "cliponaxis": False,
        **more,
        "text": [wrap(text, width) for text in more["text"]],
    }


def plain(text: str) -> str:
    """A text as plotly shows it: it reads a little HTML, and %{…} in what one points at."""
    return escape(text).replace("%{", "&#37;{")


def wrap(text: str, width: int) -> str:
    """Lines for plotly, which breaks none itself and reads a little HTML."""
    return "<br>".join(plain(line) for line in textwrap.wrap(text, width))
