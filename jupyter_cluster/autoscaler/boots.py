"""How long nodes take to boot, learned from this cluster."""

from __future__ import annotations

from collections import deque
from dataclasses import replace
from math import fsum

from jupyter_cluster.model import NodeType

# So many of the last boots count. A mean and not the newest one: of nodes launched together the
# slowest is always the last to report.
REMEMBERED = 30


class BootTimes:
    """The mean of the last boots of each type, with what was expected of it as one more."""

    def __init__(self) -> None:
        self._seen: dict[str, deque[float]] = {}

    def learn(self, node_type: NodeType, seconds: float) -> NodeType:
        """The type, with what to expect after one more boot took so many seconds."""
        seen = self._seen.setdefault(node_type.name, deque([node_type.boot_seconds], REMEMBERED))
        seen.append(seconds)
        return replace(node_type, boot_seconds=fsum(seen) / len(seen))
