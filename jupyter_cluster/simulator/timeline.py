"""The virtual clock."""

from __future__ import annotations

from collections.abc import Callable
from heapq import heappop, heappush
from itertools import count
from math import inf
from typing import Any


class Timeline:
    """Actions at moments; the clock jumps from one to the next.

    Attributes
    ----------
    now : float
        Seconds since the start.
    """

    def __init__(self) -> None:
        self.now = 0.0
        self._numbers = count()
        self._heap: list[tuple[float, bool, int, Callable[..., None], tuple[Any, ...]]] = []

    def at(
        self, moment: float, action: Callable[..., None], *arguments: Any, last: bool = False
    ) -> None:
        """Do this then: in the order of the calls, or after all else of that moment."""
        if moment < inf:
            heappush(self._heap, (moment, last, next(self._numbers), action, arguments))

    @property
    def next(self) -> float:
        """When the next action is due; infinite where there is none."""
        return self._heap[0][0] if self._heap else inf

    def step(self) -> None:
        """Do the next action."""
        self.now, _last, _number, action, arguments = heappop(self._heap)
        action(*arguments)
