"""Files that come with work: where the disk refuses one, the work waits and it is tried again."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Collection
from pathlib import Path

from jupyter_cluster.background import Guard, describe

logger = logging.getLogger("jupyter_cluster.agent")

RETRY_SECONDS = 1.0


class Arrivals:
    """Writes what arrives, each once.

    Parameters
    ----------
    on_written
        Called when something is there that was waited for.
    """

    def __init__(self, on_written: Callable[[], None]) -> None:
        self._on_written = on_written
        self._waiting: dict[Path, Callable[[Path], None]] = {}
        self._is_retrying = False
        self._retrying = Guard("writing what has arrived")

    def add(self, path: Path, write: Callable[[Path], None]) -> None:
        """Make what `path` is to be; `write` makes it under another name."""
        try:
            _write(path, write)
        except OSError as error:
            logger.warning("%s cannot be written, it is tried again: %s", path, describe(error))
            self._waiting[path] = write
            self._retry_later()

    def lacks(self, paths: Collection[Path]) -> bool:
        """Whether one of these has come and could not be written yet."""
        return bool(self._waiting) and any(path in self._waiting for path in paths)

    def forget(self, path: Path) -> None:
        """Nobody waits for this any more."""
        self._waiting.pop(path, None)
        path.unlink(missing_ok=True)

    def _retry_later(self) -> None:
        if not self._is_retrying:
            self._is_retrying = True
            asyncio.get_running_loop().call_later(RETRY_SECONDS, self._retry)

    def _retry(self) -> None:
        self._is_retrying = False
        waiting, self._waiting = self._waiting, {}
        for path, write in waiting.items():
            with self._retrying:
                self.add(path, write)
        if len(self._waiting) < len(waiting):
            self._on_written()


def _write(path: Path, write: Callable[[Path], None]) -> None:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    partial = path.with_name(path.name + ".part")
    write(partial)
    partial.replace(path)
