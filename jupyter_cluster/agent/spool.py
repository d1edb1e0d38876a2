"""Results that the head has not yet acknowledged.

They are sent again after every new connection, until the head says that they are in its journal.
Up to a limit they wait in memory, beyond it on disk, where a thread writes and reads them; where
the disk is full, in memory again.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextlib
import logging
import pickle
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

logger = logging.getLogger("jupyter_cluster.agent")

MEMORY_BYTES = 64_000_000
# Beyond so much that is being written, results are taken no faster than the disk takes them.
WRITING_BYTES = 256_000_000

Message = dict[str, Any]


class Spool:
    """Messages by number, oldest first."""

    def __init__(self, folder: Path, memory_bytes: int = MEMORY_BYTES) -> None:
        self._folder = folder
        self._room = memory_bytes
        self._messages: dict[int, Message | Path] = {}
        self._sizes: dict[int, int] = {}
        self._last = 0
        self._writing = 0
        self._disk_failed = False
        self._thread = concurrent.futures.ThreadPoolExecutor(1, "spool")
        self._loop = asyncio.get_running_loop()
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)

    def __len__(self) -> int:
        return len(self._messages)

    def add(self, message: Message, size: int) -> Message:
        """Keep a message of about `size` bytes; returns it with its number."""
        self._last += 1
        numbered = {**message, "seq": self._last}
        self._messages[self._last] = numbered
        if size > self._room:
            self._begin_writing(numbered, size)
        else:
            self._keep(self._last, size)
        return numbered

    def _keep(self, number: int, size: int) -> None:
        self._room -= size  # below 0 where the disk is full: the next one tries it again
        self._sizes[number] = size

    def _begin_writing(self, message: Message, size: int) -> None:
        self._writing += size
        path = self._folder / f"{message['seq']}"
        written = self._thread.submit(_write, path, message)
        if self._writing > WRITING_BYTES:
            concurrent.futures.wait([written])

        def tell(done: concurrent.futures.Future[OSError | None]) -> None:
            with contextlib.suppress(RuntimeError, concurrent.futures.CancelledError):  # the end
                self._loop.call_soon_threadsafe(self._on_written, path, size, done.result())

        written.add_done_callback(tell)

    def _on_written(self, path: Path, size: int, error: OSError | None) -> None:
        self._writing -= size
        number = int(path.name)
        if number not in self._messages:
            self._remove(path)
        elif error is None:
            self._messages[number] = path
        else:
            self._keep(number, size)
            if not self._disk_failed:
                logger.warning("results wait in memory, %s cannot be written: %s", path, error)
        self._disk_failed = error is not None

    def _remove(self, path: Path) -> None:
        self._thread.submit(path.unlink, missing_ok=True)

    def acknowledge(self, numbers: list[int]) -> None:
        """These are safe with the head."""
        for number in numbers:
            message = self._messages.pop(number, None)
            self._room += self._sizes.pop(number, 0)
            if isinstance(message, Path):
                self._remove(message)

    async def unacknowledged(self) -> AsyncIterator[Message]:
        """All that is to be sent again, oldest first; also what is added meanwhile."""
        last = 0
        while newer := [number for number in self._messages if number > last]:
            for last in newer:
                if (message := await self._read(last)) is not None:
                    yield message

    async def _read(self, number: int) -> Message | None:
        message = self._messages.get(number)
        if isinstance(message, Path):
            return await self._loop.run_in_executor(self._thread, _read, message)
        return message

    def close(self) -> None:
        """Write nothing more."""
        self._thread.shutdown(wait=False, cancel_futures=True)


def _write(path: Path, message: Message) -> OSError | None:
    try:
        path.write_bytes(pickle.dumps(message))
    except OSError as error:
        with contextlib.suppress(OSError):
            path.unlink(missing_ok=True)
        return error
    return None


def _read(path: Path) -> Message | None:
    try:
        message: Message = pickle.loads(path.read_bytes())
    except FileNotFoundError:  # acknowledged meanwhile
        return None
    return message
