"""What is wrong with a file: one `Problem` each, raised all together."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import NoReturn

from jupyter_cluster.errors import ConfigError
from jupyter_cluster.formats import shortened

# More lines than these nobody reads at once; `ConfigError.problems` has them all.
_SHOWN = 20

# Where a value stands in the file: ("setup_commands", 2) is the third setup command.
KeyPath = tuple[str | int, ...]


@dataclass(frozen=True)
class Span:
    """A part of a text: characters from `begin` up to `end`, counted from 0."""

    begin: int
    end: int


@dataclass(frozen=True)
class Fix:
    """What was probably meant: `text` in the place of what stands at `span`."""

    span: Span
    text: str


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong, and where.

    Attributes
    ----------
    source : str
        The file, as the user named it.
    line : int or None
        Counted from 1; None where the file as a whole is meant.
    key : str
        The key's path, ``available_node_types.default.max_workers``; empty for the whole file.
    message : str
        What is wrong and what to do.
    span : Span or None
        What an editor marks; None where there is no text.
    fix : Fix or None
        What would mend it, where that is known.
    """

    source: str
    line: int | None
    key: str
    message: str
    span: Span | None = field(default=None, repr=False)
    fix: Fix | None = field(default=None, repr=False)

    def __str__(self) -> str:
        place = self.source if self.line is None else f"{self.source}:{self.line}"
        return ": ".join(part for part in (place, self.key, self.message) if part)


def show_path(path: KeyPath) -> str:
    """A key path for a person; names with unusual characters are quoted.

    >>> show_path(("file_mounts", "~/data")), show_path(("setup_commands", 2))
    ('file_mounts."~/data"', 'setup_commands[2]')
    """
    return "".join(map(_show_step, path)).removeprefix(".")


def _show_step(step: str | int) -> str:
    if isinstance(step, int):
        return f"[{step}]"
    name = shortened(step)
    return f".{name}" if re.fullmatch(r"[\w.-]+", step) else f'."{name}"'


def nearest(word: str, known: Iterable[str]) -> str | None:
    """The known word that was most likely meant, None where none is close.

    >>> nearest("max_wrokers", ["min_workers", "max_workers"])
    'max_workers'
    """
    by_lower = {name.lower(): name for name in known}
    found = get_close_matches(word.lower(), by_lower, n=1)
    return by_lower[found[0]] if found else None


def did_you_mean(near: str | None) -> str:
    """The end of a clause about an unknown word, with the word that was most likely meant."""
    return f"; did you mean {near}?" if near else "."


def fail(*problems: Problem) -> NoReturn:
    """Raise a `ConfigError` with all problems, in the order of the file."""
    ordered = tuple(sorted(dict.fromkeys(problems), key=lambda one: (one.line or 0, one.key)))
    lines = [str(one) for one in ordered[:_SHOWN]]
    if more := len(ordered) - len(lines):
        lines.append(f"{ordered[0].source}: and {more} more problem{'' if more == 1 else 's'}")
    raise ConfigError("\n".join(lines), ordered)
