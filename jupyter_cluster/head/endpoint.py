"""Status and control over HTTPS with mutual TLS: JSON that a terminal or a server can read.

Versioned and independent of Dask: whoever holds a client's certificate needs nothing but HTTP.
"""

from __future__ import annotations

import asyncio
import json
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from tornado.iostream import StreamClosedError
from tornado.netutil import bind_sockets
from tornado.web import Application, HTTPError, RequestHandler

from jupyter_cluster.doors import Door, SecureServer
from jupyter_cluster.errors import ClusterError, JobError
from jupyter_cluster.head.asked import (
    Asked,
    EndWorkers,
    Follow,
    News,
    Nothing,
    Scale,
    Since,
    read_body,
    read_query,
)
from jupyter_cluster.trust import Role, require_role

if TYPE_CHECKING:
    import ssl

    from jupyter_cluster.head.service import Head

MAX_WAIT_SECONDS = 30.0
# What callers say is a few numbers and names. More is refused with a sentence, and far more is not
# read at all.
# For whoever waits for news while a head ends: as good as no answer.
ENDING = int(HTTPStatus.SERVICE_UNAVAILABLE)
MAX_BODY_BYTES, MAX_READ_BYTES = 1_000_000, 16_000_000
# The stream tells no more often than this.
MIN_PAUSE_SECONDS = 0.2


class _Handler(RequestHandler):  # type: ignore[misc]
    """Asks for a client's certificate; what is asked is checked before it is done.

    Errors are a sentence in JSON, of the caller's making 4xx.

    Attributes
    ----------
    query, body : type
        What a caller may ask with a GET, and with anything else.
    """

    query: type[Asked] = Nothing
    body: type[Asked] = Nothing

    def initialize(self, head: Head) -> None:
        self.cluster = head

    def prepare(self) -> None:
        try:
            require_role(self.request.get_ssl_certificate(), Role.CLIENT)
        except PermissionError as error:
            self.reply({"error": str(error)}, 403)
            self.finish()
            return
        if len(self.request.body) > MAX_BODY_BYTES:
            raise ClusterError(f"a body has at most {MAX_BODY_BYTES} bytes")
        is_get = self.request.method == "GET"
        query = read_query(self.query if is_get else Nothing, self.request.query_arguments)
        self.asked: Any = query if is_get else read_body(self.body, self.request.body)

    def reply(self, value: Any, status: int = 200) -> None:
        self.set_status(status)
        self.set_header("Content-Type", "application/json")
        self.write(json.dumps(value))

    def write_error(self, status_code: int, **kwargs: Any) -> None:
        error = kwargs.get("exc_info", (None, None))[1]
        text = f"the head failed: {error!r}"
        if (
            error is None
        ):  # Tornado says so of a handler that was cancelled, as a head does that ends
            status_code, text = ENDING, "the head is ending"
        elif isinstance(error, ClusterError):
            status_code, text = 404 if isinstance(error, JobError) else 400, str(error)
        elif isinstance(error, HTTPError):
            text = f"{self.request.method} {self.request.path}: {self._reason}"
        self.reply({"error": text}, status_code)

    def log_exception(self, *exc_info: Any) -> None:
        if not isinstance(exc_info[1], ClusterError | HTTPError):
            super().log_exception(*exc_info)


class _Unknown(_Handler):
    def prepare(self) -> None:
        super().prepare()
        if not self._finished:
            self.reply({"error": f"there is no {self.request.path}"}, 404)
            self.finish()


class _Status(_Handler):
    def get(self) -> None:
        self.reply(self.cluster.report.status())


class _Nodes(_Handler):
    def get(self) -> None:
        self.reply(self.cluster.report.nodes())


class _NodeLog(_Handler):
    async def get(self, name: str) -> None:
        self.reply({"text": await asyncio.to_thread(self.cluster.report.setup_log, name)})


class _JobList(_Handler):
    def get(self) -> None:
        self.reply(self.cluster.report.job_list())


class _Job(_Handler):
    def get(self, name: str) -> None:
        self.reply(self.cluster.report.job_info(self.cluster.report.find_job(name)))

    def delete(self, name: str) -> None:
        self.cluster.jobs.delete(self.cluster.report.find_job(name))
        self.reply({})


class _Series(_Handler):
    def get(self, name: str) -> None:
        self.reply(self.cluster.metrics.series(self.cluster.report.find_job(name)))


class _Cancel(_Handler):
    def post(self, name: str) -> None:
        job = self.cluster.report.find_job(name)
        self.cluster.jobs.cancel(job, None)
        self.reply(self.cluster.report.job_info(job))


class _Waiting(_Handler):
    def get(self, name: str) -> None:
        self.reply({"text": self.cluster.report.why_waiting(self.cluster.report.find_job(name))})


class _CellSessions(_Handler):
    def get(self) -> None:
        self.reply(self.cluster.cell_sessions.rows())


class _CellSession(_Handler):
    def delete(self, name: str) -> None:
        self.cluster.end_session(name, "somebody has ended it")
        self.reply({})


class _Events(_Handler):
    query = News

    async def get(self) -> None:
        seconds = min(MAX_WAIT_SECONDS, self.asked.wait)
        events = await self.cluster.diary.wait(int(self.asked.since), seconds)
        self.reply([event.as_dict() for event in events])


class _Logs(_Handler):
    query = News

    async def get(self) -> None:
        seconds = min(MAX_WAIT_SECONDS, self.asked.wait)
        self.reply(await self.cluster.lines.wait(int(self.asked.since), seconds))


class _ClusterSeries(_Handler):
    query = Since

    def get(self) -> None:
        self.reply(list(self.cluster.cluster_metrics.since(self.asked.since)))


class _Stages(_Handler):
    def get(self) -> None:
        self.reply(self.cluster.fleet.stages())


class _Durations(_Handler):
    def get(self, name: str) -> None:
        self.reply(self.cluster.report.find_job(name).durations.rows())


class _AllDurations(_Handler):
    """Of all jobs at once: who draws the cluster need not ask for each."""

    def get(self) -> None:
        jobs = self.cluster.jobs.by_id.values()
        self.reply([row for job in jobs for row in job.durations.rows()])


class _Stream(_Handler):
    """The status, line by line, with what is new among events and samples: for who watches."""

    query = Follow

    async def get(self) -> None:
        event, moment = int(self.asked.event), self.asked.sample
        pause = max(MIN_PAUSE_SECONDS, min(MAX_WAIT_SECONDS, self.asked.pause))
        self.set_header("Content-Type", "application/x-ndjson")
        try:
            while True:
                events = [one.as_dict() for one in self.cluster.diary.since(event)]
                samples = list(self.cluster.cluster_metrics.since(moment))
                event = events[-1]["number"] if events else event
                moment = samples[-1]["time"] if samples else moment
                news = {
                    "status": self.cluster.report.status(),
                    "events": events,
                    "samples": samples,
                }
                self.write(json.dumps(news) + "\n")
                await self.flush()
                await asyncio.sleep(pause)
        except StreamClosedError:
            pass  # who watched has gone


class _Cost(_Handler):
    def get(self) -> None:
        self.reply(self.cluster.fleet.cost())


class _Scale(_Handler):
    body = Scale

    def post(self) -> None:
        self.reply(self.cluster.scale(self.asked))


class _EndWorkers(_Handler):
    body = EndWorkers

    def post(self) -> None:
        self.reply({"ended": self.cluster.end_workers(self.asked.keep_min)})


class _Down(_Handler):
    def post(self) -> None:
        self.cluster.end("a client has ended the cluster", keeps_results=False)
        self.reply({})


_ROUTES = (
    (r"/v1/status", _Status),
    (r"/v1/nodes", _Nodes),
    (r"/v1/nodes/([^/]+)/log", _NodeLog),
    (r"/v1/jobs", _JobList),
    (r"/v1/jobs/([^/]+)", _Job),
    (r"/v1/jobs/([^/]+)/series", _Series),
    (r"/v1/jobs/([^/]+)/cancel", _Cancel),
    (r"/v1/jobs/([^/]+)/waiting", _Waiting),
    (r"/v1/sessions", _CellSessions),
    (r"/v1/sessions/([^/]+)", _CellSession),
    (r"/v1/jobs/([^/]+)/durations", _Durations),
    (r"/v1/durations", _AllDurations),
    (r"/v1/series", _ClusterSeries),
    (r"/v1/stages", _Stages),
    (r"/v1/stream", _Stream),
    (r"/v1/events", _Events),
    (r"/v1/logs", _Logs),
    (r"/v1/cost", _Cost),
    (r"/v1/scale", _Scale),
    (r"/v1/end-workers", _EndWorkers),
    (r"/v1/down", _Down),
)


def serve(head: Head, address: str, port: int, context: ssl.SSLContext) -> tuple[SecureServer, int]:
    """Listen; returns the server and its port."""
    routes = [(pattern, handler, {"head": head}) for pattern, handler in _ROUTES]
    application = Application(
        routes,
        default_handler_class=_Unknown,
        default_handler_args={"head": head},
        log_function=lambda _handler: None,
    )
    server = SecureServer(
        application,
        door=Door("the endpoint"),
        ssl_options=context,
        max_body_size=MAX_READ_BYTES,
    )
    sockets = bind_sockets(port, address)
    server.add_sockets(sockets)
    return server, sockets[0].getsockname()[1]
