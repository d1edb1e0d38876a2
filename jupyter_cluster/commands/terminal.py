"""The console of a terminal: answers on stdout, all else on stderr."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from jupyter_cluster.commands.console import Step, Table, cannot_ask
from jupyter_cluster.errors import UsageError
from jupyter_cluster.formats import format_seconds

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID
    from rich.table import Table as RichTable

    from jupyter_cluster.client.registry import Entry

# A pipe has no width; lines are not to be broken there.
_PIPE_COLUMNS = 400


class Terminal:
    """Prints; uses rich for tables and live progress."""

    def __init__(self, program: str = "jupyter-cluster") -> None:
        self.program = program

    def show(self, *parts: str | Table) -> None:
        for number, part in enumerate(parts):
            if isinstance(part, str):
                print(part, flush=True)
            else:
                print("\n" * (number > 0) + as_text(part, sys.stdout), flush=True)

    def json(self, value: Any) -> None:
        print(json.dumps(value, indent=1), flush=True)

    def notice(self, text: str) -> None:
        print(text, file=sys.stderr, flush=True)

    def chart(self, make: Callable[[], Any]) -> None:
        """A terminal shows none."""

    def panel(self, place: Entry) -> None:
        from jupyter_cluster.commands.live import follow

        follow(place)

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
        print(f"{question} [y/N] ", end="", file=sys.stderr, flush=True)
        return sys.stdin.readline().strip().lower() in ("y", "yes")


class _Step:
    def __init__(self, text: str, progress: Progress) -> None:
        self._title = self.text = text
        self._progress = progress
        self._task: TaskID = progress.add_task(text, total=None)

    def update(self, text: str, done: int = 0, total: int = 0) -> None:
        counted = f" {done} of {total}" if total else ""
        self.text = f"{self._title}: {text}{counted}"
        self._progress.update(
            self._task, description=self.text, completed=done, total=total or None
        )


def as_text(table: Table, file: Any = None) -> str:
    """A table as lines of text, as wide as the terminal that `file` is, if it is one."""
    from io import StringIO

    from rich.console import Console

    # Without force_jupyter, rich would publish an output of its own in a notebook.
    target = Console(file=file, force_jupyter=False)
    is_terminal = file is not None and target.is_terminal
    width = target.width if is_terminal else _PIPE_COLUMNS
    text = StringIO()
    console = Console(
        file=text, width=width, force_terminal=is_terminal, force_jupyter=False, color_system=None
    )
    console.print(_rich(table))
    return "\n".join(line.rstrip() for line in text.getvalue().rstrip().splitlines())


def _rich(table: Table) -> RichTable:
    from rich.table import Table as RichTable
    from rich.text import Text

    made = RichTable(box=None, header_style="bold", pad_edge=False, padding=(0, 2, 0, 0))
    for heading in table.headings:
        made.add_column(
            heading, justify="right" if table.is_number(heading) else "left", overflow="fold"
        )
    for row in table.rows:
        made.add_row(*(Text(value) for value in row))
    return made
