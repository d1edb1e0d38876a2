"""YAML syntax errors in plain words."""

from __future__ import annotations

import yaml
from yaml.reader import ReaderError

from jupyter_cluster.config._problems import Problem

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
    ("quoted scalar", "a quote is not closed"),
    ("unknown escape character", "a backslash in double quotes starts an escape; use ' instead"),
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


def syntax_problem(error: yaml.YAMLError, text: str, source: str) -> Problem:
    """The problem that a YAML error stands for, with its line and column."""
    if isinstance(error, ReaderError):
        line = text.count("\n", 0, error.position) + 1
        what = f"character number {error.character:#x} is not allowed in YAML; remove it"
        return Problem(source, line, "", what)
    if not isinstance(error, yaml.MarkedYAMLError) or error.problem_mark is None:
        return Problem(source, None, "", f"this is not YAML: {error}")
    return _marked(error, error.problem_mark, text, source)


def _marked(error: yaml.MarkedYAMLError, mark: yaml.Mark, text: str, source: str) -> Problem:
    line = (text.splitlines() or [""])[min(mark.line, text.count("\n"), len(text.splitlines()) - 1)]
    if "\t" in line[: mark.column + 1]:
        tab = line.index("\t") + 1
        return Problem(
            source, mark.line + 1, "", f"column {tab} is a tab; YAML allows only spaces, use those"
        )
    return Problem(source, mark.line + 1, "", f"column {mark.column + 1}: {_plain(error)}")


def _plain(error: yaml.MarkedYAMLError) -> str:
    said = " ".join(filter(None, (error.context, error.problem)))
    plain = next((words for piece, words in _PLAIN_WORDS if piece in said), said)
    start = error.context_mark
    # The place where a bracket or quote was opened is the one to look at.
    if "not closed" in plain and start is not None:
        return f"{plain}; it starts on line {start.line + 1}, column {start.column + 1}"
    return plain
