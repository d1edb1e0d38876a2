"""So many at once; who waits for a place is told that others get on."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

# How often.
_PAUSE_SECONDS = 10.0


class Places:
    """For those that are set up at the same time."""

    def __init__(self, count: int) -> None:
        self._free = threading.BoundedSemaphore(count)
        self._moves = 0

    def show_progress(self) -> None:
        """Somebody gets on."""
        self._moves += 1

    @contextmanager
    def one(self, on_wait: Callable[[], None]) -> Iterator[None]:
        """A place, waited for; `on_wait` is called now and then meanwhile, if others get on."""
        moves = self._moves
        while not self._free.acquire(timeout=_PAUSE_SECONDS):
            if self._moves != moves:
                moves = self._moves
                on_wait()
        try:
            yield
        finally:
            self._free.release()
