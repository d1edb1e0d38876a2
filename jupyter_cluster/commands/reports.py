"""The verbs that ask one thing, of the head or of the registry, and show it."""

from __future__ import annotations

import argparse
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from urllib.parse import quote

from jupyter_cluster.client.endpoint import Endpoint
from jupyter_cluster.client.registry import Entry, entries
from jupyter_cluster.commands.console import Console
from jupyter_cluster.commands.naming import endpoint
from jupyter_cluster.commands.tables import Table
from jupyter_cluster.commands.views import (
    clusters_table,
    cost_parts,
    job_line,
    jobs_table,
    limits_parts,
    nodes_table,
    sessions_table,
    status_parts,
)
from jupyter_cluster.errors import ConnectionLostError

# How long `list` waits for a head on another host.
_LIST_SECONDS = 5.0


def _show(value: Any, options: argparse.Namespace, console: Console, *parts: str | Table) -> None:
    if options.json:
        console.json(value)
    else:
        console.show(*parts)


def status(options: argparse.Namespace, console: Console) -> None:
    """The cluster at a glance."""
    found = endpoint(options).get("status")
    _show(found, options, console, *status_parts(found))


def nodes(options: argparse.Namespace, console: Console) -> None:
    """A row for each node."""
    found = endpoint(options).get("nodes")
    _show(found, options, console, nodes_table(found) if found else "No node is up.")


def jobs(options: argparse.Namespace, console: Console) -> None:
    """A row for each job; or cancel or delete one."""
    head = endpoint(options)
    if options.cancel is not None:
        job = head.post(head.job(options.cancel, "cancel"))
        _show(job, options, console, job_line(job))
    elif options.delete is not None:
        head.delete(head.job(options.delete))
        _show({}, options, console, f"Job {options.delete!r} is deleted.")
    else:
        found = head.get("jobs")
        _show(found, options, console, jobs_table(found) if found else "There is no job.")


def sessions(options: argparse.Namespace, console: Console) -> None:
    """The sessions of cells; or end one."""
    head = endpoint(options)
    if options.end is not None:
        head.delete(f"sessions/{quote(options.end, safe='')}")
        _show({}, options, console, f"Session {options.end!r} has ended.")
        return
    found = head.get("sessions")
    nothing = "There is no session; `%%remote --session NAME` starts one."
    _show(found, options, console, sessions_table(found) if found else nothing)


def scale(options: argparse.Namespace, console: Console) -> None:
    """Change limits and held capacity, and show what holds now."""
    wanted: dict[str, Any] = {}
    if options.max_workers is not None:
        wanted["max_workers"] = options.max_workers
    if options.min_workers:
        wanted["min_workers"] = dict(options.min_workers)
    if options.request or options.no_request:
        wanted["request"] = [[shape, count] for shape, count in options.request or ()]
    limits = endpoint(options).post("scale", wanted)
    _show(limits, options, console, *limits_parts(limits))


def cost(options: argparse.Namespace, console: Console) -> None:
    """What the cluster costs."""
    found = endpoint(options).get("cost")
    _show(found, options, console, *cost_parts(found))


def list(options: argparse.Namespace, console: Console) -> None:
    """All clusters of the registry; those with a head elsewhere are asked, all at once."""
    places = entries()
    with ThreadPoolExecutor(16) as threads:
        rows = [*threads.map(_row, places)]
    nothing = f"There is no cluster; `{console.program} up` starts one."
    _show(rows, options, console, clusters_table(rows) if rows else nothing)


def _state(place: Entry) -> str:
    if not place.is_alive:
        return "stopped"
    if place.is_hosted:
        try:
            Endpoint(place, timeout=_LIST_SECONDS).get("status")
        except ConnectionLostError:
            return "no answer"
    return "running"


def _row(place: Entry) -> dict[str, Any]:
    return {
        "name": place.name,
        "state": _state(place),
        "provider": place.provider,
        "created": place.created,
        "folder": str(place.folder),
    }
