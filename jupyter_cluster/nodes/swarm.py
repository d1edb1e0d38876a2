"""Who gives file mounts to whom: nodes that have them give them on.

So the time for many nodes grows with the logarithm of their number and not with the number, and the
head's network is not what all wait for.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

# So many at once are given to by one: more would only share its network.
PLACES = 2
HEAD = ""
# How often those who wait for a place are told that others get on.
_PAUSE_SECONDS = 10.0


class Swarm:
    """The sources of one cluster's files; the head is always one."""

    def __init__(self) -> None:
        self._busy: dict[str, int] = {HEAD: 0}
        self._changed = threading.Condition()
        self._moves = 0

    def show_progress(self) -> None:
        """Something has arrived somewhere."""
        self._moves += 1

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
    def source(self, on_wait: Callable[[], None] = lambda: None) -> Iterator[str]:
        """A source with a free place, waited for; nodes before the head.

        Parameters
        ----------
        on_wait
            Called now and then while one is waited for and others get on.
        """
        moves = self._moves
        while (chosen := self._place()) is None:
            if self._moves != moves:
                moves = self._moves
                on_wait()
        try:
            yield chosen
        finally:
            with self._changed:
                if chosen in self._busy:
                    self._busy[chosen] -= 1
                self._changed.notify_all()

    def _place(self) -> str | None:
        """A place, taken; None where there was none for a while."""
        with self._changed:
            if (chosen := self._free()) is None:
                self._changed.wait(_PAUSE_SECONDS)
                chosen = self._free()
            if chosen is not None:
                self._busy[chosen] += 1
            return chosen

    def _free(self) -> str | None:
        free = [(busy, name == HEAD, name) for name, busy in self._busy.items() if busy < PLACES]
        return min(free)[2] if free else None
