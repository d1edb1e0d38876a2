"""Reading results: here already, pushed by the head, fetched from it, or large and in parts."""

from __future__ import annotations

import pickle
from typing import Any

from jupyter_cluster.client.channel import JobChannel
from jupyter_cluster.client.connection import Connection
from jupyter_cluster.codec import is_interrupt, load_value
from jupyter_cluster.described import sentence_of
from jupyter_cluster.errors import (
    JobError,
    ResultLostError,
    SerializationError,
    TaskCancelledError,
)
from jupyter_cluster.raised import load_error
from jupyter_cluster.wire import Block, Status, spans

# How long to wait before asking again for a large result that its node no longer hands over.
_NOTICE_SECONDS = 0.1


class Failure:
    """Stands for the value of a task that has none."""

    __slots__ = ("error",)

    def __init__(self, error: BaseException) -> None:
        self.error = error


def value_of(
    connection: Connection, job: str, index: int, name: str, timeout: float | None = None
) -> Any:
    """The value of a task, waited for; its own exception where it raised one."""
    values = values_of(connection, job, index, index + 1, name, timeout)
    raise_first(values)
    return values[0]


def raise_first(values: list[Any]) -> None:
    """Raise the exception of the first task that has no value."""
    for value in values:
        if type(value) is Failure:  # a value of the user's may lie about its class
            raise value.error


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
        bring(connection, job, start, stop, timeout)
        found = list(connection.channel(job).outcomes.find(start, stop))
    values: list[Any] = []
    for statuses, block, node in found:
        if not statuses.strip(b"\0"):  # all are Status.OK
            values += _unpickled(block, name, node)
            continue
        for index, (status, data) in enumerate(
            zip(statuses, block.items(), strict=True), block.start
        ):
            values.append(_value(connection, job, index, name, Status(status), data, node, timeout))
    return values


def _unpickled(block: Block, name: str, node: str) -> list[Any]:
    """The values of a block; a `Failure` in the place of each that cannot be read."""
    values: list[Any] = []
    for index, item in enumerate(block.items(), block.start):
        try:
            values.append(pickle.loads(item))
        except BaseException as error:
            if is_interrupt(error, item):
                raise
            values.append(_unreadable(name, index, node, sentence_of(error)))
    return values


def _unreadable(name: str, index: int, node: str, why: str) -> Failure:
    text = f"the result of task {index} of job {name!r} cannot be read here: {why}"
    return Failure(ResultLostError(text, name, index, node))


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
            data = memoryview(_read_stored(connection, job, index, timeout))
        status = Status.OK
    if status is Status.OK:
        try:
            return load_value(data)
        except SerializationError as error:
            return _unreadable(name, index, node, str(error))
    if status is Status.CANCELLED:
        text = f"task {index} of job {name!r} was cancelled"
        return Failure(TaskCancelledError(text, name, index, node))
    return Failure(load_error(data, name, index, node))


def forget(connection: Connection, job: str, start: int, stop: int) -> None:
    """Results were read: they need not be kept here, and others may come."""
    with connection.changed:
        freed = connection.channel(job).outcomes.forget(start, stop)
    if freed:
        connection.send(op="credit", size=freed)


def bring(connection: Connection, job: str, start: int, stop: int, timeout: float | None) -> None:
    """Have the results of a range here; with the condition held."""
    channel = connection.channel(job)
    asked: set[int] = set()
    connections = connection.connections

    def are_here() -> bool:
        nonlocal connections
        if connections != connection.connections:  # what was asked for went with the old one
            connections = connection.connections
            asked.clear()
        missing = channel.outcomes.not_here(start, stop)
        if missing:
            channel.raise_if_refused()
        _ask(connection, channel, [i for i in missing if i not in asked], asked)
        return not missing

    connection.wait_until(are_here, timeout, "not all results are there")


def _ask(connection: Connection, channel: JobChannel, missing: list[int], asked: set[int]) -> None:
    """Ask for results that have ended and were not pushed, once each."""
    ended = [index for index in missing if channel.outcomes.has_ended(index)]
    if ended:
        asked.update(ended)
        connection.send(op="fetch", job=channel.job, ranges=[list(s) for s in spans(ended)])


def _read_stored(connection: Connection, job: str, index: int, timeout: float | None) -> bytes:
    """A large result, in full; with the condition held."""
    while (data := _read_parts(connection, job, index, timeout)) is None:
        # It went with its node and is computed again, or will be once the head has noticed.
        connection.changed.wait(_NOTICE_SECONDS)
        bring(connection, job, index, index + 1, timeout)
        ((statuses, block, _node),) = connection.channel(job).outcomes.find(index, index + 1)
        if statuses[0] != Status.STORED:  # the new one may be small
            return block.data
    return data


def _read_parts(
    connection: Connection, job: str, index: int, timeout: float | None
) -> bytes | None:
    """The parts of a large result; None where it is gone and computed again."""
    channel = connection.channel(job)
    connections = 0

    def is_settled() -> bool:
        nonlocal connections
        if connections != connection.connections:
            connections = connection.connections
            channel.parts.pop(index, None)
            connection.send(op="fetch_stored", job=job, index=index)
        channel.raise_if_refused()
        if index in channel.gone:
            raise JobError(f"result {index} of job {job} was dropped")
        part = channel.parts.get(index)
        is_here = channel.outcomes.is_here(index)
        return not is_here or (part is not None and len(part.data) >= part.size)

    connection.wait_until(is_settled, timeout, "a large result is not there")
    return bytes(channel.parts.pop(index).data) if index in channel.parts else None
