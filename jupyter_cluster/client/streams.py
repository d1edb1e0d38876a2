"""The jobs that calls of remote functions are added to, from the first call to the last."""

from __future__ import annotations

import contextlib
import weakref
from collections.abc import Callable
from typing import TYPE_CHECKING

from jupyter_cluster.client.calls import CallStream
from jupyter_cluster.client.channel import Sending
from jupyter_cluster.errors import ClusterError

if TYPE_CHECKING:
    from jupyter_cluster.client.channel import JobChannel
    from jupyter_cluster.client.connection import Connection
    from jupyter_cluster.client.remote import RemoteFunction

# Calls of one function share a job; a new one is begun now and then, so that old ones can go.
MAX_CALLS = 100_000


class Stream:
    """One job of calls."""

    def __init__(self, connection: Connection, channel: JobChannel, modules: str) -> None:
        self.job = channel.job
        self.modules = modules
        self.calls = CallStream(connection, channel)
        self._connection = connection
        self._channel = channel

    def takes(self, modules: str) -> bool:
        """Whether another call may be added, with the modules as they are now."""
        return self.modules == modules and self.calls.count < MAX_CALLS and not self.is_refused

    @property
    def is_refused(self) -> bool:
        """Whether nothing more will come of its job."""
        return bool(self._channel.problem)

    def close(self) -> None:
        """No call will be added: seal the job once all of them have ended.

        Not before, since the head deletes a sealed job with its last ref, and with it what still
        runs; a call whose ref nobody keeps is to be run as well. The garbage collector may call
        this, so it takes no lock: the connection's thread sees to the rest.
        """
        if self.is_refused:
            return
        take = self._channel.outbox

        def take_or_seal() -> list[Sending] | None:
            sendings = take() if take else []
            if sendings == [] and self._channel.outcomes.ended >= self.calls.count:
                self._seal()
            return sendings

        self._channel.outbox = take_or_seal

    def _seal(self) -> None:
        self._channel.outbox = None
        self._channel.size = self.calls.count
        with contextlib.suppress(ClusterError):  # it was closed: the head drops what is left
            self._connection.send(op="seal", job=self.job)
            # Refs may all have been dropped before: has the head look whether any is left.
            self._connection.send(op="release", job=self.job, ranges=[])


class Streams:
    """The open job of each remote function with each of its options.

    Parameters
    ----------
    begin
        Opens a job for a function.
    """

    def __init__(self, begin: Callable[[RemoteFunction], Stream]) -> None:
        self._begin = begin
        self._open: weakref.WeakKeyDictionary[RemoteFunction, dict[str, Stream]]
        self._open = weakref.WeakKeyDictionary()

    def of(self, remote: RemoteFunction, modules: str) -> Stream:
        """The job that a call belongs to; a new one where the modules have changed."""
        streams = self._open.get(remote.origin)
        if streams is None:
            streams = self._open[remote.origin] = {}
            weakref.finalize(remote.origin, _close_all, streams).atexit = False
        stream = streams.get(remote.options_key)
        if stream is None or not stream.takes(modules):
            if stream is not None:
                stream.close()
            stream = streams[remote.options_key] = self._begin(remote)
        return stream

    def clear(self) -> None:
        """Forget all: the connection was closed, and its jobs go on without it."""
        for streams in self._open.values():
            streams.clear()


def _close_all(streams: dict[str, Stream]) -> None:
    for stream in streams.values():
        stream.close()
