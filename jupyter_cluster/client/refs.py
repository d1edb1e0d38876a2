"""Refs: handles of results that are on their way."""

from __future__ import annotations

import asyncio
import pickle
from collections.abc import Generator
from typing import TYPE_CHECKING, Any

from jupyter_cluster.codec import load_error, note_ref, resolve_ref
from jupyter_cluster.errors import ResultLostError, TaskCancelledError
from jupyter_cluster.wire import Status

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
        ended = self._connection.channels[self.job].outcomes.has_ended(self.index)
        return f"<Ref {self.name}[{self.index}] {'ready' if ended else 'pending'}>"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Ref) and (other.job, other.index) == (self.job, self.index)

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
            outcomes = self._connection.channels[self.job].outcomes
            if outcomes.has_ended(self.index):
                future.set_result(None)
            else:
                outcomes.watch(self.index, loop, future)
        while not future.done():
            await asyncio.wait((future,), timeout=1.0)
            self._connection.raise_if_lost()
        return await asyncio.to_thread(value_of, self._connection, self.job, self.index, self.name)


class Failure:
    """Stands for the value of a task that has none."""

    __slots__ = ("error",)

    def __init__(self, error: BaseException) -> None:
        self.error = error


def value_of(
    connection: Connection, job: str, index: int, name: str, timeout: float | None = None
) -> Any:
    """The value of a task, waited for; its own exception where it raised one."""
    (value,) = values_of(connection, job, index, index + 1, name, timeout)
    if isinstance(value, Failure):
        raise value.error
    return value


def values_of(
    connection: Connection,
    job: str,
    start: int,
    stop: int,
    name: str,
    timeout: float | None = None,
) -> list[Any]:
    """The values of consecutive tasks, waited for; a `Failure` where a task has none."""
    with connection.changed:
        connection.fetch(job, start, stop, timeout)
        found = list(connection.channels[job].outcomes.find(start, stop))
    values: list[Any] = []
    for statuses, block, node in found:
        if not statuses.strip(b"\0"):  # all are Status.OK
            try:
                values += map(pickle.loads, block.items())
                continue
            except Exception:
                del values[block.start - start :]  # one of them cannot be read: find out which
        for index, (status, data) in enumerate(
            zip(statuses, block.items(), strict=True), block.start
        ):
            values.append(_value(connection, job, index, name, Status(status), data, node, timeout))
    return values


def _value(
    connection: Connection,
    job: str,
    index: int,
    name: str,
    status: Status,
    data: memoryview,
    node: str,
    timeout: float | None,
) -> Any:
    if status is Status.STORED:
        with connection.changed:
            data = memoryview(connection.read_stored(job, index, timeout))
        status = Status.OK
    if status is Status.OK:
        try:
            return pickle.loads(data)
        except Exception as error:
            text = f"the result of task {index} of job {name!r} cannot be read here: {error!r}"
            return Failure(ResultLostError(text, name, index, node))
    if status is Status.CANCELLED:
        text = f"task {index} of job {name!r} was cancelled"
        return Failure(TaskCancelledError(text, name, index, node))
    return Failure(load_error(data, name, index, node))
