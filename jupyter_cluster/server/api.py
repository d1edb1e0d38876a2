"""The routes below ``jupyter-cluster/api/``: JSON for who is logged in to the Jupyter server.

Changes need Jupyter's XSRF token, as its own do. An error is ``{"message": …}`` with the sentence
that the command line would print.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from functools import wraps
from pathlib import Path
from typing import Any, TypeVar, cast

from jupyter_server.auth.decorator import authorized
from jupyter_server.base.handlers import APIHandler
from pydantic import ValidationError
from pydantic_core import to_json
from tornado.iostream import StreamClosedError
from tornado.web import HTTPError, authenticated

from jupyter_cluster.client import actions
from jupyter_cluster.client.registry import find
from jupyter_cluster.errors import (
    ClusterError,
    ConfigError,
    ConnectionLostError,
    JobError,
    RegistryError,
    UsageError,
)
from jupyter_cluster.providers.base import HEAD_NODE
from jupyter_cluster.server import clusters, operations
from jupyter_cluster.server.answers import Event, Failure, LogLine, Said
from jupyter_cluster.server.following import Following
from jupyter_cluster.server.requests import Body, CheckRequest, ScaleRequest, UpRequest
from jupyter_cluster.server.workspace import file_of, folder_of, python_of
from jupyter_cluster.viewmodel.model import Overview

T = TypeVar("T")
B = TypeVar("B", bound=Body)

# A line without news, so that either side notices when the other has gone.
PING_SECONDS = 15.0
# The least time between two lines of the stream.
PAUSE_SECONDS = 0.5

# What waits for heads, clouds and disks; one that hangs must not hold up the others.
_threads = ThreadPoolExecutor(16, "jupyter_cluster api")

_STATUS: tuple[tuple[type[ClusterError], int], ...] = (
    (UsageError, 400),
    (ConfigError, 400),
    (RegistryError, 404),
    (JobError, 404),
    (operations.NoOperationError, 404),
    (ConnectionLostError, 503),
    (ClusterError, 409),
)


def route(method: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[None]]:
    """For who is logged in and may: what a method returns is the answer, what it raises the reason.

    None is an answer that the method has sent itself.
    """

    @authenticated
    @authorized
    @wraps(method)
    async def run(self: Handler, *args: Any, **kwargs: Any) -> None:
        try:
            answer = await method(self, *args, **kwargs)
        except ClusterError as error:
            self.set_status(next(code for kind, code in _STATUS if isinstance(error, kind)))
            answer = Failure(str(error))
        if answer is not None:
            self.finish(to_json(answer))

    return cast("Callable[..., Awaitable[None]]", run)


class Handler(APIHandler):
    """What all routes have in common."""

    auth_resource = "jupyter_cluster"

    def initialize(self, following: Following) -> None:
        """Take what the routes share."""
        self.following = following

    def write_error(self, status_code: int, **kwargs: Any) -> None:
        """A refusal of Jupyter's, or a fault of ours, which its log tells."""
        error = kwargs.get("exc_info", (None, None, None))[1]
        if isinstance(error, HTTPError):
            text = error.log_message or error.reason or self._reason
        else:
            text = (
                f"jupyter_cluster has failed there ({type(error).__name__}): the log of the Jupyter"
                " server says more"
            )
        self.finish(to_json(Failure(str(text))))

    def body(self, kind: type[B]) -> B:
        """The body of the request.

        Raises
        ------
        UsageError
            It is not what the route takes.
        """
        try:
            return kind.model_validate_json(self.request.body or b"{}")
        except ValidationError as error:
            first = error.errors(include_url=False, include_input=False)[0]
            where = ".".join(map(str, first["loc"])) or "the body"
            raise UsageError(f"{where}: {first['msg'].lower()}") from None

    def number(self, name: str) -> int:
        """A number of the query; 0 where it is not given."""
        text = self.get_query_argument(name, "0")
        if not (text.isascii() and text.isdecimal() and len(text) < 19):
            raise UsageError(f"{name} is a whole number from 0, not {text[:40]!r}")
        return int(text)

    def opened(self) -> list[str]:
        """The names of the clusters whose whole views are asked for."""
        names = self.get_query_argument("open", "").split(",")
        return list(dict.fromkeys(name for name in names if name))

    @staticmethod
    async def blocking(work: Callable[..., T], *args: Any) -> T:
        """Have something done on a thread."""
        return await asyncio.get_running_loop().run_in_executor(_threads, work, *args)


class Clusters(Handler):
    """All clusters: look at them, start one."""

    @route
    async def get(self) -> Overview:
        self._track_activity = False  # a side bar that is open is no work
        await self.following.ready()
        return self.following.overview(self.opened())

    @route
    async def post(self) -> Any:
        asked = self.body(UpRequest)
        file = None if asked.file is None else file_of(self.contents_manager, asked.file)
        config = await self.blocking(clusters.configuration, asked, file)
        python = await python_of(self.kernel_spec_manager, asked.kernel)
        line = await self.blocking(clusters.line_of, asked, file)
        folder = Path.home() if file is None else file.parent
        begun = await self.blocking(
            operations.begin, "up", config.cluster_name, line, python, folder
        )
        await self.following.look()
        self.set_status(202)
        return begun


class Plans(Handler):
    """What starting a cluster would do and cost."""

    @route
    async def post(self) -> Any:
        asked = self.body(UpRequest)
        file = None if asked.file is None else file_of(self.contents_manager, asked.file)
        config = await self.blocking(clusters.configuration, asked, file)
        return await self.blocking(clusters.plan, config)


class Cluster(Handler):
    """A cluster: look at it, end it."""

    @route
    async def get(self, name: str) -> Any:
        self._track_activity = False
        await self.following.ready()
        view = self.following.view(name)
        if view is None:
            await self.blocking(find, name)  # which says why it cannot be seen
            raise ConnectionLostError(f"the head of cluster {name!r} has not told anything yet")
        return view

    @route
    async def delete(self, name: str) -> Any:
        await self.blocking(clusters.known, name)
        python = await python_of(self.kernel_spec_manager, None)
        begun = await self.blocking(
            operations.begin, "down", name, [name, "-y"], python, Path.home()
        )
        await self.following.look()
        self.set_status(202)
        return begun


class Scale(Handler):
    """Limits of a cluster."""

    @route
    async def post(self, name: str) -> Said:
        asked = self.body(ScaleRequest)
        place = await self.blocking(find, name)
        limits = (asked.max_workers, asked.min_workers)
        return Said(await self.blocking(actions.scale, place, *limits))


class Job(Handler):
    """A job, to be cancelled."""

    @route
    async def delete(self, name: str, job: str) -> Said:
        place = await self.blocking(find, name)
        return Said(await self.blocking(actions.cancel, place, job))


class Logs(Handler):
    """What tasks have written."""

    @route
    async def get(self, name: str) -> list[LogLine]:
        node, job = (self.get_query_argument(key, "") or None for key in ("node", "job"))
        return await self.blocking(clusters.logs, name, node, job, self.number("since"))


class NodeLogs(Handler):
    """What setting up a node has written."""

    @route
    async def get(self, name: str, node: str) -> Any:
        return await self.blocking(clusters.node_log, name, node)


class Events(Handler):
    """The event log of a cluster."""

    @route
    async def get(self, name: str) -> list[Event]:
        return await self.blocking(clusters.events, name, self.number("since"))


class Bill(Handler):
    """What a cluster costs."""

    @route
    async def get(self, name: str) -> Any:
        return await self.blocking(clusters.bill, name)


class Figure(Handler):
    """The course of a cluster as a plotly figure."""

    @route
    async def get(self, name: str) -> Any:
        return await self.blocking(clusters.figure, name)


class Handoff(Handler):
    """Cells that use a cluster."""

    @route
    async def get(self, name: str) -> Any:
        return await self.blocking(clusters.handoff, name)


class Attach(Handler):
    """The line that opens a shell on a machine of a cluster."""

    @route
    async def get(self, name: str) -> Any:
        node = self.get_query_argument("node", HEAD_NODE)
        return await self.blocking(clusters.attach, name, node)


class Operation(Handler):
    """A start or an end that goes on, to be interrupted, or forgotten when it is over."""

    @route
    async def delete(self, name: str) -> Said:
        said = Said(await self.blocking(operations.interrupt, name))
        await self.following.look()
        return said


class Check(Handler):
    """Problems of a cluster YAML."""

    @route
    async def post(self) -> Any:
        from jupyter_cluster.server.yaml_marks import marks

        asked = self.body(CheckRequest)
        folder = folder_of(self.contents_manager, asked.path)
        return await self.blocking(marks, asked.text, Path(asked.path).name, folder)


class Stream(Handler):
    """What changes of all clusters, as server-sent events, until the browser goes."""

    _track_activity = False

    @route
    async def get(self) -> None:
        self.set_header("Content-Type", "text/event-stream")
        self.set_header("Cache-Control", "no-store")
        self.set_header("X-Accel-Buffering", "no")  # a proxy must not gather them
        with suppress(StreamClosedError):
            await self._tell(self.opened())

    async def _tell(self, opened: list[str]) -> None:
        await self.following.ready()
        sent: Overview | None = None
        while True:
            news = self.following.next_news()
            now = self.following.overview(opened)
            if (changed := difference(sent, now)) is not None:
                line = to_json(changed).decode()
                await self._send(f"data: {line}\n\n")
            sent = now
            await asyncio.sleep(PAUSE_SECONDS)
            try:
                await asyncio.wait_for(news.wait(), PING_SECONDS)
            except TimeoutError:
                await self._send(":\n\n")

    async def _send(self, text: str) -> None:
        self.write(text)
        await self.flush()


def difference(before: Overview | None, now: Overview) -> Overview | None:
    """What has changed of an overview, as one; None where nothing has."""
    if before is None:
        return now
    cards = {card.name: card for card in before.cards}
    views = {view.name: view for view in before.views}
    changed = replace(
        now,
        cards=[card for card in now.cards if cards.get(card.name) != card],
        views=[view for view in now.views if views.get(view.name) != view],
    )
    others = ("names", "summary", "operations")
    is_same = all(getattr(before, name) == getattr(now, name) for name in others)
    return None if is_same and not (changed.cards or changed.views) else changed


def routes(prefix: str) -> list[tuple[str, type[Handler], dict[str, Any]]]:
    """All routes below a prefix, which ends with a slash."""
    shared = {"following": Following()}
    one = r"clusters/(?P<name>[^/]+)"
    below = [
        ("clusters", Clusters),
        ("stream", Stream),
        ("plans", Plans),
        ("check", Check),
        (r"operations/(?P<name>[^/]+)", Operation),
        (one, Cluster),
        (f"{one}/scale", Scale),
        (f"{one}/jobs/(?P<job>[^/]+)", Job),
        (f"{one}/logs", Logs),
        (f"{one}/nodes/(?P<node>[^/]+)/log", NodeLogs),
        (f"{one}/events", Events),
        (f"{one}/bill", Bill),
        (f"{one}/figure", Figure),
        (f"{one}/handoff", Handoff),
        (f"{one}/attach", Attach),
    ]
    return [(f"{prefix}{path}", handler, shared) for path, handler in below]
