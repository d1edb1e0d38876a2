"""The live display of a cell that runs with ``--async``.

One output of the notebook, changed in place by its display id: a thread may do that while other
cells run. It is HTML with a text form, so that a saved notebook has its last state; text, pictures
and HTML are in it. What a page alone cannot draw, e.g. a figure of plotly, is drawn when the job is
displayed again after its end: then all that it has shown is put into that cell as it was.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Mapping, Sequence
from html import escape
from typing import TYPE_CHECKING, Any

from IPython.display import display

from jupyter_cluster.background import describe, start_thread
from jupyter_cluster.errors import ClusterError
from jupyter_cluster.notebook.cell_output import CellOutput
from jupyter_cluster.notebook.reprs import HTML, TEXT, Bundle

if TYPE_CHECKING:
    from jupyter_cluster.client.cell_job import CellJob

Event = dict[str, Any]

# At most two changes a second.
REFRESH_SECONDS = 0.5
# The newest text is shown, up to so many characters.
SHOWN = 20_000
_ANSI = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
_PICTURES = ("image/png", "image/jpeg")


def show(job: CellJob) -> None:
    """Display a cell's job in the current cell, and keep it up to date until it ends."""
    if job.has_ended:
        _replay(job)
        return
    view = _View(job)
    view.handle = display(view.bundle(), raw=True, display_id=True)
    start_thread(f"cell {job.name}", view.follow, view.give_up)


def _replay(job: CellJob) -> None:
    print(f"[cell {job.name!r}: {job.state}]")
    events = job.events_from(0)
    output = CellOutput(dict(job.nodes), len({index for index, _ in events}) > 1)
    output.show(events)
    for result in output.results.values():
        display(result["data"], raw=True, metadata=result["metadata"])
    for error in output.errors.values():
        print("\n".join(error["traceback"]))


class _View:
    """One display of one job."""

    def __init__(self, job: CellJob) -> None:
        self._job = job
        self._events: list[tuple[int, Event]] = []
        self._state = "queued"
        self._problem = ""
        self.handle: Any = None

    def follow(self) -> None:
        """Until the job has ended, or cannot be followed any more."""
        at = 0
        while True:
            try:
                events = self._job.events_from(at, REFRESH_SECONDS)
                at += len(events)
                self._state = self._state_now()
            except ClusterError as error:
                self.give_up(error)
                return
            if events or not self._job.has_begun:
                self._events += events
                self.handle.update(self.bundle(), raw=True)
            if not events and self._job.has_ended:
                self.handle.update(self.bundle(), raw=True)
                return
            threading.Event().wait(REFRESH_SECONDS if events else 0)

    def give_up(self, error: BaseException) -> None:
        """Show why the job is followed no longer."""
        self._problem = str(error) if isinstance(error, ClusterError) else describe(error)
        self.handle.update(self.bundle(), raw=True)

    def _state_now(self) -> str:
        state = str(self._job.state)
        if state != "running":
            return state
        if self._job.has_begun:
            where = ", ".join(sorted(set(self._job.nodes.values())))
            return f"running on {where}"
        return self._job.why_waiting() or "queued"

    def bundle(self) -> Bundle:
        """As it is now, as HTML and as text."""
        title = f"cell {self._job.name!r}: {self._problem or self._state}"
        text = plain_text(self._events)
        body = f'<pre style="margin: 0.4em 0 0 0; white-space: pre-wrap">{escape(text)}</pre>'
        box = "border-left: 3px solid #3b82f6; padding: 0.2em 0.8em; margin: 0.2em 0"
        html = f'<div style="{box}"><div>{escape(title)}</div>{body if text else ""}'
        html += "".join(map(_rich_html, latest(self._events))) + "</div>"
        return {TEXT: f"[{title}]\n{text}".rstrip(), HTML: html}


def latest(events: Sequence[tuple[int, Event]]) -> list[tuple[int, Event]]:
    """What was shown, each display that was changed later as it is now, in its place."""
    places: dict[Any, int] = {}
    found: list[tuple[int, Event]] = []
    for index, event in events:
        shown = event["transient"].get("display_id") if event["type"] == "display" else None
        if shown is not None and event["update"]:
            if (place := places.get((index, shown))) is not None:
                found[place] = index, event
            continue
        if shown is not None:
            places[index, shown] = len(found)
        found.append((index, event))
    return found


def plain_text(events: Sequence[tuple[int, Event]]) -> str:
    """The text among what was shown: without colours, progress bars in their last state."""
    parts = []
    for _index, event in events:
        if event["type"] == "stream":
            parts.append(event["text"])
        elif event["type"] == "note":
            parts.append(event["text"] + "\n")
        elif event["type"] == "clear":
            parts.clear()
        elif event["type"] == "error":
            parts.append("\n".join(event["traceback"]) + "\n")
        elif event["type"] == "result" and not _is_rich(event["data"]):
            parts.append(f"Out: {event['data'].get(TEXT, '')}\n")
    text = _ANSI.sub("", "".join(parts)).replace("\r\n", "\n")
    lines = [line.rpartition("\r")[2] for line in text.split("\n")]
    text = "\n".join(lines).rstrip("\n")
    return text if len(text) <= SHOWN else "[…]\n" + text[-SHOWN:].partition("\n")[2]


def _is_rich(data: Mapping[str, Any]) -> bool:
    return any(mime != TEXT for mime in data)


def _rich_html(indexed: tuple[int, Event]) -> str:
    event = indexed[1]
    if event["type"] not in ("display", "result") or not _is_rich(event["data"]):
        return ""
    data = event["data"]
    for mime in _PICTURES:
        if mime in data:
            return f'<img style="max-width: 100%" src="data:{mime};base64,{data[mime]}">'
    if "image/svg+xml" in data:
        return str(data["image/svg+xml"])
    if HTML in data:
        return f"<div>{data[HTML]}</div>"
    later = "drawn when the job is displayed after its end"
    return f"<pre>{escape(str(data.get(TEXT, '')))} ({later})</pre>"
