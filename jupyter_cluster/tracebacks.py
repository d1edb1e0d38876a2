"""How IPython shows our errors and those of tasks: the user's frames, there and here, none of ours.

IPython asks an exception that has a ``_render_traceback_`` for its lines.
"""

from __future__ import annotations

import linecache
import re
import types
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

_OURS = str(Path(__file__).parent)
_FRAME = re.compile(r'  File "(?P<file>.*)", line (?P<line>\d+), in (?P<function>.*)')


def shown_plainly(error: BaseException, remote: str = "", node: str = "") -> BaseException:
    """The same error, to be shown without frames of ours.

    Parameters
    ----------
    remote
        The traceback of the node, as text; its frames are shown below those of the notebook.
    """
    vars(error)["_render_traceback_"] = partial(render, error, remote, node)
    return error


def render(error: BaseException, remote: str = "", node: str = "") -> list[str]:
    """The lines that IPython shows; outside IPython it raises, and is not asked."""
    from IPython import get_ipython

    shell: Any = get_ipython()
    cause, is_suppressed = error.__cause__, error.__suppress_context__
    error.__cause__ = None  # the sentence says it, or `remote` does
    try:
        lines: list[str] = shell.InteractiveTB.structured_traceback(
            type(error), error, without_ours(error.__traceback__, not remote)
        )
    finally:
        error.__cause__, error.__suppress_context__ = cause, is_suppressed
    frames = list(_frames(remote, shell))
    if not frames:
        return lines
    title = f"On node {node}:" if node else "On the node:"
    at = len(lines) - 1 - len(getattr(error, "__notes__", ()))
    return [*lines[:at], "\n".join([title, *frames, ""]), *lines[at:]]


def without_ours(
    trace: types.TracebackType | None, goes_on: bool = True
) -> types.TracebackType | None:
    """The frames that are not ours; with `goes_on` also those that ours have called. An error
    that was pickled with its frames has those of the node there, without their source."""
    if trace is None:
        return None
    if trace.tb_frame.f_code.co_filename.startswith(_OURS):
        return without_ours(trace.tb_next, goes_on) if goes_on else None
    rest = without_ours(trace.tb_next, goes_on)
    return types.TracebackType(rest, trace.tb_frame, trace.tb_lasti, trace.tb_lineno)


def _frames(remote: str, shell: Any) -> Iterator[str]:
    """The frames of a node's traceback; of code of the notebook with its cell and its source."""
    cells = getattr(shell.compile, "_filename_map", {})
    lines = remote.splitlines()
    first = next((at for at, line in enumerate(lines) if _FRAME.fullmatch(line)), len(lines))
    last = max((at for at, line in enumerate(lines) if line.startswith("  ")), default=-1)
    for line in lines[first : last + 1]:
        found = _FRAME.fullmatch(line)
        if found is None or found["file"] not in cells:
            yield line
            continue
        yield f"  Cell In[{cells[found['file']]}], line {found['line']}, in {found['function']}"
        if source := linecache.getline(found["file"], int(found["line"])).strip():
            yield f"    {source}"
