"""Ends nodes with their provider: many in one call, and again until it has succeeded."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from jupyter_cluster.background import Guard, describe, start_task
from jupyter_cluster.providers.base import Provider

# Nodes that end within so long are ended by one call: a cluster shrinks by many at a time.
GATHER_SECONDS = 0.05
FIRST_PAUSE, LONGEST_PAUSE = 0.5, 30.0


class Ender:
    """Gathers what is to be ended.

    Parameters
    ----------
    log
        Takes a kind and a sentence, for the diary.
    """

    def __init__(self, provider: Provider, log: Callable[[str, str], None]) -> None:
        self._provider, self._log = provider, log
        self._waiting: dict[str, asyncio.Future[None]] = {}

    async def end(self, node: str) -> None:
        """End a node; returns when its provider has taken it."""
        if node not in self._waiting:
            if not self._waiting:
                start_task("ending nodes", self._end_all())
            self._waiting[node] = asyncio.get_running_loop().create_future()
        await self._waiting[node]

    async def _end_all(self) -> None:
        await asyncio.sleep(GATHER_SECONDS)
        batch, self._waiting = self._waiting, {}
        names = ", ".join(batch) if len(batch) < 4 else f"{len(batch)} nodes"

        def tell(error: BaseException) -> None:
            self._log("error", f"{names} could not be ended, trying again: {describe(error)}")

        # Whatever a provider raises: a node that is given up here would cost for ever.
        guard, pause = Guard(f"ending {names}", tell), FIRST_PAUSE
        while True:
            with guard:
                await asyncio.to_thread(self._provider.terminate, list(batch))
            if not guard.problem:
                break
            await asyncio.sleep(pause)
            pause = min(LONGEST_PAUSE, pause * 2)
        for future in batch.values():
            if not future.done():
                future.set_result(None)
