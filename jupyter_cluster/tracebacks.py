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

from .described import sentence_of
from .formats import coloured

_OURS = str(Path(__file__).parent)
_FRAME = re.compile(r'  File "(?P<file>.*)", line (?P<line>\d+), in (?P<function>.*)')


def attributes_of(error: BaseException) -> dict[str, Any]:
    """What an exception has of its own, whatever its class says of attributes."""
    found: dict[str, Any] = vars(BaseException)["__dict__"].__get__(error)
    return found


def set_cause(error: BaseException, cause: BaseException | None) -> None:
    """``raise error from cause``, whatever the error's class says of being assigned to."""
    vars(BaseException)["__cause__"].__set__(error, cause)


def add_note(error: BaseException, note: str) -> None:
    """``error.add_note(note)``, whatever the error's class says of notes."""
    notes = attributes_of(error).setdefault("__notes__", [])
    if type(notes) is list:
        notes.append(note)


def trim(error: BaseException) -> None:
    """Take our frames from an exception's traceback."""
    trace = vars(BaseException)["__traceback__"]
    trace.__set__(error, without_ours(trace.__get__(error)))


def shown_plainly(error: BaseException, remote: str = "", node: str = "") -> BaseException:
    """The same error, to be shown without frames of ours.

    Parameters
    ----------
    remote
        The traceback of the node, as text; its frames are shown below those of the notebook.
    """
    attributes_of(error)["_render_traceback_"] = partial(render, error, remote, node)
    return error


def render(error: BaseException, remote: str = "", node: str = "") -> list[str]:
    """The lines that IPython shows; outside IPython it raises, and is not asked."""
    from IPython import get_ipython

    shell: Any = get_ipython()
    # Names and messages of others are among them.
    lines = [coloured(line) for line in _rendered(error, shell, not remote)]
    frames = [coloured(line) for line in _frames(remote, shell)]
    if not frames:
        return lines
    title = f"On node {node}:" if node else "On the node:"
    notes = attributes_of(error).get("__notes__")
    at = max(0, len(lines) - 1 - (len(notes) if type(notes) is list else 0))
    return [*lines[:at], "\n".join([title, *frames, ""]), *lines[at:]]


def _rendered(error: BaseException, shell: Any, goes_on: bool) -> list[str]:
    cause, is_suppressed = error.__cause__, error.__suppress_context__
    set_cause(error, None)  # the sentence says it, or the node's frames do
    try:
        return list(
            shell.InteractiveTB.structured_traceback(
                type(error), error, without_ours(error.__traceback__, goes_on)
            )
        )
    except Exception:  # of the error's own: it does not want to be looked at
        return [sentence_of(error)]
    finally:
        set_cause(error, cause)
        vars(BaseException)["__suppress_context__"].__set__(error, is_suppressed)


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
