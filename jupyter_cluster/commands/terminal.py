"""The console of a terminal: answers on stdout, all else on stderr."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from jupyter_cluster.commands.console import Step, cannot_ask
from jupyter_cluster.commands.tables import Table, as_text
from jupyter_cluster.errors import UsageError
from jupyter_cluster.formats import format_seconds, printable

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

    from jupyter_cluster.client.registry import Entry

Serve = Callable[["Entry", int, bool, Callable[[str], None]], None]


class Terminal:
    """Prints; uses rich for tables and live progress.

    Parameters
    ----------
    serve
        Serves the page of a cluster, see `jupyter_cluster.server.alone`.
    """

    def __init__(self, program: str = "jupyter-cluster", serve: Serve | None = None) -> None:
        self.program = program
        self._serve = serve

    def show(self, *parts: str | Table) -> None:
        for number, part in enumerate(parts):
            if isinstance(part, str):
                print(printable(part), flush=True)
            else:
                print("\n" * (number > 0) + as_text(part, sys.stdout), flush=True)

    def json(self, value: Any) -> None:
        print(json.dumps(value, indent=1), flush=True)

    def notice(self, text: str) -> None:
        print(printable(text), file=sys.stderr, flush=True)

    def chart(self, make: Callable[[], Any]) -> None:
        """A terminal shows none."""

    def panel(self, place: Entry) -> None:
        from jupyter_cluster.commands.live import follow

        follow(place)

    def dashboard(self, place: Entry, port: int, browser: bool) -> None:
        if self._serve is None:
            raise UsageError("there is no dashboard here")
        self._serve(place, port, browser, self.show)

    @contextmanager
    def step(self, text: str) -> Iterator[Step]:
        from rich.console import Console
        from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

        began = time.monotonic()
        with Progress(
            SpinnerColumn(),
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            TimeElapsedColumn(),
            console=Console(stderr=True),
            transient=True,
            disable=not sys.stderr.isatty(),
        ) as progress:
            step = _Step(text, progress)
            yield step
        self.notice(f"✓ {step.text} ({format_seconds(time.monotonic() - began)})")

    def ask(self, question: str) -> bool:
        if not (sys.stdin.isatty() and sys.stderr.isatty()):
            raise UsageError(cannot_ask(question))
        print(f"{printable(question)} [y/N] ", end="", file=sys.stderr, flush=True)
        return sys.stdin.readline().strip().lower() in ("y", "yes")


class _Step:
    def __init__(self, text: str, progress: Progress) -> None:
        self._title = self.text = text
        self._progress = progress
        self._task: TaskID = progress.add_task(printable(text), total=None)

    def update(self, text: str, done: int = 0, total: int = 0) -> None:
        counted = f" {done} of {total}" if total else ""
        self.text = f"{self._title}: {text}{counted}"
        self._progress.update(
            self._task, description=printable(self.text), completed=done, total=total or None
        )
