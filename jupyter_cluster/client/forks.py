"""What becomes of a client in a process that is forked from it: it has none of its threads.

What a client keeps open belongs to the process that opened it. A forked process must neither use it
(both would speak on one connection) nor wait for a thread that it does not have: it opens its own.
"""

from __future__ import annotations

import os
import sys
import weakref
from concurrent.futures import ThreadPoolExecutor
from threading import Condition, Lock
from typing import Protocol


class Open(Protocol):
    """Something that a client keeps open."""

    @property
    def changed(self) -> Lock | Condition:
        """Guards it; a process is forked while nobody is in the middle of a change."""

    def leave_to_parent(self) -> None:
        """In the forked process: it is of no use here."""


_all: weakref.WeakSet[Open] = weakref.WeakSet()
_held: list[Open] = []


def track(one: Open) -> None:
    """From now on a forked process does not take it for its own."""
    _all.add(one)


def tracked() -> list[Open]:
    """All that this process keeps open, or has from the one that it was forked from."""
    return list(_all)


def _before() -> None:
    for one in tracked():
        one.changed.acquire()
        _held.append(one)


def _in_parent() -> None:
    while _held:
        _held.pop().changed.release()


def _in_child() -> None:
    for one in _held:
        one.leave_to_parent()
    _in_parent()
    _renew_engine()


def _renew_engine() -> None:
    """Dask packs large messages on a thread that is not here either."""
    if (utils := sys.modules.get("distributed.utils")) is not None:
        name = "Dask-Offload"
        utils._offload_executor = ThreadPoolExecutor(1, name)  # type: ignore[attr-defined]


os.register_at_fork(before=_before, after_in_parent=_in_parent, after_in_child=_in_child)
