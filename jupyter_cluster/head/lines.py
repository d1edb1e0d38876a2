"""What user code has written: the newest lines in memory, all of them in a file that turns over.

A thread writes the file. While its disk is slower than what comes, lines are left out of it.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from jupyter_cluster.background import Guard

KEPT = 10_000
FILE_BYTES = 50_000_000
# So many characters wait for the disk at most.
WAITING = 16_000_000


class Lines:
    """Numbered lines with their node, job, slot and stream."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lines: deque[dict[str, Any]] = deque(maxlen=KEPT)
        self._number = 0
        self._news = asyncio.Event()
        self._loop = asyncio.get_running_loop()
        self._thread = ThreadPoolExecutor(1, "lines")
        self._writing = Guard(f"writing {path}")
        self._waiting = self._left_out = 0

    def add(self, node: str, rows: list[list[Any]]) -> None:
        """Take the lines of a node."""
        texts = []
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
            texts.append(f"{clock} {node}/{slot} {stream}: {text}\n")
        self._begin_writing(texts)
        news, self._news = self._news, asyncio.Event()
        news.set()

    def _begin_writing(self, texts: list[str]) -> None:
        if self._waiting > WAITING:
            self._left_out += len(texts)
            return
        if self._left_out:
            texts.insert(0, f"[{self._left_out} lines were left out: the disk was too slow]\n")
            self._left_out = 0
        text = "".join(texts)
        self._waiting += len(text)
        writing = self._loop.run_in_executor(self._thread, self._write, text)
        writing.add_done_callback(lambda _done: self._on_written(len(text)))

    def _on_written(self, size: int) -> None:
        self._waiting -= size

    def _write(self, text: str) -> None:
        with self._writing:
            with self._path.open("a", encoding="utf-8", errors="backslashreplace") as file:
                file.write(text)
                size = file.tell()
            if size > FILE_BYTES:
                self._path.replace(self._path.with_suffix(".1.log"))

    def close(self) -> None:
        """Write what waits."""
        self._thread.shutdown()

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
