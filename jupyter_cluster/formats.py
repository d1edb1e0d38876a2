"""Amounts and durations as words; texts as a terminal may have them."""

from __future__ import annotations

import re
import time

# What colours and moves: the sequences that begin with an escape, whole.
_SEQUENCE = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)?|[@-Z\\^_])")
_COLOUR = re.compile(r"(\x1b\[[0-9;:]*m)")
# What is left of these, controls but tab and newline, marks that turn the direction of writing, and
# halves of characters.
_UNSEEN = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]"
)


def printable(text: str) -> str:
    """A text of others as a terminal may have it: what it would obey is left out or spelt.

    >>> printable("a\\x1b[31mb\\rc\\x07\\u202e")
    'ab\\nc\\\\x07\\\\u202e'
    """
    text = _SEQUENCE.sub("", text).replace("\r\n", "\n").replace("\r", "\n")
    return _UNSEEN.sub(lambda found: repr(found[0])[1:-1], text)


def coloured(text: str) -> str:
    """The same of a text whose colours are meant, e.g. a traceback of IPython: they stay.

    >>> coloured("\\x1b[31mred\\x1b[0m\\x1b[2J\\x1b]0;title\\x07")
    '\\x1b[31mred\\x1b[0m'
    """
    parts = _COLOUR.split(text)
    return "".join(part if at % 2 else printable(part) for at, part in enumerate(parts))


def printable_line(text: str) -> str:
    """The same in one line, e.g. for a cell of a table."""
    return printable(text).replace("\n", "\\n").replace("\t", " ")


def format_bytes(amount: float) -> str:
    """Bytes for a person: ``2 GB``, ``1.5 MB``."""
    for unit, size in (("TB", 1e12), ("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if amount >= size:
            return f"{amount / size:.3g} {unit}"
    return f"{amount:.0f} bytes"


def as_sentence(text: str) -> str:
    """A message as a sentence of its own: ``it is up`` becomes ``It is up.``"""
    return f"{text[:1].upper()}{text[1:]}."


def shortened(text: str, most: int = 60) -> str:
    """A text for a sentence: the middle of a long one is left out.

    >>> shortened("a" * 50 + "b" * 50, 11)
    'aaaaa…bbbbb'
    """
    if len(text) <= most:
        return text
    return f"{text[: most // 2]}…{text[-(most - most // 2 - 1) :]}"


def format_seconds(seconds: float) -> str:
    """A duration for a person: ``0.4 s``, ``90 s``, ``14 min``, ``3.5 h``."""
    if seconds < 10:
        return f"{seconds:.2g} s"
    if seconds < 120:
        return f"{seconds:.0f} s"
    if seconds < 7200:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.3g} h"


def counted(number: int, noun: str) -> str:
    """``1 node``, ``2 nodes``."""
    return f"{number} {noun}" + ("" if number == 1 else "s")


def money(usd: float) -> str:
    """``0.42 USD``; small amounts are not rounded to nothing."""
    return f"{amount(usd)} USD"


def amount(usd: float) -> str:
    """``0.42``; small amounts are not rounded to nothing."""
    return f"{usd:.2f}" if usd >= 0.01 or not usd else f"{usd:.2g}"


def place_text(provider: str) -> str:
    """Where the nodes of a provider are."""
    return "this machine" if provider == "local" else provider


def clock(moment: float) -> str:
    """The time of day."""
    return time.strftime("%H:%M:%S", time.localtime(moment))
