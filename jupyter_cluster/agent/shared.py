"""The few numbers that an agent and one of its slots share in memory.

A slot says here which task it is at without a message, so that the agent knows which one to name
when the process dies, and which one runs too long.
"""

from __future__ import annotations

import contextlib
import fcntl
import math
import mmap
import os
import sys
import tempfile
import time

# No task is running: the slot waits for a bundle, or has one and is not at a task of it.
IDLE, STARTING = -1.0, -2.0
# Why a slot is to stop after the task at hand: its tasks go elsewhere, or it was cancelled.
STOPPED, INTERRUPTED = 1.0, 2.0
_COUNT = 4
_F_SEAL_FUTURE_WRITE = 0x10  # Linux 5.1; not among Python's own


class Interrupted(KeyboardInterrupt):
    """Raised in a slot: the agent interrupts the task at hand because it was cancelled."""


class Shared:
    """Shared numbers: the task at hand, since when, and whether to stop after it.

    Attributes
    ----------
    view : memoryview of double
        ``[0]`` position of the running task in its job, `IDLE` or `STARTING`; ``[1]`` its start on
        the monotonic clock; ``[2]`` not 0 when the slot is to stop after the task at hand; ``[3]``
        not 0 once the process is ready for bundles.
    """

    def __init__(self, descriptor: int) -> None:
        self._map = mmap.mmap(descriptor, _COUNT * 8)
        self.view = memoryview(self._map).cast("d")

    @staticmethod
    def new_descriptor() -> int:
        """A file of the right size that lives in memory and has no name."""
        if sys.platform == "linux":
            descriptor = os.memfd_create("slot", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
            os.ftruncate(descriptor, _COUNT * 8)
            # Were it cut short by user code, the agent's next look would be a bus error.
            fcntl.fcntl(descriptor, fcntl.F_ADD_SEALS, fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW)
            return descriptor
        with tempfile.TemporaryFile() as file:
            descriptor = os.dup(file.fileno())
        os.ftruncate(descriptor, _COUNT * 8)
        return descriptor

    @staticmethod
    def seal(descriptor: int) -> None:
        """Let nothing be written but through the memory of those that have it by now."""
        if sys.platform == "linux":
            with contextlib.suppress(OSError):
                fcntl.fcntl(descriptor, fcntl.F_ADD_SEALS, _F_SEAL_FUTURE_WRITE)

    def reset(self) -> None:
        """No task is running."""
        self.view[0], self.view[1], self.view[2] = IDLE, 0.0, 0.0

    @property
    def is_ready(self) -> bool:
        """Whether the process has come as far as to take bundles."""
        return self.view[3] == 1.0

    @property
    def running(self) -> tuple[int, float] | None:
        """Position and age in seconds of the task at hand; None between tasks.

        User code can reach this memory: what cannot be is taken for none.
        """
        index, began = self.view[0], self.view[1]
        if not (0 <= index < 1e15 and math.isfinite(began)):
            return None
        return int(index), max(0.0, time.monotonic() - began)

    def close(self) -> None:
        """Give the memory back."""
        self.view.release()
        self._map.close()
