"""What the peers are given to run; their workers import this by name."""

from __future__ import annotations

import time


def noop(value: int) -> int:
    """Return the argument: nothing to do, yet a lost or misplaced result is noticed."""
    return value


def rest(seconds: float) -> float:
    """Keep one worker busy without using its core."""
    time.sleep(seconds)
    return seconds
