"""How much processor time and memory the slots of a node use."""

from __future__ import annotations

import time
from collections.abc import Collection

import psutil


class Usage:
    """Looks at the processes of the slots now and then.

    What a task has started itself counts with its processor time once it has ended, and not with
    its memory: to find every child is to read the whole process table.
    """

    def __init__(self) -> None:
        self._processes: dict[int, psutil.Process] = {}
        self._seconds: dict[int, float] = {}
        self._at = time.monotonic()

    def look(self, pids: Collection[int]) -> tuple[float, int]:
        """Cores in use since the last look, and bytes in memory now."""
        now = time.monotonic()
        elapsed, self._at = max(now - self._at, 1e-3), now
        used, memory = 0.0, 0
        for gone in self._processes.keys() - set(pids):
            del self._processes[gone]
            self._seconds.pop(gone, None)
        for pid in pids:
            try:
                process = self._processes.setdefault(pid, psutil.Process(pid))
                with process.oneshot():
                    times = process.cpu_times()
                    memory += process.memory_info().rss
            except psutil.Error:  # it has just ended
                continue
            seconds = times.user + times.system + times.children_user + times.children_system
            used += max(0.0, seconds - self._seconds.get(pid, 0.0))
            self._seconds[pid] = seconds
        return used / elapsed, memory
