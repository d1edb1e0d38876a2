"""Who gives file mounts to whom: nodes that have them give them on.

So the time for many nodes grows with the logarithm of their number and not with the number, and the
head's network is not what all wait for.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

# So many at once are given to by one: more would only share its network.
PLACES = 2
HEAD = ""


class Swarm:
    """The sources of one cluster's files; the head is always one."""

    def __init__(self) -> None:
        self._busy: dict[str, int] = {HEAD: 0}
        self._changed = threading.Condition()

    def join(self, source: str) -> None:
        """A node, by address and port, has all files now."""
        with self._changed:
            self._busy.setdefault(source, 0)
            self._changed.notify_all()

    def leave(self, source: str) -> None:
        """It does not answer any more."""
        with self._changed:
            if source != HEAD:
                self._busy.pop(source, None)

    @contextmanager
    def source(self) -> Iterator[str]:
        """A source with a free place, waited for; nodes before the head."""
        with self._changed:
            while (chosen := self._free()) is None:
                self._changed.wait()
            self._busy[chosen] += 1
        try:
            yield chosen
        finally:
            with self._changed:
                if chosen in self._busy:
                    self._busy[chosen] -= 1
                self._changed.notify_all()

    def _free(self) -> str | None:
        free = [(busy, name == HEAD, name) for name, busy in self._busy.items() if busy < PLACES]
        return min(free)[2] if free else None
