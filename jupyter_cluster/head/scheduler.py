"""Dask's Scheduler as the head uses it: no HTTP server, and a role asked for at every door."""

from __future__ import annotations

from collections.abc import Callable
from inspect import isawaitable
from typing import Any

from distributed import Scheduler
from distributed.core import _expects_comm

from jupyter_cluster.trust import Role, require_role

# By itself Dask lets every certificate run any function in the scheduler's process. Of its
# handlers only membership is kept; clients come in by one handler of ours.
_AGENT_HANDLERS = ("register-worker", "heartbeat_worker", "unregister")
_AGENT_STREAM_HANDLERS = ("keep-alive", "log-event", "worker-status-change")


class HeadScheduler(Scheduler):  # type: ignore[misc]
    """A Dask Scheduler that keeps membership and streams and schedules no Dask tasks."""

    def __init__(self, on_client: Callable[..., Any], **options: Any) -> None:
        super().__init__(dashboard=False, extensions={}, **options)
        self.handlers = {name: guarded(self.handlers[name], Role.AGENT) for name in _AGENT_HANDLERS}
        self.handlers["jc-session"] = guarded(on_client, Role.CLIENT)
        self.stream_handlers = {name: self.stream_handlers[name] for name in _AGENT_STREAM_HANDLERS}

    def start_http_server(self, *_args: Any, **_kwargs: Any) -> None:
        """Dask would serve plain HTTP on all interfaces, even without a dashboard."""


def guarded(handler: Callable[..., Any], *roles: Role) -> Callable[..., Any]:
    """A handler of Dask's that asks for the caller's role first."""

    async def with_role(comm: Any, **arguments: Any) -> Any:
        require_role(comm.extra_info.get("peercert"), *roles)
        result = handler(comm, **arguments) if _expects_comm(handler) else handler(**arguments)
        return await result if isawaitable(result) else result

    return with_role
