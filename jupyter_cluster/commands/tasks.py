"""How tasks are written in a line: ``134000x0.4s``, ``500x30s:CPU=4,memory=8GB@240s``. Pure."""

from __future__ import annotations

import argparse
import re
from dataclasses import dataclass

from jupyter_cluster.formats import format_seconds
from jupyter_cluster.resources import MEMORY, Resources

SYNTAX = "COUNTxSECONDS[:RESOURCES][@START]"
EXAMPLE = "134000x0.4s or 500x30s:CPU=4,memory=8GB@240s"

_SECONDS = {"ms": 0.001, "s": 1.0, "min": 60.0, "m": 60.0, "h": 3600.0, "": 1.0}
_BYTES = {"": 1.0, "kB": 1e3, "MB": 1e6, "GB": 1e9, "TB": 1e12} | {
    "KiB": 2.0**10,
    "MiB": 2.0**20,
    "GiB": 2.0**30,
    "TiB": 2.0**40,
}


@dataclass(frozen=True)
class Tasks:
    """Equal tasks that arrive together.

    Attributes
    ----------
    seconds : float
        What one of them takes.
    at : float
        When they arrive, in seconds.
    """

    count: int
    seconds: float
    shape: Resources
    at: float = 0.0

    def __str__(self) -> str:
        """``134,000 tasks of 0.4 s``, with what each needs where that is not one CPU."""
        text = f"{self.count:,} task{'' if self.count == 1 else 's'}"
        text += f" of {format_seconds(self.seconds)}"
        return text if self.shape == Resources.of(CPU=1) else f"{text} with {self.shape}"


def tasks(text: str) -> Tasks:
    """``COUNTxSECONDS[:RESOURCES][@START]``; a task needs one CPU where nothing is said.

    >>> str(tasks("500x30s:CPU=4,memory=8GB@4min"))
    '500 tasks of 30 s with {CPU: 4, memory: 8 GB}'
    """
    found = re.fullmatch(r"([\d_,]*\d)\s*[xX×*]([^:@]+)(?::([^@]+))?(?:@(.+))?", text.strip())
    if not found:
        raise argparse.ArgumentTypeError(f"{text!r} is not {SYNTAX}, e.g. {EXAMPLE}")
    count, each, shape, start = found.groups()
    number = int(re.sub("[_,]", "", count))
    length = seconds(each)
    if not number or not length:
        raise argparse.ArgumentTypeError(f"{text!r}: the count and the seconds must be more than 0")
    return Tasks(number, length, resources(shape or "CPU=1"), seconds(start or "0"))


def seconds(text: str) -> float:
    """``0.4s``, ``90``, ``4min``, ``2h``.

    >>> seconds("4min")
    240.0
    """
    try:
        return _quantity(text, _SECONDS)
    except ValueError:
        raise argparse.ArgumentTypeError(
            f"{text!r} is not a duration, e.g. 0.4s, 90s, 4min or 2h"
        ) from None


def resources(text: str) -> Resources:
    """``CPU=4,memory=8GB``."""
    try:
        pairs = [part.split("=") for part in text.split(",")]
        found = {name.strip(): _amount(name.strip(), n) for name, n in pairs}
        if len(found) < len(pairs):
            raise argparse.ArgumentTypeError(f"{text!r} names a resource twice")
        return Resources.of(found)
    except ValueError:
        raise argparse.ArgumentTypeError(
            f"{text!r} is not RESOURCE=AMOUNT,…, e.g. CPU=4,memory=8GB"
        ) from None


def _amount(name: str, text: str) -> float:
    return _quantity(text, _BYTES if name == MEMORY else {"": 1.0})


def _quantity(text: str, units: dict[str, float]) -> float:
    # One way to match each text: with two, a long one takes quadratic time.
    found = re.fullmatch(r"(\d+(?:\.\d*)?|\.\d+)\s*([A-Za-z]*)", text.strip())
    if not found or found[2] not in units:
        raise ValueError(text)
    return float(found[1]) * units[found[2]]


def share(text: str) -> float:
    """A number from 0 to 1."""
    try:
        value = _quantity(text, {"": 1.0})
    except ValueError:
        value = -1.0
    if not 0 <= value <= 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number from 0 to 1")
    return value


def amount(text: str) -> float:
    """A number that is not negative."""
    try:
        return _quantity(text, {"": 1.0})
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of at least 0") from None


def stragglers(text: str) -> tuple[float, float]:
    """``SHARExFACTOR``.

    >>> stragglers("0.01x20")
    (0.01, 20.0)
    """
    few, cross, factor = text.partition("x")
    try:
        found = share(few), amount(factor)
    except argparse.ArgumentTypeError:
        found = 0.0, 0.0
    if not cross or not found[1]:
        raise argparse.ArgumentTypeError(
            f"{text!r} is not SHARExFACTOR, e.g. 0.01x20: one task in a hundred takes 20 times"
            " as long"
        )
    return found
