"""YAML syntax errors in plain words."""

from __future__ import annotations

import yaml
from yaml.reader import ReaderError

from jupyter_cluster.config._places import word_at
from jupyter_cluster.config._problems import Problem, Span

# What PyYAML says, by a piece of it, and what a person can do. The first match counts.
_PLAIN_WORDS = (
    (
        "mapping values are not allowed",
        "a colon is not allowed here: either the line is indented too far, or the text before "
        "it needs quotes because it contains ': '",
    ),
    ("could not find expected ':'", "this line has no colon: write 'key: value'"),
    ("expected ',' or ']'", "a list that starts with [ is not closed with ]"),
    ("expected ',' or '}'", "a map that starts with { is not closed with }"),
    (
        "flow node expected the node content",
        "a value is missing here, or a [ or { before it is not closed",
    ),
    (
        "block node expected the node content",
        "a value is missing before this, or this line is not indented as the lines above",
    ),
    (
        "expected alphabetic or numeric character",
        "a text that starts with * or & needs quotes; without them a name must follow",
    ),
    ("unknown escape character", "a backslash in double quotes starts an escape; use ' instead"),
    ("quoted scalar", "a quote is not closed"),
    ("undefined alias", "a *name is used that no &name defines above it"),
    ("expected a single document", "a second document starts here (---); only one is allowed"),
    ("expected <block end>", "the indentation does not fit the lines above"),
    (
        "sequence entries are not allowed",
        "a list item (-) is not allowed here; put it on its own line",
    ),
    ("cannot start any token", "a text may not start with this character; put it in quotes"),
    ("could not determine a constructor", "tags with ! are not allowed here"),
    ("expected a mapping", "<< must refer to a map"),
)


# Found late by PyYAML: the place to look at is where these began, not where they were noticed.
_LOOK_AT_START = ("could not find expected ':'", "found unexpected end of stream")


def syntax_problem(error: yaml.YAMLError, text: str, source: str) -> Problem:
    """The problem that a YAML error stands for, with its line and column."""
    if isinstance(error, ReaderError):
        at = error.position
        line = text.count("\n", 0, at) + 1
        what = f"character number {error.character:#x} is not allowed in YAML; remove it"
        return Problem(source, line, "", what, Span(at, at + 1))
    if not isinstance(error, yaml.MarkedYAMLError) or error.problem_mark is None:
        return Problem(source, None, "", f"this is not YAML: {error}")
    mark = error.problem_mark
    before = _line_until(text, mark)
    if "\t" in before:
        column = before.index("\t") + 1
        what = f"column {column} is a tab; YAML allows only spaces, use those"
        at = mark.index - mark.column + before.index("\t")
        return Problem(source, mark.line + 1, "", what, Span(at, at + 1))
    return _marked(error, mark, text, source)


def _line_until(text: str, mark: yaml.Mark) -> str:
    """The mark's line up to and with the marked character; empty at the end of the text."""
    lines = text.splitlines()
    return lines[mark.line][: mark.column + 1] if mark.line < len(lines) else ""


def _marked(error: yaml.MarkedYAMLError, mark: yaml.Mark, text: str, source: str) -> Problem:
    said = " ".join(filter(None, (error.context, error.problem)))
    plain = next((words for piece, words in _PLAIN_WORDS if piece in said), said)
    start = error.context_mark
    if start is not None and any(piece in said for piece in _LOOK_AT_START):
        mark = start
    elif start is not None and "not closed" in plain:
        plain += f"; it starts on line {start.line + 1}, column {start.column + 1}"
    message = f"column {mark.column + 1}: {plain}"
    return Problem(source, mark.line + 1, "", message, word_at(text, mark.index))
