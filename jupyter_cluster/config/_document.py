"""YAML text as plain data, with the line of every key.

PyYAML's nodes are built into data here, so that each value keeps its line and the words it was
written with. Scalars are read more carefully than by PyYAML's own loader, whose YAML 1.1 has
traps: ``22:22`` stays text (not the number 1342), so do ``010`` (not 8) and dates, and ``1e3``
is a number. ``yes``, ``no``, ``on`` and ``off`` are still booleans, as Ray reads them; keys are
always text.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, NoReturn

import yaml

from jupyter_cluster.config._problems import KeyPath, Problem, fail, show_path
from jupyter_cluster.config._syntax import syntax_problem


@dataclass(frozen=True)
class Document:
    """A file's data and where each value stands.

    Attributes
    ----------
    lines : mapping
        Line by key path, counted from 1; only what the file itself says.
    words : mapping
        Unquoted scalars by key path, as they were written.
    problems : tuple of Problem
        What was wrong although the data could be read: duplicate keys.
    """

    source: str
    data: Any
    lines: Mapping[KeyPath, int] = field(default_factory=dict)
    words: Mapping[KeyPath, str] = field(default_factory=dict)
    problems: tuple[Problem, ...] = ()

    def line(self, path: KeyPath) -> int | None:
        """The line of a key, or of the nearest map around a key that was left out."""
        while path and path not in self.lines:
            path = path[:-1]
        return self.lines.get(path)

    def problem(self, path: KeyPath, message: str) -> Problem:
        """A problem of the value at this path."""
        return Problem(self.source, self.line(path), show_path(path), message)


def read_yaml(text: str, source: str) -> Document:
    """Read one YAML document.

    Raises
    ------
    ConfigError
        The text is not YAML, or has nothing in it.
    """
    try:
        # The reader inside the loader checks the characters at once, so it belongs in here.
        return _Builder(_Loader(text), source).document()
    except yaml.YAMLError as error:
        fail(syntax_problem(error, text, source))
    except RecursionError:
        fail(Problem(source, None, "", "lists or maps are nested too deeply to be read"))


class _Loader(yaml.SafeLoader):
    yaml_implicit_resolvers = {}  # noqa: RUF012 - the name is PyYAML's


def _resolve(tag: str, pattern: str, first: str) -> None:
    _Loader.add_implicit_resolver(
        f"tag:yaml.org,2002:{tag}", re.compile(rf"(?:{pattern})\Z"), list(first)
    )


_resolve(
    "bool",
    "yes|Yes|YES|no|No|NO|true|True|TRUE|false|False|FALSE|on|On|ON|off|Off|OFF",
    "yYnNtTfFoO",
)
_resolve("int", r"[-+]?(?:0|[1-9][0-9_]*)", "-+0123456789")
_resolve(
    "float",
    r"[-+]?(?:[0-9][0-9_]*\.[0-9_]*|\.[0-9]+)(?:[eE][-+]?[0-9]+)?|[-+]?[0-9]+[eE][-+]?[0-9]+"
    r"|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)",
    "-+0123456789.",
)
_resolve("null", "~|null|Null|NULL|", "~nN")
_Loader.yaml_implicit_resolvers[""] = _Loader.yaml_implicit_resolvers["~"]
_resolve("merge", "<<", "<")


class _Builder:
    """Builds data from PyYAML's nodes and notes lines, words and problems on the way."""

    def __init__(self, loader: _Loader, source: str) -> None:
        self.loader = loader
        self.source = source
        self.lines: dict[KeyPath, int] = {}
        self.words: dict[KeyPath, str] = {}
        self.problems: list[Problem] = []

    def document(self) -> Document:
        root = self.loader.get_single_node()
        if root is None or root.value == "":
            fail(Problem(self.source, None, "", "the file is empty"))
        # Before anything is built: merging (<<) changes the nodes, and a loop never ends.
        self._check(root, (), ())
        data = self._build(root, ())
        return Document(self.source, data, self.lines, self.words, tuple(self.problems))

    def _check(self, node: yaml.Node, path: KeyPath, around: tuple[int, ...]) -> None:
        if id(node) in around:
            self._stop(node, path, "the alias stands inside the value it refers to")
        around = (*around, id(node))
        if isinstance(node, yaml.SequenceNode):
            for i, item in enumerate(node.value):
                self._check(item, (*path, i), around)
        elif isinstance(node, yaml.MappingNode):
            self._check_keys(node, path)
            for key, value in node.value:
                self._check(value, (*path, key.value), around)

    def _check_keys(self, node: yaml.MappingNode, path: KeyPath) -> None:
        first: dict[str, int] = {}
        for key, _ in node.value:
            if not isinstance(key, yaml.ScalarNode):
                self._stop(key, path, "a key must be text, not a list or a map; quote {{ }}")
            if key.value in first:
                message = f"duplicate key: already on line {first[key.value]}; keep one of the two"
                where = show_path((*path, key.value))
                self.problems.append(Problem(self.source, _line(key), where, message))
            first.setdefault(key.value, _line(key))

    def _stop(self, node: yaml.Node, path: KeyPath, message: str) -> NoReturn:
        fail(Problem(self.source, _line(node), show_path(path), message))

    def _build(self, node: yaml.Node, path: KeyPath) -> Any:
        self.lines.setdefault(path, _line(node))
        if isinstance(node, yaml.MappingNode):
            return {key: self._build(value, (*path, key)) for key, value in self._items(node, path)}
        if isinstance(node, yaml.SequenceNode):
            return [self._build(item, (*path, i)) for i, item in enumerate(node.value)]
        return self._scalar(node, path)

    def _items(self, node: yaml.MappingNode, path: KeyPath) -> Iterator[tuple[str, yaml.Node]]:
        self.loader.flatten_mapping(node)
        for key, value in {key.value: (key, value) for key, value in node.value}.values():
            self.lines[(*path, key.value)] = _line(key)
            yield key.value, value

    def _scalar(self, node: yaml.Node, path: KeyPath) -> Any:
        assert isinstance(node, yaml.ScalarNode)
        if node.style is None:
            self.words[path] = node.value
        try:
            return self.loader.construct_object(node)
        except ValueError:
            self._stop(node, path, f"{node.value!r} is not what its tag {node.tag} says")


def _line(node: yaml.Node) -> int:
    return int(node.start_mark.line) + 1
