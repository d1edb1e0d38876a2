"""The verbs that show what happens, and go on with what comes."""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import quote

from jupyter_cluster.client.absence import Absence
from jupyter_cluster.client.endpoint import Endpoint
from jupyter_cluster.client.registry import Entry
from jupyter_cluster.commands.console import Console
from jupyter_cluster.commands.naming import running
from jupyter_cluster.errors import ConnectionLostError
from jupyter_cluster.formats import as_sentence, clock

Row = dict[str, Any]

# How long one request waits for news; the head allows 30 s.
_NEWS_SECONDS = 25.0
_RETRY_SECONDS = 0.2


def monitor(options: argparse.Namespace, console: Console) -> None:
    """The cluster's diary: scaling decisions with their reasons, nodes, jobs, problems."""
    _show("events", options, console, _event_line, lambda _row: True)


def panel(options: argparse.Namespace, console: Console) -> None:
    """A live view: rate, nodes, jobs and decisions."""
    console.panel(running(options))


def dashboard(options: argparse.Namespace, console: Console) -> None:
    """A page with what the panel shows; Dask's own would be empty: the head runs no Dask tasks."""
    console.dashboard(running(options), options.port, not options.no_browser)


def logs(options: argparse.Namespace, console: Console) -> None:
    """What tasks have printed; of a single node also what setting it up has written."""
    place = running(options)
    if options.node:
        setup = Endpoint(place).get(f"nodes/{quote(options.node, safe='')}/log")["text"]
        for line in [] if options.json else setup.splitlines():
            console.show(line)
    job = _job_id(place, options.job)

    def is_wanted(row: Row) -> bool:
        return options.node in (None, row["node"]) and job in (None, row["job"])

    _show("logs", options, console, _output_line, is_wanted)


def _job_id(place: Entry, name: str | None) -> str | None:
    if name is None:
        return None
    head = Endpoint(place)
    return str(head.get(head.job(name))["id"])


def _event_line(event: Row) -> str:
    return f"{clock(event['time'])}  {event['kind']:<10}  {event['text']}"


def _output_line(line: Row) -> str:
    return f"{line['node']}/{line['slot']}  {line['text']}"


def _show(
    what: str,
    options: argparse.Namespace,
    console: Console,
    as_line: Callable[[Row], str],
    is_wanted: Callable[[Row], bool],
) -> None:
    place = running(options)
    news = _following(place, what, console.notice) if options.follow else None
    for row in news or Endpoint(place).get(what):
        if is_wanted(row):
            console.show(json.dumps(row) if options.json else as_line(row))


def _following(place: Entry, what: str, notice: Callable[[str], None]) -> Iterator[Row]:
    """Rows as they come, until the cluster ends; a head that is started again is followed too."""
    head, since, seen, absence = Endpoint(place), 0, None, Absence(place)
    while True:
        try:
            started = head.get("status")["started"]
            if started != seen and what == "logs":
                since = 0  # a new head counts the lines of output from 1 again
            seen = started
            for row in head.get(what, since=since, wait=_NEWS_SECONDS):
                since = row["number"]
                yield row
            absence.is_over()
        except ConnectionLostError:
            if reason := absence.why_for_good():
                notice(as_sentence(reason))
                return
            time.sleep(_RETRY_SECONDS)
