"""The problems of a cluster YAML as marks for an editor.

An editor of the browser counts in code units of UTF-16, as JavaScript does: a character beyond the
first 65,536, e.g. an emoji, counts twice. Python counts characters.
"""

from __future__ import annotations

from bisect import bisect_left
from pathlib import Path
from typing import Literal

from jupyter_cluster.config import Problem, Span, examine
from jupyter_cluster.formats import counted, shortened
from jupyter_cluster.server.answers import Edit, Mark, Marks

# More than these nobody reads, and each has its sentence.
MOST_MARKS = 200


def marks(text: str, path_name: str, base_dir: Path) -> Marks:
    """All that `config check` finds in a text.

    A text of the most characters that are allowed takes seconds: call it in a thread.

    Parameters
    ----------
    path_name
        What the text is called.
    base_dir
        The folder from which relative paths in the text are meant.
    """
    units = _Units(text)
    found = examine(text, path_name, base_dir)
    made = [_mark(one, "error", units) for one in found.problems]
    made += [_mark(one, "info", units) for one in found.notices]
    made = sorted(dict.fromkeys(made), key=lambda one: (one.begin, one.severity, one.message))
    return Marks(made[:MOST_MARKS] + _rest(made[MOST_MARKS:]))


def _mark(problem: Problem, severity: Literal["error", "info"], units: _Units) -> Mark:
    span = problem.span or units.line(problem.line or 1)
    message = ": ".join(part for part in (problem.key, problem.message) if part)
    edit = None
    if fix := problem.fix:
        label = f"Change to {shortened(fix.text)}"
        edit = Edit(units.at(fix.span.begin), units.at(fix.span.end), fix.text, label)
    return Mark(units.at(span.begin), units.at(span.end), severity, message, edit)


def _rest(left_out: list[Mark]) -> list[Mark]:
    """One mark for those that are too many."""
    if not left_out:
        return []
    first = left_out[0]
    message = f"{counted(len(left_out), 'more problem')}, from here on"
    return [Mark(first.begin, first.end, "error", message, None)]


class _Units:
    """Places in a text as JavaScript counts them."""

    def __init__(self, text: str) -> None:
        self._text = text
        # Those that count twice; few or none in most files.
        self._wide = [at for at, character in enumerate(text) if ord(character) > 0xFFFF]

    def at(self, index: int) -> int:
        """Code units before a character."""
        return index + bisect_left(self._wide, index)

    def line(self, number: int) -> Span:
        """The text of a line, counted from 1, without what is blank around it."""
        lines = self._text.splitlines(keepends=True)
        before = sum(map(len, lines[: number - 1]))
        line = lines[number - 1] if number <= len(lines) else ""
        begin = before + len(line) - len(line.lstrip())
        return Span(begin, max(begin, before + len(line.rstrip())))
