"""Dask's Scheduler as the head uses it: no HTTP server, and a role asked for at every door."""

from __future__ import annotations

import logging
from collections.abc import Callable
from time import time
from typing import Any

from distributed import Scheduler

from jupyter_cluster.background import describe
from jupyter_cluster.dask_settings import Handlers, Server, StreamHandlers
from jupyter_cluster.head import messages
from jupyter_cluster.trust import Role

logger = logging.getLogger("jupyter_cluster.head")

# By itself Dask lets every certificate run any function in the scheduler's process. Of its
# handlers only membership is kept; clients come in by one handler of ours.
_AGENT_HANDLERS = ("register-worker", "heartbeat_worker", "unregister")
_AGENT_STREAM_HANDLERS = ("keep-alive", "log-event", "worker-status-change")


class HeadScheduler(Server, Scheduler):  # type: ignore[misc]
    """A Dask Scheduler that keeps membership and streams and schedules no Dask tasks."""

    def __init__(self, on_client: Callable[..., Any], **options: Any) -> None:
        super().__init__(dashboard=False, extensions={}, **options)
        kept, self.handlers = self.handlers, Handlers()
        for name in _AGENT_HANDLERS:
            self.handlers.offer(name, kept[name], Role.AGENT)
        self.handlers.offer("jc-session", on_client, Role.CLIENT)
        self.stream_handlers = StreamHandlers(
            {name: self.stream_handlers[name] for name in _AGENT_STREAM_HANDLERS}
        )

    def start_http_server(self, *_args: Any, **_kwargs: Any) -> None:
        """Dask would serve plain HTTP on all interfaces, even without a dashboard."""

    async def add_worker(self, comm: Any, **message: Any) -> None:
        """Let an agent in, or tell it why not. Dask writes down half of one whose message lacks
        something, and fails at that half once a minute from then on."""
        try:
            messages.check("register-worker", message)
        except ValueError as error:
            logger.info("%s was not let in as an agent: %s", comm.peer_address, error)
            await comm.write({"status": "error", "message": str(error), "time": time()})
            return
        await super().add_worker(comm, **message)

    def heartbeat_worker(self, **message: Any) -> Any:
        """Hear from an agent; raises ValueError where its message lacks something."""
        messages.check("heartbeat_worker", message)
        return super().heartbeat_worker(**message)

    async def handle_stream(self, comm: Any, extra: dict[str, Any] | None = None) -> None:
        """Follow a node's stream; nonsense on it ends the stream, and the node makes a new one."""
        try:
            await super().handle_stream(comm, extra)
        except Exception as error:
            logger.warning("the stream of %s was closed: %s", comm.peer_address, describe(error))
