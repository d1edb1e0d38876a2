"""The part of the panel that runs in the browser, and the one place that works around ipykernel."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import anywidget
import traitlets

from jupyter_cluster import panel

_HERE = Path(__file__).parent
SECTIONS = ("header", "controls", "notice", "chart", "jobs", "nodes", "events")


class Sections(anywidget.AnyWidget):
    """Shows sections of HTML, each a trait of its own, and sends what is clicked.

    A trait holds its whole section, the chart too: state rather than changes, so that a view that
    appears at any time (a second one, after a reload, late on a slow machine) shows all there is.
    """

    _esm = panel.script() + (_HERE / "panel.js").read_text()
    _css = panel.style()

    sections = traitlets.List(traitlets.Unicode(), list(SECTIONS)).tag(sync=True)
    header = traitlets.Unicode("").tag(sync=True)
    controls = traitlets.Unicode("").tag(sync=True)
    notice = traitlets.Unicode("").tag(sync=True)
    chart = traitlets.Unicode("").tag(sync=True)
    jobs = traitlets.Unicode("").tag(sync=True)
    nodes = traitlets.Unicode("").tag(sync=True)
    events = traitlets.Unicode("").tag(sync=True)


def on_click(widget: Any, handler: Callable[[dict[str, Any]], None]) -> None:
    """Call `handler` with what the browser sends, while a cell runs as well.

    JupyterLab sends it to a subshell, which is another thread: the handler may only note it.
    """
    widget.on_msg(lambda _widget, content, _buffers: handler(content))
    _keep_subshell(widget)


def _keep_subshell(widget: Any) -> None:
    """ipykernel 7.4 moves messages of a comm to the shell that has last sent on it, i.e. the main
    one, which is busy while a cell runs; 7.1 to 7.3 leave them with the subshell that JupyterLab
    has chosen, which is what a button needs."""
    comm: Any = getattr(widget, "comm", None)
    if hasattr(comm, "_reply_subshell_for"):
        comm._reply_subshell_for = lambda _data, default: default
