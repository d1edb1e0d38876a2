"""Results that the head has not yet acknowledged.

They are sent again after every new connection, until the head says that they are in its journal.
Up to a limit they wait in memory, beyond it on disk; where the disk is full, in memory again.
"""

from __future__ import annotations

import contextlib
import logging
import pickle
from pathlib import Path
from typing import Any

logger = logging.getLogger("jupyter_cluster.agent")

MEMORY_BYTES = 64_000_000


class Spool:
    """Messages by number, oldest first."""

    def __init__(self, folder: Path, memory_bytes: int = MEMORY_BYTES) -> None:
        self._folder = folder
        self._room = memory_bytes
        self._messages: dict[int, dict[str, Any] | Path] = {}
        self._sizes: dict[int, int] = {}
        self._last = 0
        self._disk_failed = False
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)

    def __len__(self) -> int:
        return len(self._messages)

    def add(self, message: dict[str, Any], size: int) -> dict[str, Any]:
        """Keep a message of about `size` bytes; returns it with its number."""
        self._last += 1
        numbered = {**message, "seq": self._last}
        path = self._on_disk(numbered) if size > self._room else None
        if path is None:
            self._room -= size  # below 0 where the disk is full: the next one tries it again
            self._sizes[self._last] = size
        self._messages[self._last] = path or numbered
        return numbered

    def _on_disk(self, message: dict[str, Any]) -> Path | None:
        """The file that the message is in; None where there is no room for it."""
        path = self._folder / f"{message['seq']}"
        try:
            path.write_bytes(pickle.dumps(message))
        except OSError as error:
            with contextlib.suppress(OSError):
                path.unlink(missing_ok=True)
            if not self._disk_failed:
                logger.warning("results wait in memory, %s cannot be written: %s", path, error)
            self._disk_failed = True
            return None
        self._disk_failed = False
        return path

    def acknowledge(self, numbers: list[int]) -> None:
        """These are safe with the head."""
        for number in numbers:
            message = self._messages.pop(number, None)
            self._room += self._sizes.pop(number, 0)
            if isinstance(message, Path):
                message.unlink(missing_ok=True)

    def unacknowledged(self) -> list[dict[str, Any]]:
        """All that is to be sent again."""
        return [
            pickle.loads(message.read_bytes()) if isinstance(message, Path) else message
            for message in self._messages.values()
        ]
