"""Refs: handles of results that are on their way."""

from __future__ import annotations

import asyncio
from collections.abc import Generator
from typing import TYPE_CHECKING, Any

from jupyter_cluster.client.reading import raise_first, values_of
from jupyter_cluster.codec import note_ref, resolve_ref

if TYPE_CHECKING:
    from jupyter_cluster.client.connection import Connection


class Ref:
    """The result of one call; `jc.get(ref)` or ``await ref`` gives its value.

    As an argument of another call it is replaced by its value, there where the call runs. The
    result is kept until the last ref to it is gone.
    """

    __slots__ = ("__weakref__", "_connection", "_held", "index", "job", "name")

    def __init__(
        self, connection: Connection, job: str, index: int, name: str, held: Any = None
    ) -> None:
        self._connection = connection
        self._held = held  # refs among the arguments live as long as this one
        self.job = job
        self.index = index
        self.name = name

    @property
    def key(self) -> str:
        """Its identity in the cluster."""
        return f"{self.job}:{self.index}"

    def __repr__(self) -> str:
        channel = self._connection.channels.get(self.job)
        ended = channel is None or channel.has_ended(self.index)
        return f"<Ref {self.name}[{self.index}] {'ready' if ended else 'pending'}>"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Ref) and (other.job, other.index) == (self.job, self.index)

    if not TYPE_CHECKING:

        def __getattr__(self, name: str) -> Any:
            raise AttributeError(
                f"a ref has no {name!r}: jc.get(ref) gives the value that it stands for. Actors,"
                " whose methods run on the cluster, are not supported"
            )

    def __hash__(self) -> int:
        return hash((self.job, self.index))

    def __reduce__(self) -> tuple[Any, ...]:
        note_ref(self.key)
        return resolve_ref, (self.key,)

    def __del__(self) -> None:
        self._connection.release(self.job, self.index)

    def __await__(self) -> Generator[Any, None, Any]:
        return self._wait().__await__()

    async def _wait(self) -> Any:
        loop = asyncio.get_running_loop()
        future: asyncio.Future[None] = loop.create_future()
        with self._connection.changed:
            channel = self._connection.channel(self.job)
            if channel.has_ended(self.index):
                future.set_result(None)
            else:
                channel.outcomes.watch(self.index, loop, future)
        while not future.done():
            await asyncio.wait((future,), timeout=1.0)
            self._connection.raise_if_lost()
        # What the task raised comes as a value: asyncio takes some exceptions for its own.
        values = await asyncio.to_thread(
            values_of, self._connection, self.job, self.index, self.index + 1, self.name
        )
        raise_first(values)
        return values[0]
