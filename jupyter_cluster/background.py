"""Work in the background that never dies in silence: one guard for threads, tasks and callbacks.

A loop takes each of its steps within a `Guard` and goes on after one that fails. A thread or task
that cannot go on is started by `start_thread` or `start_task`: it ends loudly. Both log the error
and tell whoever waits for the work.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Awaitable, Callable, Coroutine
from types import TracebackType
from typing import Any, NoReturn

from jupyter_cluster.errors import ClusterError

logger = logging.getLogger("jupyter_cluster")

Tell = Callable[[BaseException], object]

# A step that keeps failing is taken ever less often, but no less often than this.
LONGEST_PAUSE = 30.0

# The loop keeps only weak references to tasks: without these one may vanish before it has ended.
_tasks: set[asyncio.Task[Any]] = set()


class Guard:
    """Takes the exceptions of a step of a loop, or of a callback, so that what is around goes on.

    A step that keeps failing with the same words is logged and told once, and again after it has
    succeeded in between. What ends a program or a task (`KeyboardInterrupt`, `SystemExit`,
    `asyncio.CancelledError`) passes through.

    >>> guard = Guard("looking for dead nodes", tell)
    >>> while True:
    ...     with guard:
    ...         await look()
    ...     await asyncio.sleep(1)

    Parameters
    ----------
    what
        What the step does, for the log: ``looking for dead nodes``.
    tell
        Tells whoever waits for it; called with the exception.

    Attributes
    ----------
    problem : str
        Why the last step failed; empty where it succeeded.
    """

    def __init__(self, what: str, tell: Tell | None = None) -> None:
        self.what = what
        self.problem = ""
        self._tell = tell

    def __enter__(self) -> Guard:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> bool:
        if error is None:
            self.problem = ""
        elif isinstance(error, Exception):
            if (problem := describe(error)) != self.problem:
                self.problem = problem
                report(self.what, error, self._tell)
            return True
        return False


def describe(error: BaseException) -> str:
    """An exception in a few words, whatever its own `__str__` does."""
    try:
        text = str(error)
    except Exception:
        text = ""
    if isinstance(error, ClusterError) and text:
        return text  # a sentence for a person already
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def report(what: str, error: BaseException, tell: Tell | None = None) -> None:
    """Log that something in the background has failed, and tell whoever waits for it."""
    trace = None if isinstance(error, ClusterError) else error
    logger.error("%s failed: %s", what, describe(error), exc_info=trace)
    if tell is not None:
        try:
            tell(error)
        except Exception:
            logger.exception("telling that %s failed", what)


def start_thread(
    what: str, work: Callable[[], object], tell: Tell | None = None
) -> threading.Thread:
    """Run work on a thread of its own, which does not keep the process alive.

    Parameters
    ----------
    what
        What it does; the thread's name.
    tell
        Tells whoever waits for it that it has ended with this exception.
    """

    def run() -> None:
        try:
            work()
        except BaseException as error:  # SystemExit too: nobody else would hear of it
            report(what, error, tell)

    thread = threading.Thread(target=run, name=what, daemon=True)
    thread.start()
    return thread


def start_task(
    what: str, work: Coroutine[Any, Any, object], tell: Tell | None = None
) -> asyncio.Task[None]:
    """Run work as a task of the running loop, which is kept until it has ended.

    Parameters
    ----------
    what
        What it does; the task's name.
    tell
        Tells whoever waits for it that it has ended with this exception.
    """

    async def run() -> None:
        try:
            await work
        except Exception as error:
            report(what, error, tell)

    task = asyncio.create_task(run(), name=what)
    _tasks.add(task)
    task.add_done_callback(_tasks.discard)
    task.add_done_callback(lambda _task: work.close())  # where it was cancelled before it began
    return task


async def repeat(
    what: str, step: Callable[[], Awaitable[object]], seconds: float, tell: Tell | None = None
) -> NoReturn:
    """Take a step every so many seconds, within a `Guard`; more rarely while it keeps failing."""
    guard, pause = Guard(what, tell), seconds
    while True:
        with guard:
            await step()
        pause = min(max(LONGEST_PAUSE, seconds), pause * 2) if guard.problem else seconds
        await asyncio.sleep(pause)
