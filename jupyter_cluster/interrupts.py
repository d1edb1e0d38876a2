"""Ctrl-C in a program of ours: none is lost, and none prints a traceback."""

from __future__ import annotations

import contextlib
import signal
import sys
import threading
from collections.abc import Iterator
from types import FrameType
from typing import Any

_AGAIN = 0.01  # seconds: Python is out of the callback by then, and nobody has waited


@contextlib.contextmanager
def interrupts() -> Iterator[None]:
    """While it lasts, an interrupt that came where none can be raised comes again.

    Python runs a signal's handler between any two instructions, those of a weak reference's
    callback and of `__del__` too. What is raised there goes no further: Python prints it and the
    program goes on as if nobody had pressed Ctrl-C.
    """
    if threading.current_thread() is not threading.main_thread():
        yield  # only the main thread is interrupted
        return
    hook, alarm = sys.unraisablehook, signal.getsignal(signal.SIGALRM)

    def again(what: Any) -> None:
        if what.exc_type is not None and issubclass(what.exc_type, KeyboardInterrupt):
            signal.signal(signal.SIGALRM, interrupt)
            signal.setitimer(signal.ITIMER_REAL, _AGAIN)
        else:
            hook(what)

    sys.unraisablehook = again
    try:
        yield
    finally:
        sys.unraisablehook = hook
        if signal.getsignal(signal.SIGALRM) is interrupt:
            signal.setitimer(signal.ITIMER_REAL, 0)
            signal.signal(signal.SIGALRM, alarm)


def interrupt(_number: int, _frame: FrameType | None) -> None:
    """Raise KeyboardInterrupt, unless one is on its way out: what it ends is not cut short."""
    if not isinstance(sys.exc_info()[1], KeyboardInterrupt):
        raise KeyboardInterrupt


def end_at_once() -> None:
    """From here on Ctrl-C ends this process without a word: it has nothing left to do."""
    if signal.getsignal(signal.SIGINT) is not signal.SIG_IGN:  # as nohup and `&` leave it
        signal.signal(signal.SIGINT, signal.SIG_DFL)
