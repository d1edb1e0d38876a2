"""Files that come with work: where the disk refuses one, it is tried again; the work goes back.

A thread writes and removes them, in the order of the calls: they may have hundreds of megabytes.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import shutil
from collections.abc import Callable, Collection
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from jupyter_cluster.background import Guard, describe, report

logger = logging.getLogger("jupyter_cluster.agent")

RETRY_SECONDS = 1.0

Write = Callable[[Path], None]


class Arrivals:
    """Writes what arrives.

    Parameters
    ----------
    on_written
        Called when something is there that was waited for.
    on_pressure
        Called with why the disk refuses something, each time that it does, and with nothing once
        all is written that it has refused.
    """

    def __init__(
        self,
        on_written: Callable[[], None],
        on_pressure: Callable[[str], None] = lambda _why: None,
    ) -> None:
        self._on_written = on_written
        self._on_pressure = on_pressure
        self._waiting: dict[Path, Write] = {}
        self._refused: dict[Path, str] = {}
        self._thread = ThreadPoolExecutor(1, "files")
        self._loop = asyncio.get_running_loop()
        self._telling = Guard("going on with what a file has come for")

    def add(self, path: Path, write: Write) -> None:
        """Make what `path` is to be; `write` makes it under another name."""
        self._waiting[path] = write
        self._begin(path, write)

    def _begin(self, path: Path, write: Write) -> None:
        if self._waiting.get(path) is write:
            writing = self._loop.run_in_executor(self._thread, _write, path, write)
            writing.add_done_callback(lambda done: self._on_end(path, write, done))

    def _on_end(self, path: Path, write: Write, done: asyncio.Future[None]) -> None:
        if done.cancelled():  # the agent ends
            return
        error = done.exception()
        if self._waiting.get(path) is not write:  # forgotten, or another one has come
            return
        if isinstance(error, OSError):
            logger.warning("%s cannot be written, it is tried again: %s", path, describe(error))
            self._loop.call_later(RETRY_SECONDS, self._begin, path, write)
            self._refused[path] = error.strerror or describe(error)
            with self._telling:
                self._on_pressure(self.pressure)
            return
        if error is not None:  # what needs it will say so
            report(f"writing {path}", error)
        self._drop(path)
        with self._telling:
            self._on_written()

    @property
    def pressure(self) -> str:
        """Why the disk refuses what came; empty where it does not."""
        return next(iter(self._refused.values()), "")

    def lacks(self, paths: Collection[Path]) -> bool:
        """Whether one of these has come and is not written yet."""
        return bool(self._waiting) and any(path in self._waiting for path in paths)

    def refuses(self, paths: Collection[Path]) -> bool:
        """Whether the disk has refused one of these, and it is not written yet."""
        return bool(self._refused) and any(path in self._refused for path in paths)

    def forget(self, path: Path) -> None:
        """Nobody needs this file or folder any more."""
        self._drop(path)
        self._thread.submit(_remove, path)

    def _drop(self, path: Path) -> None:
        self._waiting.pop(path, None)
        if self._refused.pop(path, None) and not self._refused:
            with self._telling:
                self._on_pressure("")

    def close(self) -> None:
        """Write nothing more."""
        self._thread.shutdown(wait=False, cancel_futures=True)


def _write(path: Path, write: Write) -> None:
    if path.is_dir():
        return
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    partial = path.with_name(path.name + ".part")
    write(partial)
    partial.replace(path)


def _remove(path: Path) -> None:
    with contextlib.suppress(OSError):
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)
