"""What a task has raised, on its way from its slot to whoever reads its result.

Nothing of what an exception's class does may hurt on the way: neither the slot that packs it, nor
the reader, who would lose the other results with it.
"""

from __future__ import annotations

import pickle
import traceback
from concurrent.futures import CancelledError
from typing import Any

from .codec import Bounded, Pickler, load_value
from .described import full_name, text_of
from .errors import ControlFlowError, RemoteTraceback, SerializationError, TaskError
from .tracebacks import add_note, attributes_of, set_cause, shown_plainly

# Of an exception of more bytes than this come its class, its message and its traceback alone: it
# travels through the head's journal, one for each task that fails.
MAX_BYTES = 10_000_000
_PICTURE = "Only its class and its message have come: it is large, or holds what cannot be sent."
# `Exception`s that steer those who wait for them, like the ones that are none.
_STEERING = (StopIteration, StopAsyncIteration, CancelledError)


def dump_error(error: BaseException, hide: str = "") -> bytes:
    """An exception with its traceback as text; `load_error` is its inverse.

    Frames of files below the folder `hide` are left out: they are not the user's.
    """
    text = traceback_of(error, hide)
    return pickle.dumps((full_name(error), text_of(error), text, _pickled(error)))


def traceback_of(error: BaseException, hide: str = "") -> str:
    """The traceback of an exception as text, of bounded length, without frames below `hide`."""
    try:
        frames = traceback.TracebackException.from_exception(error)
        if hide:
            frames.stack = traceback.StackSummary.from_list(
                [frame for frame in frames.stack if not frame.filename.startswith(hide)]
            )
        return text_of("".join(frames.format()))
    except BaseException:  # e.g. a __cause__ that is a property and raises
        return f"{full_name(error)}: {text_of(error)}\n"


def _pickled(error: BaseException) -> bytes:
    """The exception itself; empty where it could not be rebuilt."""
    for form in (error, _Bare(error), _Picture(error)):
        buffer = Bounded(MAX_BYTES)
        try:
            Pickler(buffer).dump_one(form)
            if isinstance(pickle.loads(buffer.getvalue()), BaseException):
                return buffer.getvalue()
        except BaseException:
            continue
    return b""


class _Bare:
    """Stands for an exception; unpickled it is one, made without its ``__init__``.

    Python makes an exception again by calling its class with its `args`, which many a class that
    asks for something else does not take.
    """

    def __init__(self, error: BaseException) -> None:
        self._error = error

    def __reduce__(self) -> tuple[Any, ...]:
        error = self._error
        args = vars(BaseException)["args"].__get__(error)
        return _make_bare, (type(error), args, attributes_of(error))


class _Picture(_Bare):
    """Stands for an exception that cannot be sent whole; unpickled it is one of the same class,
    for whoever expects that, which has its message and nothing else of it."""

    def __reduce__(self) -> tuple[Any, ...]:
        return _make_bare, (type(self._error), (text_of(self._error),), {"__notes__": [_PICTURE]})


def _make_bare(kind: type[BaseException], args: Any, attributes: dict[str, Any]) -> BaseException:
    error = kind.__new__(kind, *args)
    attributes_of(error).update(attributes)
    return error


def load_error(data: bytes | memoryview, job: str, index: int, node: str) -> BaseException:
    """The exception of a task, to be raised: of its own type, or a `TaskError` that says what it
    was; see `jupyter_cluster.errors` for which.

    IPython shows it with the frames of the node.
    """
    name, message, text, pickled = pickle.loads(data)
    where = f"task {index} of job {job!r}" + (f" on node {node}" if node else "")
    said = f"{where} raised {name}: {message}" if message else f"{where} raised {name}"
    cause: BaseException = RemoteTraceback(text, job, index, node)
    remote = str(cause)
    error = _rebuilt(pickled)
    if error is not None:
        set_cause(error, cause)
        if not steers(error) and can_be_looked_at(error):
            add_note(error, f"Raised in {where}.")
            return shown_plainly(error, remote, node)
        cause = error
    told: TaskError
    if error is not None and steers(error):
        told = ControlFlowError(said, job, index, node, name)
    else:
        told = TaskError(said, job, index, node)
    told.__cause__ = cause
    return shown_plainly(told, remote, node)


def _rebuilt(pickled: bytes) -> BaseException | None:
    """The exception itself; None where there is none, or its class is on the node alone."""
    try:
        error = load_value(pickled) if pickled else None
    except SerializationError:
        return None
    return error if issubclass(type(error), BaseException) else None


def steers(error: BaseException) -> bool:
    """Whether it would act as the control flow of whoever it is raised at."""
    kind = type(error)
    return not issubclass(kind, Exception) or issubclass(kind, _STEERING)


def can_be_looked_at(error: BaseException) -> bool:
    """Whether those who print it, or ask ``if error`` or what it is, get over it."""
    try:
        _ = str(error), repr(error), bool(error)
        return isinstance(error, Exception)
    except BaseException:
        return False
