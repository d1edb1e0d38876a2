"""The cluster's diary: decisions with their reasons, nodes coming and going, failures."""

from __future__ import annotations

import asyncio
import time
from collections import deque

from jupyter_cluster.head.journal import Journal
from jupyter_cluster.model import Event

KEPT = 2000


class Diary:
    """Numbered events, the newest in memory, all in the journal; readers can wait for more."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        rows = journal.read(
            "SELECT number, time, kind, text FROM events ORDER BY number DESC LIMIT ?", KEPT
        )
        self._events = deque((Event(*row) for row in reversed(rows)), maxlen=KEPT)
        self._number = self._events[-1].number if self._events else 0
        self._news = asyncio.Event()

    def add(self, kind: str, text: str) -> None:
        """Write an event down."""
        self._number += 1
        event = Event(self._number, time.time(), kind, text)
        self._events.append(event)
        self._journal.execute(
            "INSERT INTO events VALUES (?, ?, ?, ?)", event.number, event.time, kind, text
        )
        news, self._news = self._news, asyncio.Event()
        news.set()

    def since(self, number: int) -> list[Event]:
        """Events after the one with this number, as far as they are kept."""
        return [event for event in self._events if event.number > number]

    async def wait(self, number: int, seconds: float) -> list[Event]:
        """Events after this one; waits for the next where there is none yet."""
        if not (found := self.since(number)):
            try:
                await asyncio.wait_for(self._news.wait(), seconds)
            except TimeoutError:
                return []
            found = self.since(number)
        return found
