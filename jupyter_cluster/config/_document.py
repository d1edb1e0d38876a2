"""YAML text as plain data, with the place of every key.

PyYAML's nodes are built into data here, so that each value keeps its place and the words it was
written with.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, NoReturn

import yaml

from jupyter_cluster.config._places import Place, node_span, place
from jupyter_cluster.config._problems import Fix, KeyPath, Problem, fail, show_path
from jupyter_cluster.config._scalars import DEEPEST, TOO_DEEP, Loader
from jupyter_cluster.config._syntax import syntax_problem
from jupyter_cluster.formats import shortened

# A cluster's file has a few dozen values. What is beyond these is a slip or an attack, e.g. aliases
# of aliases that multiply, and would keep whoever reads it busy for minutes.
MOST_CHARACTERS = 200_000
MOST_VALUES = 20_000

# Halves of a character, and what a terminal would obey.
_NOT_TEXT = re.compile("[\ud800-\udfff]|[\x00-\x08\x0b-\x1f\x7f-\x9f]")


Part = Literal["key", "value"]


@dataclass(frozen=True)
class Document:
    """A file's data and where each value stands.

    Attributes
    ----------
    places : mapping
        By key path; only what the file itself says.
    words : mapping
        Unquoted scalars by key path, as they were written.
    problems : tuple of Problem
        What was wrong although the data could be read: duplicate keys.
    """

    source: str
    data: Any
    places: Mapping[KeyPath, Place] = field(default_factory=dict)
    words: Mapping[KeyPath, str] = field(default_factory=dict)
    problems: tuple[Problem, ...] = ()

    def problem(
        self, path: KeyPath, message: str, part: Part = "value", instead: str | None = None
    ) -> Problem:
        """A problem of the value at this path, or of its key.

        Parameters
        ----------
        instead
            What was probably meant, as it is written into a file; None where that is not known.
        """
        key = show_path(path)
        if (there := self.places.get(path)) is None:
            return self._left_out(path[:-1], key, message)
        wrong = there.key if part == "key" else there.value
        twice = part == "key" and (*path[:-1], instead) in self.places
        fix = Fix(wrong, instead) if wrong and instead is not None and not twice else None
        span = wrong or there.key or there.first
        return Problem(self.source, there.line, key, message, span, fix)

    def _left_out(self, around: KeyPath, key: str, message: str) -> Problem:
        """A problem of what the file does not say: the nearest map around it is where to look."""
        while around and around not in self.places:
            around = around[:-1]
        if (there := self.places.get(around)) is None:
            return Problem(self.source, None, key, message)
        return Problem(self.source, there.line, key, message, there.key or there.first)


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
        return _Builder(Loader(text), text, source).document()
    except yaml.YAMLError as error:
        fail(syntax_problem(error, text, source))
    except RecursionError:
        fail(Problem(source, None, "", TOO_DEEP))


class _Builder:
    """Builds data from PyYAML's nodes and notes places, words and problems on the way."""

    def __init__(self, loader: Loader, text: str, source: str) -> None:
        self.loader = loader
        self.text = text
        self.source = source
        self.places: dict[KeyPath, Place] = {}
        self.words: dict[KeyPath, str] = {}
        self.problems: list[Problem] = []
        self.values = self.characters = 0

    def document(self) -> Document:
        root = self.loader.get_single_node()
        if root is None or root.value == "":
            fail(Problem(self.source, None, "", "the file is empty"))
        # Before anything is built: merging (<<) changes the nodes, and a loop never ends.
        self._check(root, (), ())
        self.places[()] = place(self.text, None, root, None)
        data = self._build(root, ())
        return Document(self.source, data, self.places, self.words, tuple(self.problems))

    def _check(self, node: yaml.Node, path: KeyPath, around: tuple[int, ...]) -> None:
        if id(node) in around:
            self._stop(node, path, "the alias stands inside the value it refers to")
        if len(around) > DEEPEST:
            self._stop(node, path[:DEEPEST], TOO_DEEP)
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
                self.problems.append(self._problem(key, where, message))
            first.setdefault(key.value, _line(key))

    def _problem(self, node: yaml.Node, key: str, message: str) -> Problem:
        return Problem(self.source, _line(node), key, message, node_span(self.text, node))

    def _stop(self, node: yaml.Node, path: KeyPath, message: str) -> NoReturn:
        fail(self._problem(node, show_path(path), message))

    def _build(self, node: yaml.Node, path: KeyPath) -> Any:
        if isinstance(node, yaml.MappingNode):
            return {key: self._build(value, (*path, key)) for key, value in self._map(node, path)}
        if isinstance(node, yaml.SequenceNode):
            return [self._build(item, (*path, i)) for i, item in self._list(node, path)]
        return self._scalar(node, path)

    def _map(self, node: yaml.MappingNode, path: KeyPath) -> Iterator[tuple[str, yaml.Node]]:
        self.loader.flatten_mapping(node)
        for key, value in {key.value: (key, value) for key, value in node.value}.values():
            alias = self.loader.alias(node, key)
            self.places[(*path, key.value)] = place(self.text, key, value, alias)
            yield key.value, value

    def _list(self, node: yaml.SequenceNode, path: KeyPath) -> Iterator[tuple[int, yaml.Node]]:
        for i, item in enumerate(node.value):
            alias = self.loader.alias(node, i)
            self.places[(*path, i)] = place(self.text, None, item, alias)
            yield i, item

    def _scalar(self, node: yaml.Node, path: KeyPath) -> Any:
        assert isinstance(node, yaml.ScalarNode)
        if node.style is None:
            self.words[path] = node.value
        try:
            return self.loader.construct_object(node)
        except (ValueError, LookupError, AttributeError):  # PyYAML's own slips at such a value
            word = shortened(repr(node.value))
            self._stop(node, path, f"{word} is not what its tag {node.tag} says")


def _line(node: yaml.Node) -> int:
    return int(node.start_mark.line) + 1
