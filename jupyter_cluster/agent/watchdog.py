"""What a task must not do for long: run beyond its timeout, use more than its memory."""

from __future__ import annotations

import psutil

from jupyter_cluster.agent.bundle import Bundle
from jupyter_cluster.agent.slot import Slot
from jupyter_cluster.formats import format_bytes, format_seconds
from jupyter_cluster.resources import MEMORY, UNITS
from jupyter_cluster.wire import Status


def doom_of(slot: Slot, bundle: Bundle) -> tuple[Status, str] | None:
    """Why the task at hand is to be ended, as its status and a sentence; None while all is well."""
    at = slot.running
    if at and bundle.timeout is not None and at[1] > bundle.timeout:
        limit = format_seconds(bundle.timeout)
        return Status.TIMEOUT, f"it ran longer than its timeout of {limit}"
    allowed = bundle.shape.by_name.get(MEMORY, 0) / UNITS
    if allowed and slot.pid and (used := _memory(slot.pid)) > allowed:
        text = f"it used {format_bytes(used)}, more than its memory of {format_bytes(allowed)}"
        return Status.MEMORY, text
    return None


def _memory(pid: int) -> float:
    """Resident bytes of a process and all it has started."""
    try:
        process = psutil.Process(pid)
        family = [process, *process.children(recursive=True)]
        return sum(one.memory_info().rss for one in family)
    except psutil.Error:
        return 0.0
