"""The console of a notebook: steps with a bar that leave a line of text, tables as HTML."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from IPython.core.error import StdinNotImplementedError
from IPython.display import display

from jupyter_cluster.client.registry import Entry
from jupyter_cluster.commands.console import Step, cannot_ask
from jupyter_cluster.commands.tables import Table
from jupyter_cluster.errors import UsageError, not_installed
from jupyter_cluster.formats import format_seconds, printable
from jupyter_cluster.notebook.jupyter_server import page_of
from jupyter_cluster.notebook.reprs import (
    HTML,
    TEXT,
    Bundle,
    bar_html,
    bundle,
    line_html,
    page_link,
)

PROGRAM = "%cluster"


class NotebookConsole:
    """Shows in the cell that runs."""

    program = PROGRAM

    def show(self, *parts: str | Table) -> None:
        if all(isinstance(part, str) for part in parts):
            # Not flushed: the kernel sends lines together, 5 times a second.
            print(printable("\n".join(map(str, parts))))
        else:
            display(bundle(*parts), raw=True)

    def json(self, value: Any) -> None:
        print(json.dumps(value, indent=1))

    def notice(self, text: str) -> None:
        print(printable(text))

    def chart(self, make: Callable[[], Any]) -> None:
        display(make())

    def panel(self, place: Entry) -> None:
        try:
            from jupyter_cluster.notebook.panel.live import panel_of
        except ImportError as error:
            raise not_installed("the panel needs", "notebook", error) from error
        display(panel_of(place))

    def dashboard(self, place: Entry, port: int, browser: bool) -> None:
        if port or not browser:
            raise UsageError("--port and --no-browser are for a terminal")
        if path := page_of(place.name):
            display(page_link(place.name, path), raw=True)
        else:
            self.notice("No Jupyter server here has pages of clusters; this is the panel.")
            self.panel(place)

    @contextmanager
    def step(self, text: str) -> Iterator[Step]:
        step = NotebookStep(text)
        try:
            yield step
        except BaseException:
            step.end("✗")
            raise
        step.end("✓")

    def ask(self, question: str) -> bool:
        try:
            return input(f"{printable(question)} [y/N] ").strip().lower() in ("y", "yes")
        except StdinNotImplementedError:
            raise UsageError(cannot_ask(question)) from None


class NotebookStep:
    """One output of the cell, which is changed in place."""

    def __init__(self, text: str) -> None:
        self._title = self._text = text
        self._began = time.monotonic()
        self._handle = display(_running(text, 0, 0), raw=True, display_id=True)

    def update(self, text: str, done: int = 0, total: int = 0) -> None:
        """Say what happens now; with a `total`, how far it is."""
        counted = f" {done} of {total}" if total else ""
        self._text = f"{self._title}: {text}{counted}"
        self._handle.update(_running(self._text, done, total), raw=True)

    def end(self, mark: str) -> None:
        """Leave a line of text that says how it ended, and after how long."""
        took = format_seconds(time.monotonic() - self._began)
        self._handle.update(bundle(f"{mark} {self._text} ({took})"), raw=True)


def _running(text: str, done: int, total: int) -> Bundle:
    return {TEXT: printable(text), HTML: f"<div>{line_html(text)}{bar_html(done, total)}</div>"}
