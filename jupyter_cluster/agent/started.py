"""What a cell of a session has started, so that it ends when the cell is interrupted.

A session lives on, with what its earlier cells have left running on purpose. The slot adopts what
loses its parent, so that all that comes of the cell is a child of the slot sooner or later.
"""

from __future__ import annotations

import contextlib
import os
import signal
import time
from pathlib import Path

from jupyter_cluster.wire import CELL_MARK

# How long the end of what was started may take.
END_SECONDS = 2.0


class Started:
    """Knows the processes of the cell at hand from those of the cells before it."""

    def __init__(self) -> None:
        self._cells = 0
        self._before: dict[int, str] = {}

    def begin(self) -> None:
        """A cell begins; what starts a program from now on hands on its mark."""
        self._cells += 1
        os.environ[CELL_MARK] = str(self._cells)
        self._before = _children()

    def end_all(self) -> None:
        """End what the cell has started, also what appears while that is done."""
        deadline = time.monotonic() + END_SECONDS
        while (found := self._of_this_cell()) and time.monotonic() < deadline:
            for pid in found:
                # It is our child: its number is its own until we have waited for it.
                with contextlib.suppress(OSError):
                    os.kill(pid, signal.SIGKILL)
            time.sleep(0.005)

    def _of_this_cell(self) -> list[int]:
        """Children that were not there before, and are no late offspring of an earlier cell's."""
        marks = ("", str(self._cells))
        return [
            pid
            for pid, start in _children().items()
            if self._before.get(pid) != start and _mark_of(pid) in marks
        ]


def _children() -> dict[int, str]:
    """Living children of this process, each with when it began; none where it cannot be told."""
    found: dict[int, str] = {}
    for listed in Path("/proc/self/task").glob("*/children"):
        with contextlib.suppress(OSError):  # the thread has ended
            for pid in map(int, listed.read_text().split()):
                with contextlib.suppress(OSError):
                    state, *rest = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
                    if state not in "ZX":
                        found[pid] = rest[18]
    return found


def _mark_of(pid: int) -> str:
    """The cell in whose time its program was started; empty for a fork of the slot itself."""
    with contextlib.suppress(OSError):
        for word in Path(f"/proc/{pid}/environ").read_bytes().split(b"\0"):
            name, _, value = word.partition(b"=")
            if name == CELL_MARK.encode():
                return os.fsdecode(value)
    return ""
