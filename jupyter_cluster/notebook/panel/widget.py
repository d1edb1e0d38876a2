"""The part of the panel that runs in the browser, and the one place that works around ipykernel."""

from __future__ import annotations

from collections.abc import Callable
from importlib.resources import files
from pathlib import Path
from typing import Any

import anywidget
import traitlets

_HERE, _LOOKS = Path(__file__).parent, files("jupyter_cluster.panel")


class Sections(anywidget.AnyWidget):
    """Shows sections of HTML, each a trait of its own, and sends what is clicked."""

    _esm = (_LOOKS / "morph.js").read_text() + (_HERE / "panel.js").read_text()
    _css = (_LOOKS / "panel.css").read_text()

    sections = traitlets.List(traitlets.Unicode()).tag(sync=True)
    header = traitlets.Unicode("").tag(sync=True)
    controls = traitlets.Unicode("").tag(sync=True)
    notice = traitlets.Unicode("").tag(sync=True)
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
