"""The agent's membership in the cluster: a Dask Worker that runs no Dask tasks.

Dask keeps the connection, its liveness and the stream of messages in both directions; the plugin
speaks over that stream. Whatever would execute something sent by a caller is taken out.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from inspect import isawaitable
from typing import Any

from distributed import Worker
from distributed.core import _expects_comm
from distributed.diagnostics.plugin import WorkerPlugin

from jupyter_cluster.trust import Role, require_role

# What the head may still call on the worker's own port; all else of Dask's goes.
_KEPT_HANDLERS = ("identity", "ping", "terminate", "versions")
_KEPT_STREAM_HANDLERS = ("close", "worker-status-change", "remove-worker")


class AgentWorker(Worker):  # type: ignore[misc]
    """A Dask Worker with no HTTP server and no way to run anything in the agent's process."""

    def __init__(self, address: str, **options: Any) -> None:
        # Not deserialized: the head's errors then arrive as texts, not as pickled exceptions.
        super().__init__(
            address, nthreads=1, memory_limit=0, dashboard=False, deserialize=False, **options
        )
        self.handlers = {name: _for_the_head(self.handlers[name]) for name in _KEPT_HANDLERS}
        self.stream_handlers = {name: self.stream_handlers[name] for name in _KEPT_STREAM_HANDLERS}

    def start_http_server(self, *_args: Any, **_kwargs: Any) -> None:
        """Dask would serve plain HTTP on all interfaces, even without a dashboard."""

    def offer(self, name: str, handler: Callable[..., Any]) -> None:
        """Let the head call this on the worker's own port."""
        self.handlers[name] = _for_the_head(handler)


class AgentPlugin(WorkerPlugin):  # type: ignore[misc]
    """Connects the stream that Dask keeps with the agent."""

    name = "jupyter-cluster"

    def __init__(self, handlers: Mapping[str, Callable[..., None]]) -> None:
        self._handlers = handlers

    def setup(self, worker: AgentWorker) -> None:
        """Take the head's messages; send ours at once rather than every 2 ms."""
        worker.stream_handlers.update(self._handlers)
        worker.batched_stream.interval = 0


def _for_the_head(handler: Callable[..., Any]) -> Callable[..., Any]:
    async def guarded(comm: Any, **arguments: Any) -> Any:
        require_role(comm.extra_info.get("peercert"), Role.HEAD)
        result = handler(comm, **arguments) if _expects_comm(handler) else handler(**arguments)
        return await result if isawaitable(result) else result

    return guarded
