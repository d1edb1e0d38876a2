"""Widgets that a remote cell shows: what they look like, kept up to date while the cell runs.

The model of a widget lives in the process that made it, and a notebook draws a view of a model of
its own kernel's. So of a widget that was made here the notebook gets a picture: text and HTML, of a
figure its data, changed as the widget changes. As the value of a cell a widget travels, and is one
of the notebook's from then on.
"""

from __future__ import annotations

import sys
import threading
import uuid
from collections.abc import Callable, Mapping
from html import escape, unescape
from re import sub
from typing import Any

from jupyter_cluster.described import repr_of

VIEW = "application/vnd.jupyter.widget-view+json"
COPY = "[the widget is a copy, of this notebook from now on: code on the node does not hear of it]"
PICTURE = "[a widget that a remote cell shows is a picture of it, without its controls]"
_TEXT, _HTML = "text/plain", "text/html"
_PLOTLY = "application/vnd.plotly.v1+json"
# How often a picture is made again while the cell runs; only a new one is sent.
_SECONDS = 0.5
_LENGTH = 110  # as ipywidgets shortens the text of one

Bundle = dict[str, Any]


class Pictures:
    """The widgets that one cell has shown.

    Parameters
    ----------
    send
        Takes what is to be displayed, as an event.
    note
        Takes a sentence about it, once.
    """

    def __init__(self, send: Callable[[Bundle], None], note: Callable[[str], None]) -> None:
        self._send, self._note = send, note
        self._lock = threading.Lock()
        self._shown: dict[str, tuple[Any, Bundle]] = {}
        self._has_ended = threading.Event()

    def show(self, event: Bundle) -> None:
        """Display a picture in the place of a view."""
        widget = widget_of(event["data"])
        picture = picture_of(event["data"])
        shown = event["transient"].get("display_id") or uuid.uuid4().hex
        with self._lock:
            is_first = not self._shown
            if widget is not None:
                self._shown[shown] = widget, picture
        if is_first:
            self._note(PICTURE)
            threading.Thread(target=self._follow, name="widgets", daemon=True).start()
        self._send({**event, "data": picture, "transient": {"display_id": shown}})

    def end(self) -> None:
        """Leave each as it is now."""
        self._has_ended.set()
        self._refresh()

    def _follow(self) -> None:
        while not self._has_ended.wait(_SECONDS):
            self._refresh()

    def _refresh(self) -> None:
        with self._lock:
            for shown, (widget, before) in self._shown.items():
                picture = _picture(widget)
                if picture == before:
                    continue
                self._shown[shown] = widget, picture
                self._send(
                    {
                        "type": "display",
                        "data": picture,
                        "metadata": {},
                        "transient": {"display_id": shown},
                        "update": True,
                    }
                )


def widget_of(data: Mapping[str, Any]) -> Any:
    """The widget that a display is a view of; None where it is not known."""
    module = sys.modules.get("ipywidgets.widgets.widget")
    known = getattr(module, "_instances", {})
    return known.get(data.get(VIEW, {}).get("model_id"))


def picture_of(data: Mapping[str, Any]) -> Bundle:
    """A display without the view in it, which nobody could draw."""
    widget = widget_of(data)
    rest = {mime: value for mime, value in data.items() if mime != VIEW}
    return rest if widget is None else {**rest, **_picture(widget)}


def _picture(widget: Any) -> Bundle:
    if getattr(widget, "comm", None) is None:  # it was closed, and nothing is left of it
        return {_TEXT: ""}
    try:
        if hasattr(widget, "to_plotly_json"):
            return {_TEXT: repr_of(widget, _LENGTH), _PLOTLY: widget.to_plotly_json()}
        html = _html(widget)
    except Exception:  # of the widget's own class
        html = ""
    if not html:
        return {_TEXT: repr_of(widget, _LENGTH)}
    return {_TEXT: _text(html) or repr_of(widget, _LENGTH), _HTML: html}


def _html(widget: Any) -> str:
    """What a widget shows, if it is of a kind that shows something without its controls."""
    kinds = {kind.__name__ for kind in type(widget).__mro__}
    if "Box" in kinds:
        parts = [_html(child) or escape(repr_of(child, _LENGTH)) for child in widget.children]
        tag = "div" if kinds & {"VBox", "GridBox"} else "span"
        return "".join(f"<{tag}>{part} </{tag}>" for part in parts)
    if "ProgressBar" in kinds or kinds & {"IntProgress", "FloatProgress"}:
        value, most = float(widget.value), float(widget.max)
        said = escape(str(widget.description))
        return f'{said} <progress value="{value:g}" max="{most:g}"></progress>'
    if kinds & {"HTML", "HTMLMath"}:
        return f"{escape(str(widget.description))}{widget.value}"
    return escape(str(widget.value)) if "Label" in kinds else ""


def _text(html: str) -> str:
    """HTML as text: a line for each row, without tags."""
    rows = (unescape(sub(r"<[^>]*>", "", row)) for row in html.split("</div>"))
    return "\n".join(" ".join(row.split()) for row in rows).strip()
