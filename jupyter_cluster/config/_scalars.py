"""How PyYAML reads here: which words are numbers, booleans or text, and how deep it goes.

Scalars are read more carefully than by PyYAML's own loader, whose YAML 1.1 has traps: ``22:22``
stays text (not the number 1342), so do ``010`` (not 8) and dates, and ``1e3`` is a number. ``yes``,
``no``, ``on`` and ``off`` are still booleans, as Ray reads them; keys are always text.
"""

from __future__ import annotations

import json
import re
from typing import Any

import yaml

DEEPEST = 40
TOO_DEEP = f"lists or maps are nested too deeply to be read; {DEEPEST} levels are allowed"

# Where an alias (*name) stands: in which list and at what number, or after which key.
_At = tuple[int, int | None]


class Loader(yaml.SafeLoader):
    """PyYAML's, with our rules for scalars; it notes where aliases stand, which PyYAML forgets."""

    yaml_implicit_resolvers = {}  # noqa: RUF012 - the name is PyYAML's

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self._depth = 0
        self._aliases: dict[_At, yaml.Event] = {}

    def compose_node(self, parent: Any, index: Any) -> Any:
        """Stop at what is too deep before all of it is read, which takes PyYAML quadratic time."""
        event = self.peek_event()  # type: ignore[no-untyped-call]
        if isinstance(event, yaml.AliasEvent) and index is not None:
            self._aliases[_at(parent, index)] = event
        self._depth += 1
        if self._depth > DEEPEST + 1:
            raise yaml.MarkedYAMLError(problem=TOO_DEEP, problem_mark=event.start_mark)
        node = super().compose_node(parent, index)
        self._depth -= 1
        return node

    def alias(self, parent: yaml.Node, index: int | yaml.Node) -> yaml.Event | None:
        """The alias through which an item of a list, or the value of a key, is written."""
        return self._aliases.get(_at(parent, index))


def _at(parent: yaml.Node, index: int | yaml.Node) -> _At:
    # A key is in one map only at first, and in more after merging (<<): its map says nothing.
    return (id(parent), index) if isinstance(index, int) else (id(index), None)


def _resolve(tag: str, pattern: str, first: str) -> None:
    Loader.add_implicit_resolver(
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
Loader.yaml_implicit_resolvers[""] = Loader.yaml_implicit_resolvers["~"]
_resolve("merge", "<<", "<")


def is_number(word: str) -> bool:
    """Whether a word is read as a number where it has no quotes.

    >>> is_number("1e3"), is_number("010")
    (True, False)
    """
    return _kind(word) in ("int", "float")


def spelt(text: str | None) -> str | None:
    """A text as it is written into a file: in quotes where it needs them; None stays None.

    >>> spelt("max_workers"), spelt("3.10"), spelt("a: b")
    ('max_workers', '"3.10"', '"a: b"')
    """
    if text is None:
        return None
    is_plain = re.fullmatch(r"[\w./][\w./-]*", text) and _kind(text) == "str"
    return text if is_plain else json.dumps(text, ensure_ascii=False)


def _kind(word: str) -> str:
    rules = Loader.yaml_implicit_resolvers.get(word[:1], [])
    found = next((tag for tag, pattern in rules if pattern.match(word)), ":str")
    return str(found).rpartition(":")[2]
