"""How long a job's tasks take, as its finished bundles tell."""

from __future__ import annotations

import random
from math import sqrt

# How much the newest bundle counts for the next one's size.
_NEWEST = 0.3
# Bundles kept for a chart of the durations.
KEPT = 2000


class Durations:
    """Running figures; a bundle tells only how long its tasks took together.

    Attributes
    ----------
    count : int
        Tasks measured.
    mean : float or None
        Seconds per task, of all of them; None before the first.
    recent : float or None
        The same, the newest counting most.
    """

    def __init__(self) -> None:
        self.count = 0
        self.mean: float | None = None
        self.recent: float | None = None
        self._bundles = 0
        self._squares = 0.0
        self._rows: list[tuple[int, float]] = []

    def note(self, count: int, seconds: float) -> None:
        """`count` tasks took `seconds` together."""
        each = max(seconds, 1e-7) / count
        before = each if self.mean is None else self.mean
        self.recent = each if self.recent is None else self.recent + _NEWEST * (each - self.recent)
        self.count += count
        self._bundles += 1
        self._keep(count, each)
        self.mean = before + (each - before) * count / self.count
        self._squares += count * (each - before) * (each - self.mean)

    def _keep(self, count: int, each: float) -> None:
        """Keep a fair sample of the bundles: reservoir sampling (Vitter's algorithm R, 1985)."""
        if len(self._rows) < KEPT:
            self._rows.append((count, each))
        elif (place := random.randrange(self._bundles)) < KEPT:
            self._rows[place] = (count, each)

    def rows(self) -> list[tuple[int, float]]:
        """A sample of the bundles: how many tasks, and the seconds of each of them."""
        return list(self._rows)

    @property
    def spread(self) -> float:
        """Standard deviation of one task, seconds.

        The mean of c tasks varies by the c-th part of what one does, so each bundle's square
        counts c times. The running sum is Welford's, "Note on a Method for Calculating Corrected
        Sums of Squares and Products", Technometrics 4 (1962).
        """
        return sqrt(max(0.0, self._squares) / self._bundles) if self._bundles else 0.0
