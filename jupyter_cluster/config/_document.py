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
from jupyter_cluster.formats import shortened

# A cluster's file has a few dozen values. What is beyond these is a slip or an attack, e.g. aliases
# of aliases that multiply, and would keep whoever reads it busy for minutes.
MOST_CHARACTERS = 200_000
MOST_VALUES = 20_000
DEEPEST = 40
_TOO_DEEP = f"lists or maps are nested too deeply to be read; {DEEPEST} levels are allowed"

# Halves of a character, and what a terminal would obey.
_NOT_TEXT = re.compile("[\ud800-\udfff]|[\x00-\x08\x0b-\x1f\x7f-\x9f]")


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
    if len(text) > MOST_CHARACTERS:
        most = f"{MOST_CHARACTERS:,} characters"
        fail(Problem(source, None, "", f"is longer than {most}: this is no cluster YAML"))
    try:
        # The reader inside the loader checks the characters at once, so it belongs in here.
        return _Builder(_Loader(text), source).document()
    except yaml.YAMLError as error:
        fail(syntax_problem(error, text, source))
    except RecursionError:
        fail(Problem(source, None, "", _TOO_DEEP))


class _Loader(yaml.SafeLoader):
    yaml_implicit_resolvers = {}  # noqa: RUF012 - the name is PyYAML's
    _depth = 0

    def compose_node(self, parent: Any, index: Any) -> Any:
        """Stop at what is too deep before all of it is read, which takes PyYAML quadratic time."""
        self._depth += 1
        if self._depth > DEEPEST + 1:
            mark = self.peek_event().start_mark  # type: ignore[no-untyped-call]
            raise yaml.MarkedYAMLError(problem=_TOO_DEEP, problem_mark=mark)
        node = super().compose_node(parent, index)
        self._depth -= 1
        return node


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
        self.values = self.characters = 0

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
        if len(around) > DEEPEST:
            self._stop(node, path[:DEEPEST], _TOO_DEEP)
        around = (*around, id(node))
        self._count(node)
        if isinstance(node, yaml.ScalarNode):
            self._check_text(node, path)
        if isinstance(node, yaml.SequenceNode):
            for i, item in enumerate(node.value):
                self._check(item, (*path, i), around)
        elif isinstance(node, yaml.MappingNode):
            self._check_keys(node, path)
            for key, value in node.value:
                self._check(value, (*path, key.value), around)

    def _count(self, node: yaml.Node) -> None:
        self.values += 1
        self.characters += len(node.value) if isinstance(node, yaml.ScalarNode) else 0
        if self.values > MOST_VALUES or self.characters > MOST_CHARACTERS:
            most = f"{MOST_VALUES:,} values or {MOST_CHARACTERS:,} characters"
            self._stop(node, (), f"with its aliases (*name) the file has more than {most}")

    def _check_text(self, node: yaml.ScalarNode, path: KeyPath) -> None:
        if found := _NOT_TEXT.search(node.value):
            self._stop(node, path, f"the character {found[0]!r} is no text; leave it out")

    def _check_keys(self, node: yaml.MappingNode, path: KeyPath) -> None:
        first: dict[str, int] = {}
        for key, _ in node.value:
            if not isinstance(key, yaml.ScalarNode):
                self._stop(key, path, "a key must be text, not a list or a map; quote {{ }}")
            self._count(key)
            self._check_text(key, path)
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
            word = shortened(repr(node.value))
            self._stop(node, path, f"{word} is not what its tag {node.tag} says")


def _line(node: yaml.Node) -> int:
    return int(node.start_mark.line) + 1
