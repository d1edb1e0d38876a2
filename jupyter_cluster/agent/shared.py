"""The few numbers that an agent and one of its slots share in memory.

A slot says here which task it is at without a message, so that the agent knows which one to name
when the process dies, and which one runs too long.
"""

from __future__ import annotations

import mmap
import os
import tempfile

IDLE = -1.0
# Why a slot is to stop after the task at hand: its tasks go elsewhere, or it was cancelled.
STOPPED, INTERRUPTED = 1.0, 2.0
_COUNT = 3


class Interrupted(KeyboardInterrupt):
    """Raised in a slot: the agent interrupts the task at hand because it was cancelled."""


class Shared:
    """Shared numbers: the task at hand, since when, and whether to stop after it.

    Attributes
    ----------
    view : memoryview of double
        ``[0]`` position of the running task in its job or `IDLE`, ``[1]`` its start on the
        monotonic clock, ``[2]`` not 0 when the slot is to stop after the task at hand.
    """

    def __init__(self, descriptor: int) -> None:
        self._map = mmap.mmap(descriptor, _COUNT * 8)
        self.view = memoryview(self._map).cast("d")

    @staticmethod
    def new_descriptor() -> int:
        """A file of the right size that lives in memory and has no name."""
        if hasattr(os, "memfd_create"):
            descriptor = os.memfd_create("slot")
        else:
            with tempfile.TemporaryFile() as file:
                descriptor = os.dup(file.fileno())
        os.ftruncate(descriptor, _COUNT * 8)
        return descriptor

    def reset(self) -> None:
        """No task is running."""
        self.view[0], self.view[1], self.view[2] = IDLE, 0.0, 0.0

    def close(self) -> None:
        """Give the memory back."""
        self.view.release()
        self._map.close()
