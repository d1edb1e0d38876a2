"""What kind of value stands where another must, in words."""

from __future__ import annotations

from typing import Any

from jupyter_cluster.config._problems import KeyPath
from jupyter_cluster.formats import shortened


def wrong_kind(kind: str, value: Any, word: str | None, path: KeyPath) -> str:
    """What must stand there instead of a value, which the file writes as `word` without quotes."""
    if kind == "text" and word:
        word = shortened(word)
        return f'must be text, but YAML reads {word} as {_shown(value)}; put it in quotes: "{word}"'
    wrong = f"must be {kind}, not {_shown(value)}"
    return wrong + _number_hint(value, word, path) if "number" in kind else wrong


def _number_hint(value: Any, word: str | None, path: KeyPath) -> str:
    if not isinstance(value, str):
        return ""
    if word is None and _is_number(value):
        return "; leave the quotes out"
    if word is not None and value.isdecimal() and len(value) < 20:
        return f"; write {int(value)} (to some readers a leading zero means base 8)"
    return "; write it in bytes, e.g. 8e9" if path[-1:] == ("memory",) else ""


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _shown(value: Any) -> str:
    match value:
        case None:
            return "empty"
        case bool():
            return str(value).lower()
        case int() | float():
            return f"the number {shortened(_digits(value))}"
        case str():
            return f"the text {shortened(repr(value))}"
        case dict():
            return "a map"
    return "a list"


def _digits(number: float) -> str:
    try:
        return str(number)
    except ValueError:  # Python writes no number of more than 4,300 digits
        return f"{number:#x}"
