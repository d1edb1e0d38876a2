"""The tables that verbs show, and what they look like as text."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from jupyter_cluster.formats import printable_line

if TYPE_CHECKING:
    from rich.table import Table as RichTable

# A pipe has no width; lines are not to be broken there.
_PIPE_COLUMNS = 400


@dataclass(frozen=True)
class Table:
    """Rows of text under headings.

    Attributes
    ----------
    numbers : tuple of str
        Headings of the columns whose values stand to the right.
    """

    title: str
    headings: tuple[str, ...]
    rows: Sequence[tuple[str, ...]]
    numbers: tuple[str, ...] = ()

    def is_number(self, heading: str) -> bool:
        """Whether the values of a column stand to the right."""
        return heading in self.numbers


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
        side: Literal["right", "left"] = "right" if table.is_number(heading) else "left"
        made.add_column(Text(printable_line(heading)), justify=side, overflow="fold")
    for row in table.rows:
        made.add_row(*(Text(printable_line(value)) for value in row))
    return made
