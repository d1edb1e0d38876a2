"""How nodes boot, learned from this cluster: how long it takes, and when to try again."""

from __future__ import annotations

from collections import deque
from dataclasses import replace
from math import fsum

from jupyter_cluster.model import NodeType

# After nodes of a type have failed on their way up and none between them became ready: pauses that
# double, so that what can never boot is not paid for again and again.
FIRST_PAUSE, LONGEST_PAUSE = 5.0, 600.0
# So many of the last boots count. A mean and not the newest one: of nodes launched together the
# slowest is always the last to report.
REMEMBERED = 30


class BootTimes:
    """The mean of the last boots of each type, with what was expected of it as one more."""

    def __init__(self) -> None:
        self._seen: dict[str, deque[float]] = {}
        self._failures: dict[str, tuple[int, float]] = {}

    def learn(self, node_type: NodeType, seconds: float) -> NodeType:
        """The type, with what to expect after one more boot took so many seconds."""
        self._failures.pop(node_type.name, None)
        seen = self._seen.setdefault(node_type.name, deque([node_type.boot_seconds], REMEMBERED))
        seen.append(seconds)
        return replace(node_type, boot_seconds=fsum(seen) / len(seen))

    def failed(self, name: str, now: float) -> float:
        """Until when to leave a type alone after one of its nodes did not boot.

        Nodes that fail together, or while the type is left alone, count as one failure.
        """
        count, until = self._failures.get(name, (0, now))
        if now >= until:
            until = now + min(LONGEST_PAUSE, FIRST_PAUSE * 2.0 ** min(count, 20))
            self._failures[name] = count + 1, until
        return until
