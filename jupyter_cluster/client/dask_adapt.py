"""A lease that grows and shrinks with the Dask tasks that it is given."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from itertools import count
from typing import TYPE_CHECKING, Any

from distributed.deploy.adaptive_core import AdaptiveCore
from tornado.ioloop import PeriodicCallback

from jupyter_cluster.background import Guard

if TYPE_CHECKING:
    from jupyter_cluster.client.refs import Ref

LOOK_MILLISECONDS = 500


class LeaseAdaption(AdaptiveCore):  # type: ignore[misc]
    """Asks the lease's scheduler how many workers its tasks are worth, and sees to it.

    How many and which is Dask's own judgement; what is hired here is a task of the cluster, which
    so counts in demand. Everything runs on the scheduler's event loop.

    Parameters
    ----------
    hire : callable
        Starts a worker of this name as a task of the cluster.
    dismiss : callable
        Ends that task.
    names : iterable of str
        Workers that are there from the beginning and stay.
    """

    def __init__(
        self,
        scheduler: Any,
        hire: Callable[[str], Ref],
        dismiss: Callable[[Ref], None],
        names: Iterable[str],
        maximum: int,
    ) -> None:
        self._scheduler, self._hire, self._dismiss = scheduler, hire, dismiss
        self._base = set(names)
        self._hired: dict[str, Ref] = {}
        self._numbers = count()
        super().__init__(minimum=len(self._base), maximum=maximum)
        self._guard = Guard("adapting a Dask lease to its tasks")
        self._ticks = PeriodicCallback(self._look, LOOK_MILLISECONDS)

    async def _look(self) -> None:
        with self._guard:  # said once; the next look may succeed
            await self.adapt()

    async def start(self) -> None:
        """Look from now on, again and again."""
        self._ticks.start()

    async def stop(self) -> None:
        """Look no more, and end what was hired."""
        self._ticks.stop()
        await self._end(list(self._hired))

    @property
    def plan(self) -> set[str]:
        """Names of the workers that should be there."""
        return self._base | set(self._hired)

    @property
    def requested(self) -> set[str]:
        """Names of the workers that the cluster was asked for."""
        return self.plan

    @property
    def observed(self) -> set[str]:
        """Names of the workers that have joined."""
        return {state.name for state in self._scheduler.workers.values()}

    async def target(self) -> int:
        """How many workers the open Dask tasks are worth."""
        return int(self._scheduler.adaptive_target())

    async def workers_to_close(self, target: int) -> list[str]:
        """Hired workers that do nothing and hold little."""
        idle = self._scheduler.workers_to_close(n=len(self.plan) - target, attribute="name")
        return [name for name in idle if name in self._hired]

    async def scale_up(self, n: int) -> None:
        """Hire until there are n."""
        for _ in range(n - len(self.plan)):
            name = f"hired-{next(self._numbers)}"
            self._hired[name] = await asyncio.to_thread(self._hire, name)

    async def scale_down(self, workers: Iterable[str]) -> None:
        """Move what they hold to others and let them go."""
        names = [name for name in workers if name in self._hired]
        await self._scheduler.retire_workers(names=names)
        await self._end(names)

    async def _end(self, names: list[str]) -> None:
        for name in names:
            await asyncio.to_thread(self._dismiss, self._hired.pop(name))
