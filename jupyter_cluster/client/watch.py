"""Following a cluster: one connection that tells its status line by line, made again when lost.

What a panel, a side bar or a terminal shows is drawn from a `Watch`. It needs no Dask, and does
not count as activity: a cluster that is only watched ends itself all the same.
"""

from __future__ import annotations

import http.client
import json
import ssl
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any
from urllib.parse import urlencode, urlsplit

from jupyter_cluster.background import Guard, describe, start_thread
from jupyter_cluster.client.absence import Absence
from jupyter_cluster.client.endpoint import Endpoint
from jupyter_cluster.client.registry import Entry
from jupyter_cluster.client.tunnel import address_of, why_closed
from jupyter_cluster.errors import ClusterError
from jupyter_cluster.trust import Role, client_context, require_role

# No line for this long: the connection is lost, whatever the network says.
SILENCE_SECONDS = 8.0
FIRST_RETRY_SECONDS, LAST_RETRY_SECONDS = 0.3, 5.0
KEPT_EVENTS, KEPT_SAMPLES = 500, 3600
# Bytes of an answer that says why there is no news.
MAX_REFUSAL = 10_000


class Contact(StrEnum):
    """How a watch stands with its cluster."""

    CONNECTING = "connecting"
    CONNECTED = "connected"
    LOST = "lost"
    ENDED = "ended"


@dataclass
class View:
    """A cluster as it was told last.

    Attributes
    ----------
    status : dict
        Empty until the first line has come.
    events, samples : deque of dict
        The newest, oldest first.
    since : float
        When the contact became what it is (Unix time); of a lost one, when it was last heard of.
    problem : str
        Why there is no contact, for people.
    """

    contact: Contact = Contact.CONNECTING
    since: float = field(default_factory=time.time)
    problem: str = ""
    status: dict[str, Any] = field(default_factory=dict)
    events: deque[dict[str, Any]] = field(default_factory=lambda: deque(maxlen=KEPT_EVENTS))
    samples: deque[dict[str, Any]] = field(default_factory=lambda: deque(maxlen=KEPT_SAMPLES))


class Watch:
    """Follows a cluster on a thread of its own.

    Parameters
    ----------
    on_change
        Called on that thread whenever the view has changed; what it raises is logged.
    pause
        Seconds between two lines.
    """

    def __init__(self, entry: Entry, on_change: Callable[[View], None], pause: float = 1.0) -> None:
        self.view = View()
        self._entry = entry
        self._on_change = on_change
        self._pause = pause
        self._closed = threading.Event()
        self._heard = time.time()
        self._absence = Absence(entry)
        self._taking = threading.Lock()
        self._connection: http.client.HTTPSConnection | None = None
        self._guard = Guard(f"following cluster {entry.name!r}")
        self._telling = Guard(f"showing cluster {entry.name!r}")

    def start(self) -> None:
        """Begin to follow."""
        start_thread(f"watch of {self._entry.name}", self._run, self._has_died)

    def close(self) -> None:
        """Follow no longer."""
        self._closed.set()
        if (connection := self._connection) is not None and connection.sock is not None:
            try:
                connection.sock.shutdown(2)  # wakes the thread
            except OSError:
                pass

    @property
    def is_closed(self) -> bool:
        """Whether it follows no longer."""
        return self._closed.is_set() or self.view.contact is Contact.ENDED

    def _run(self) -> None:
        retry = FIRST_RETRY_SECONDS
        while not self._closed.is_set():
            problem = self._follow_until_lost()
            if self.view.contact is Contact.CONNECTED:
                retry = FIRST_RETRY_SECONDS
            self._lost(problem)
            if self.view.contact is Contact.ENDED:
                return
            self._closed.wait(retry)
            retry = min(LAST_RETRY_SECONDS, retry * 1.7)

    def _follow_until_lost(self) -> str:
        """Follow; why that has ended. What is no fault of the network is logged too."""
        with self._guard:
            try:
                self._follow()
            except (OSError, http.client.HTTPException, ClusterError) as error:
                return why_closed(self._entry) or str(error) or type(error).__name__
        return self._guard.problem

    def _lost(self, problem: str) -> None:
        reason = ""
        with Guard(f"asking whether {self._entry.name!r} comes back"):
            reason = self._absence.why_for_good()
        if reason:
            self.view.status = without_nodes(self.view.status)
            self._turn(Contact.ENDED, reason)
        else:
            self._turn(Contact.LOST, problem, self._heard)

    def _has_died(self, error: BaseException) -> None:
        self._turn(Contact.ENDED, f"it is followed no longer, since that failed: {describe(error)}")

    def _turn(self, contact: Contact, problem: str = "", since: float | None = None) -> None:
        if contact is not self.view.contact:
            self.view.contact, self.view.since = contact, since or time.time()
        self.view.problem = problem
        if not self._closed.is_set():
            with self._telling:
                self._on_change(self.view)

    def _follow(self) -> None:
        """Read lines until the connection is lost.

        Raises
        ------
        OSError, http.client.HTTPException
            It was lost, or could not be made.
        ClusterError
            The head refuses to tell.
        """
        address = address_of(self._entry, "endpoint")
        if not address:
            raise OSError("its head is not up")
        where = urlsplit(address)
        connection = self._connection = http.client.HTTPSConnection(
            where.hostname or "",
            where.port,
            context=client_context(self._entry.credentials, Role.CLIENT),
            timeout=SILENCE_SECONDS,
        )
        try:
            connection.connect()
            if isinstance(connection.sock, ssl.SSLSocket):
                require_role(connection.sock.getpeercert(), Role.HEAD)
            connection.request("GET", f"/v1/stream?{self._query()}")
            with connection.getresponse() as answer:
                if answer.status != http.client.OK:
                    raise ClusterError(_refusal(answer.status, answer.read(MAX_REFUSAL)))
                while not self._closed.is_set():
                    line = answer.readline()
                    if not line:
                        raise OSError("its head has closed the connection")
                    self._take(json.loads(line))
        finally:
            connection.close()

    def look(self) -> None:
        """Have the view as it is now, e.g. before the cluster is ended.

        Raises
        ------
        ClusterError
            The head does not answer.
        """
        head = Endpoint(self._entry, timeout=SILENCE_SECONDS)
        event, sample = self._newest()
        self._take(
            {
                "events": head.get("events", since=event),
                "samples": head.get("series", since=sample),
                "status": head.get("status"),
            }
        )

    def _newest(self) -> tuple[int, float]:
        """Number of the newest event and time of the newest sample."""
        view = self.view
        event = view.events[-1]["number"] if view.events else 0
        return event, view.samples[-1]["time"] if view.samples else 0.0

    def _query(self) -> str:
        event, sample = self._newest()
        return urlencode({"pause": self._pause, "event": event, "sample": sample})

    def _take(self, news: dict[str, Any]) -> None:
        with self._taking:  # who looks and the stream may bring the same
            event, sample = self._newest()
            status = {**news["status"]}
            events = [one for one in news["events"] if one["number"] > event]
            samples = [one for one in news["samples"] if one["time"] > sample]
            self._heard = time.time()
            self.view.status = status
            self.view.events.extend(events)
            self.view.samples.extend(samples)
        self._absence.is_over()
        self._turn(Contact.CONNECTED)


def _refusal(status: int, body: bytes) -> str:
    """An answer that is no news, as a sentence."""
    try:
        reason = json.loads(body)["error"]
    except (ValueError, TypeError, LookupError):
        reason = body.decode(errors="replace").strip()[:200] or "it does not say why"
    return f"its head refuses to be followed ({status}): {reason}"


def without_nodes(status: dict[str, Any]) -> dict[str, Any]:
    """The status of a cluster that has ended: the last one told, but nothing runs any more."""
    if not status:
        return status
    return {**status, "nodes": [], "cost": {**status["cost"], "per_hour": 0.0}}
