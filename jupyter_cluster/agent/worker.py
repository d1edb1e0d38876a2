"""The agent's membership in the cluster: a Dask Worker that runs no Dask tasks.

Dask keeps the connection, its liveness and the stream of messages in both directions; the plugin
speaks over that stream. Whatever would execute something sent by a caller is taken out.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from distributed import Worker
from distributed.diagnostics.plugin import WorkerPlugin

from jupyter_cluster.agent import messages
from jupyter_cluster.background import Guard
from jupyter_cluster.dask_settings import Handlers, Server, StreamHandlers
from jupyter_cluster.errors import ClusterError
from jupyter_cluster.trust import Role

# What the head may still call on the worker's own port; all else of Dask's goes.
_KEPT_HANDLERS = ("identity", "ping", "terminate", "versions")
_KEPT_STREAM_HANDLERS = ("close", "worker-status-change", "remove-worker")


class AgentWorker(Server, Worker):  # type: ignore[misc]
    """A Dask Worker with no HTTP server and no way to run anything in the agent's process."""

    def __init__(self, address: str, **options: Any) -> None:
        # Not deserialized: the head's errors then arrive as texts, not as pickled exceptions.
        super().__init__(
            address, nthreads=1, memory_limit=0, dashboard=False, deserialize=False, **options
        )
        kept, self.handlers = self.handlers, Handlers()
        for name in _KEPT_HANDLERS:
            self.offer(name, kept[name])
        self.stream_handlers = StreamHandlers(
            {name: self.stream_handlers[name] for name in _KEPT_STREAM_HANDLERS}
        )

    def start_http_server(self, *_args: Any, **_kwargs: Any) -> None:
        """Dask would serve plain HTTP on all interfaces, even without a dashboard."""

    def offer(self, name: str, handler: Callable[..., Any]) -> None:
        """Let the head call this on the worker's own port."""
        self.handlers.offer(name, handler, Role.HEAD)


class AgentPlugin(WorkerPlugin):  # type: ignore[misc]
    """Connects the stream that Dask keeps with the agent."""

    name = "jupyter-cluster"

    def __init__(self, handlers: Mapping[str, Callable[..., None]]) -> None:
        self._handlers = handlers

    def setup(self, worker: AgentWorker) -> None:
        """Take the head's messages; send ours at once rather than every 2 ms."""
        for name, handler in self._handlers.items():
            worker.stream_handlers[name] = guarded(name, handler)
        worker.batched_stream.interval = 0


def guarded(name: str, handler: Callable[..., None]) -> Callable[..., None]:
    """What the head says in vain costs no more than itself: the stream with it goes on."""
    guard = Guard(f"a message of the head ({name})")

    def handle(**message: Any) -> None:
        with guard:
            try:
                messages.check(name, message)
            except ValueError as error:
                raise ClusterError(str(error)) from None
            handler(**message)

    return handle
