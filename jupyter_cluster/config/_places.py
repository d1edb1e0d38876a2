"""Where in a text a thing stands, so that an editor can mark it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, Protocol

import yaml

from jupyter_cluster.config._problems import Span

# What ends a line for PyYAML.
_BREAKS = "\r\n\x85\u2028\u2029"
_BREAK = re.compile(f"[{_BREAKS}]")
# An anchor (&name) or a tag (!name), which stays when a value is replaced.
_PROPERTIES = re.compile(rf"(?:[&!][^\s]*[^\S{_BREAKS}]+)*")
_WORD = re.compile(r"\S+")


class Marked(Protocol):
    """A node or an event of PyYAML: it says where in the text it begins and ends."""

    start_mark: Any
    end_mark: Any


@dataclass(frozen=True)
class Place:
    """Where a value of a file stands.

    Attributes
    ----------
    line
        Counted from 1; that of the key where there is one.
    first
        The first line of it.
    key
        Its key; None for the whole file and for items of lists.
    value
        A scalar or an alias in one line; None for others, which are marked at their keys.
    """

    line: int
    first: Span
    key: Span | None
    value: Span | None


def place(text: str, key: yaml.Node | None, value: yaml.Node, alias: Marked | None) -> Place:
    """Where a value stands that has a key, or none, and is written out or as an alias."""
    shown: Marked = value if alias is None else alias
    start = shown.start_mark if key is None else key.start_mark
    is_scalar = isinstance(value, yaml.ScalarNode) or alias is not None
    return Place(
        line=start.line + 1,
        first=first_line(text, start.index),
        key=None if key is None else _in_one_line(text, key),
        value=_in_one_line(text, shown) if is_scalar else None,
    )


def node_span(text: str, node: yaml.Node) -> Span:
    """A node, or the first line of one that has more."""
    return _in_one_line(text, node) or first_line(text, node.start_mark.index)


def _in_one_line(text: str, node: Marked) -> Span | None:
    """What a scalar or an alias is written with; None where it is empty or has more lines."""
    begin, end = node.start_mark.index, node.end_mark.index
    properties = _PROPERTIES.match(text, begin, end)
    begin = properties.end() if properties else begin
    is_whole = begin < end and not _BREAK.search(text, begin, end)
    return Span(begin, end) if is_whole else None


def first_line(text: str, index: int) -> Span:
    """From a character to the end of its line; the whole line where nothing follows in it."""
    index = min(index, len(text))
    ending = _BREAK.search(text, index)
    stop = ending.start() if ending else len(text)
    rest = text[index:stop]
    if rest.strip():
        return Span(stop - len(rest.lstrip()), stop - len(rest) + len(rest.rstrip()))
    start = max(text.rfind(one, 0, index) for one in _BREAKS) + 1
    line = text[start:stop]
    begin = start + len(line) - len(line.lstrip())
    return Span(begin, max(begin, start + len(line.rstrip())))


def word_at(text: str, index: int) -> Span:
    """The word at a character; at the end of the text the last line that has one."""
    if not text[index:].strip():
        return first_line(text, len(text.rstrip()))
    found = _WORD.match(text, index)
    return Span(index, found.end()) if found else first_line(text, index)
