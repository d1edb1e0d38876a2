"""What the head tells a client, taken into the channels of its jobs.

A message that cannot be read costs no more than what it is about: it is logged, its job says so to
who waits for it, and the others go on.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, get_origin, get_type_hints

from jupyter_cluster.background import describe
from jupyter_cluster.client.channel import JobChannel, Part
from jupyter_cluster.model import JobState
from jupyter_cluster.wire import MAX_TASKS, Block, Status

if TYPE_CHECKING:
    from jupyter_cluster.client.connection import Connection

logger = logging.getLogger("jupyter_cluster")

# How a result may have ended that the head passes on.
_ENDS = bytes([Status.OK, Status.ERROR, Status.STORED, Status.CANCELLED])
_STATES = frozenset(JobState)


class Incoming:
    """Takes messages of the head; all of it with the connection's condition held."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._channels = connection.channels
        self._unknown: set[str] = set()

    def take(self, messages: Any) -> None:
        """A batch of messages; what cannot be read of it is logged and left out."""
        if not isinstance(messages, (list, tuple)):
            logger.error("the head has sent a %s in place of messages", type(messages).__name__)
            return
        for message in messages:
            try:
                self._take(message)
            except Exception as error:
                self._cannot_be_read(message, error)

    def _take(self, message: Any) -> None:
        known = {**message}
        operation = known.pop("op")
        handler = _HANDLERS.get(operation)
        if handler is None:
            self._skip(str(operation)[:80])
            return
        handle, kinds = handler
        for name, kind in kinds.items():
            if type(known[name]) not in kind:
                raise TypeError(f"{name} is a {type(known[name]).__name__}")
        # A newer head may say more than this client asks for.
        handle(self, **{name: known[name] for name in kinds})

    def _skip(self, operation: str) -> None:
        if operation not in self._unknown:
            self._unknown.add(operation)
            logger.warning(
                "the head sends messages of kind %r, which this version of jupyter_cluster does not"
                " know: they are left out",
                operation,
            )

    def _cannot_be_read(self, message: Any, error: Exception) -> None:
        what = message.get("op") if isinstance(message, dict) else type(message).__name__
        problem = f"a message of the head ({str(what)[:80]}) cannot be read here: {describe(error)}"
        logger.error("%s", problem)
        job = message.get("job") if isinstance(message, dict) else None
        if isinstance(job, str) and (channel := self._channels.get(job)):
            channel.refuse(problem)

    # -- what the head says -------------------------------------------------------------------

    def _on_welcome(self, cluster: str) -> None:
        self._connection.welcomed()

    def _on_refused(self, text: str) -> None:
        self._connection.refused(text)

    def _on_taken(self, job: str, stop: int) -> None:
        if channel := self._channels.get(job):
            channel.taken(stop)

    def _on_results(self, job: str, node: str, statuses: bytes, block: Sequence[Any]) -> None:
        if channel := self._channels.get(job):
            unpacked = Block.unpack(block)
            if len(statuses) != len(unpacked) or statuses.strip(_ENDS):
                raise ValueError("its results do not fit their index")
            channel.outcomes.take(statuses, unpacked, node)
            if channel.dropped:
                gone = channel.dropped.intersection(range(unpacked.start, unpacked.stop))
                channel.dropped -= gone
                self._connection.free(sum(channel.outcomes.drop(index) for index in gone))

    def _on_ended(self, job: str, start: int, states: bytes) -> None:
        if channel := self._channels.get(job):
            _check_position(start, len(states))
            channel.outcomes.note(start, len(states))

    def _on_output(self, job: str, position: int, index: int, data: bytes) -> None:
        channel = self._channels.get(job)
        if channel is not None and position >= channel.next_output:
            channel.next_output = position + 1
            channel.outputs.append((index, data))

    def _on_job(self, info: dict[str, Any]) -> None:
        if channel := self._channels.get(info["id"]):
            if info["state"] not in _STATES or type(info["sealed"]) is not bool:
                raise ValueError("its state cannot be")
            _check_position(0, info["total"])
            channel.info = info

    def _on_problem(self, job: str, text: str) -> None:
        if channel := self._channels.get(job):
            self._end(channel, text)
        else:
            logger.warning("the head says: %s", text)

    def _on_deleted(self, job: str) -> None:
        if channel := self._channels.get(job):
            self._end(channel, f"job {channel.info.get('name', job)!r} was deleted")

    def _end(self, channel: JobChannel, problem: str) -> None:
        channel.refuse(problem)
        if channel.is_forgotten:
            self._connection.forget(channel)

    def _on_part(self, job: str, index: int, size: int, offset: int, data: bytes) -> None:
        if channel := self._channels.get(job):
            part = channel.parts.setdefault(index, Part(size))
            if offset == len(part.data):
                part.data += data

    def _on_gone(self, job: str, index: int, again: bool) -> None:
        if channel := self._channels.get(job):
            channel.parts.pop(index, None)
            channel.outcomes.reopen(index)
            if not again:
                channel.gone.add(index)


def _check_position(start: int, count: Any) -> None:
    if type(count) is not int or not 0 <= start <= start + count <= MAX_TASKS:
        raise ValueError(f"there can be no {count} tasks from {start} on")


def _kinds(handler: Callable[..., None]) -> dict[str, tuple[type, ...]]:
    """The types of what a handler takes, by name, from its signature."""
    hints = get_type_hints(handler)
    del hints["return"]
    return {name: _types(hint) for name, hint in hints.items()}


def _types(hint: Any) -> tuple[type, ...]:
    kind = get_origin(hint) or hint
    return (list, tuple) if kind is Sequence else (kind,)


_HANDLERS = {
    name.removeprefix("_on_"): (handler, _kinds(handler))
    for name, handler in vars(Incoming).items()
    if name.startswith("_on_")
}
