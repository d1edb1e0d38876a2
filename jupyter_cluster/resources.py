"""Exact amounts of resources: what a task needs, what a node has."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property

from .formats import format_bytes

# One ten-thousandth is the smallest amount of a resource, as in Ray: 0.1 + 0.2 CPU is exactly
# 0.3 CPU when both are counted in whole units.
UNITS = 10_000
# More than any node has of anything, bytes too; whole ten-thousandths of it fit 64 bits.
MAX_AMOUNT = 10**14

CPU, GPU, MEMORY = "CPU", "GPU", "memory"
# Every node has one of the resource that is named after its type: a task that asks for the least
# amount of it runs on that type only, and the autoscaler need not know why.
ON_TYPE = "on "


@dataclass(frozen=True)
class Resources:
    """Exact amounts of named resources, e.g. of a task (its shape) or of a node.

    Amounts are kept in whole ten-thousandths, zero amounts are left out, and names are sorted,
    so that equal amounts are equal and hash alike. ``memory`` is in bytes.

    >>> Resources.of(CPU=0.1) + Resources.of(CPU=0.2) == Resources.of(CPU=0.3)
    True
    """

    units: tuple[tuple[str, int], ...] = ()

    @classmethod
    def of(cls, amounts: Mapping[str, float] | None = None, **more: float) -> Resources:
        """From amounts as people write them, ``{"CPU": 0.5, "memory": 2e9}``.

        Raises
        ------
        ValueError
            An amount is negative, not a number, too large, or smaller than one ten-thousandth but
            not 0.
        """
        return cls.from_units(
            {name: _to_units(name, amount) for name, amount in {**(amounts or {}), **more}.items()}
        )

    @classmethod
    def from_units(cls, units: Mapping[str, int]) -> Resources:
        """From whole ten-thousandths by name."""
        return cls(tuple(sorted((name, n) for name, n in units.items() if n)))

    @cached_property
    def by_name(self) -> dict[str, int]:
        """Whole ten-thousandths by name; not to be changed."""
        return dict(self.units)

    def get(self, name: str) -> float:
        """The amount of one resource, 0 where there is none."""
        return self.by_name.get(name, 0) / UNITS

    def as_dict(self) -> dict[str, float]:
        """Amounts by name, whole numbers as int."""
        return {name: _from_units(n) for name, n in self.units}

    def __bool__(self) -> bool:
        return bool(self.units)

    def __iter__(self) -> Iterator[tuple[str, int]]:
        return iter(self.units)

    def __add__(self, other: Resources) -> Resources:
        return self.plus(other, 1)

    def __sub__(self, other: Resources) -> Resources:
        return self.plus(other, -1)

    def plus(self, other: Resources, times: int) -> Resources:
        """This and `times` of the other; amounts may come out negative."""
        if not times or not other.units:
            return self
        units = dict(self.units)
        for name, n in other.units:
            units[name] = units.get(name, 0) + n * times
        return Resources.from_units(units)

    def only(self, *names: str) -> Resources:
        """The part of this that is of these resources."""
        return Resources(tuple(pair for pair in self.units if pair[0] in names))

    def times(self, count: int) -> Resources:
        """`count` of this."""
        return Resources(tuple((name, n * count) for name, n in self.units) if count else ())

    def fits(self, room: Resources) -> bool:
        """Whether this fits into the room once."""
        have = room.by_name
        return all(have.get(name, 0) >= n for name, n in self.units)

    def count_in(self, room: Resources) -> int:
        """How often this fits into the room; a shape that needs nothing fits 2**31 times."""
        have = room.by_name
        return max(0, min((have.get(name, 0) // n for name, n in self.units), default=2**31))

    def lacking(self, room: Resources) -> Resources:
        """What the room lacks for this to fit."""
        have = room.by_name
        return Resources.from_units(
            {name: max(0, n - max(0, have.get(name, 0))) for name, n in self.units}
        )

    def __str__(self) -> str:
        """As in messages: ``{CPU: 1, memory: 2 GB}``."""
        return "{" + ", ".join(_show(name, n) for name, n in self.units) + "}"


def _to_units(name: str, amount: float) -> int:
    try:
        exact = Fraction(str(amount)) * UNITS
    except (ValueError, ZeroDivisionError):
        raise ValueError(f"resource {name}: {amount!r} is not a number") from None
    if exact < 0:
        raise ValueError(f"resource {name}: {amount} is negative")
    if exact > MAX_AMOUNT * UNITS:
        raise ValueError(f"resource {name}: the amount is larger than {MAX_AMOUNT:.0e}, the most")
    units = round(exact)
    if exact and not units:
        raise ValueError(f"resource {name}: {amount} is smaller than 0.0001, the smallest amount")
    return units


def _from_units(units: int) -> float:
    return units // UNITS if units % UNITS == 0 else units / UNITS


def _show(name: str, units: int) -> str:
    if name.startswith(ON_TYPE):
        return name
    amount = format_bytes(units / UNITS) if name == MEMORY else f"{_from_units(units):g}"
    return f"{name}: {amount}"


def marked(resources: Resources, node_type: str) -> Resources:
    """What a node of a type has, with what makes tasks choose the type."""
    return resources + Resources.from_units({ON_TYPE + node_type: UNITS})


def on_type(node_type: str) -> Resources:
    """What a task asks for that runs on nodes of a type only."""
    return Resources.from_units({ON_TYPE + node_type: 1})


def unmarked(resources: Resources) -> Resources:
    """Resources without what `marked` or `on_type` has added."""
    return resources.only(*(name for name, _ in resources if not name.startswith(ON_TYPE)))


def resources_text(amounts: Mapping[str, float]) -> str:
    """``CPU: 1, memory: 2 GB``."""
    return str(Resources.of(amounts)).strip("{}")
