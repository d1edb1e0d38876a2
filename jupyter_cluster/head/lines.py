"""What user code has written: the newest lines in memory, all of them in a file that turns over."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from pathlib import Path
from typing import Any

KEPT = 10_000
FILE_BYTES = 50_000_000


class Lines:
    """Numbered lines with their node, job, slot and stream."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lines: deque[dict[str, Any]] = deque(maxlen=KEPT)
        self._number = 0
        self._news = asyncio.Event()

    def add(self, node: str, rows: list[list[Any]]) -> None:
        """Take the lines of a node."""
        with self._path.open("a", encoding="utf-8", errors="backslashreplace") as file:
            for at, job, slot, stream, text in rows:
                self._number += 1
                self._lines.append(
                    {
                        "number": self._number,
                        "time": at,
                        "node": node,
                        "job": job,
                        "slot": slot,
                        "stream": stream,
                        "text": text,
                    }
                )
                clock = time.strftime("%H:%M:%S", time.localtime(at))
                file.write(f"{clock} {node}/{slot} {stream}: {text}\n")
        if self._path.stat().st_size > FILE_BYTES:
            self._path.replace(self._path.with_suffix(".1.log"))
        news, self._news = self._news, asyncio.Event()
        news.set()

    def since(self, number: int) -> list[dict[str, Any]]:
        """Lines after this number, as far as they are kept."""
        return [line for line in self._lines if line["number"] > number]

    async def wait(self, number: int, seconds: float) -> list[dict[str, Any]]:
        """Lines after this number; waits for the next where there is none yet."""
        if not (found := self.since(number)) and seconds > 0:
            try:
                await asyncio.wait_for(self._news.wait(), seconds)
            except TimeoutError:
                return []
            found = self.since(number)
        return found
