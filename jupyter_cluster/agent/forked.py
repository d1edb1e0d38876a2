"""What becomes of a process that a task has forked, should it come back from the task."""

from __future__ import annotations

import os
import traceback

from jupyter_cluster.tracebacks import without_ours

_slot = 0


def own_this_process() -> None:
    """This process is the slot; what it forks is not."""
    global _slot
    _slot = os.getpid()


def leave_if_forked(error: BaseException | None) -> None:
    """End a child of the slot at once: only the slot itself may answer for a task.

    It ends as in a plain Python, but without the buffers and exit handlers that are its parent's.

    Parameters
    ----------
    error
        What the task has raised.
    """
    if os.getpid() == _slot:
        return
    code = 0 if error is None else 1
    try:
        if isinstance(error, SystemExit):
            code = error.code if isinstance(error.code, int) else int(error.code is not None)
        elif error is not None:
            frames = without_ours(error.__traceback__)
            lines = traceback.format_exception(type(error), error, frames)
            os.write(2, "".join(lines).encode(errors="backslashreplace"))
    finally:
        os._exit(code & 255)
