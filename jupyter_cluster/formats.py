"""Amounts and durations as words."""

from __future__ import annotations


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
