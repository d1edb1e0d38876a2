"""Mutations of plain values as they travel: one thing of them is other than it should be."""

from __future__ import annotations

import copy
import random
from typing import Any

# What msgpack and JSON can carry, and programs do not expect. Floats that JSON has no word for and
# bytes are for msgpack alone.
ODD: list[Any] = [
    *(None, True, False, -1, 0, 1, 7, 2**31, 2**53 + 1, 2**63 - 1, -(2**63)),
    *(0.5, -1.5, 1e308, "", "x", "\x00", "\u202e\x1b[31m", "é" * 5000, "-1", "../../up"),
    *([], {}, [[]], [None], [[0, 1]], [[1, 0]], [0, 1], {"": None}, {"x": {"y": []}}),
]
ODD_BYTES: list[Any] = [b"", b"\x00", b"\xff" * 9, bytes(8), float("nan"), float("inf"), 2**64 - 1]


def mutated(random: random.Random, value: Any, odd: list[Any] | None = None) -> Any:
    """A copy of which one part, or sometimes two, is missing, doubled or replaced."""
    changed = copy.deepcopy(value)
    choices = odd or [*ODD, *ODD_BYTES]
    for _ in range(random.choice((1, 1, 1, 2))):
        changed = _mutated(random, changed, choices)
    return changed


def _mutated(random: random.Random, value: Any, odd: list[Any]) -> Any:
    places = list(_places(value))
    if not places or random.random() < 0.02:
        return copy.deepcopy(random.choice(odd))
    container, key = random.choice(places)
    how = random.random()
    if how < 0.15:
        del container[key]
    elif how < 0.25 and isinstance(container, dict):
        container[random.choice(["extra", "op", "job", ""])] = random.choice(odd)
    elif how < 0.3 and isinstance(container, list):
        container.append(copy.deepcopy(container[key]))
    elif how < 0.4 and isinstance(container[key], bytes):
        container[key] = container[key][: random.randrange(len(container[key]) + 1)]
    else:
        container[key] = copy.deepcopy(random.choice(odd))
    return value


def _places(value: Any) -> Any:
    """Everything within a value that can be replaced: its container and its key there."""
    if isinstance(value, dict):
        items: Any = value.items()
    elif isinstance(value, list):
        items = enumerate(value)
    else:
        return
    for key, part in items:
        yield value, key
        yield from _places(part)
