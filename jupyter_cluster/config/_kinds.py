"""What kind of value stands where another must, in words."""

from __future__ import annotations

from typing import Any

from jupyter_cluster.config._problems import KeyPath
from jupyter_cluster.config._scalars import is_number, spelt
from jupyter_cluster.formats import shortened


def wrong_kind(kind: str, value: Any, word: str | None, path: KeyPath) -> tuple[str, str | None]:
    """What must stand there instead of a value, which the file writes as `word` without quotes.

    Returns
    -------
    tuple
        The sentence, and what was probably meant as it is written into a file.
    """
    if kind == "text" and word:
        reads = f"YAML reads {shortened(word)} as {_shown(value)}"
        return f'must be text, but {reads}; put it in quotes: "{shortened(word)}"', spelt(word)
    wrong = f"must be {kind}, not {_shown(value)}"
    if "number" not in kind or not isinstance(value, str):
        return wrong, None
    hint, instead = _number_hint(value, word, path)
    return wrong + hint, instead


def _number_hint(value: str, word: str | None, path: KeyPath) -> tuple[str, str | None]:
    if word is None and is_number(value):
        return "; leave the quotes out", value
    if word is not None and value.isdecimal() and len(value) < 20:
        number = str(int(value))
        return f"; write {number} (to some readers a leading zero means base 8)", number
    return "; write it in bytes, e.g. 8e9" if path[-1:] == ("memory",) else "", None


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
