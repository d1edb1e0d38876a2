"""What is asked of clusters and done with them, whoever asks by HTTP. It blocks: run it in threads.

Every function raises a `ClusterError` with the sentence that the command line would print.
"""

from __future__ import annotations

import json
import shlex
import sys
from pathlib import Path
from typing import Any
from urllib.parse import quote

from jupyter_cluster.client import launch
from jupyter_cluster.client.endpoint import Endpoint
from jupyter_cluster.client.registry import NAME, Entry, entry, find
from jupyter_cluster.commands.plan import plan_parts
from jupyter_cluster.commands.tables import Table as TextTable
from jupyter_cluster.commands.views import cost_parts
from jupyter_cluster.config import ClusterConfig, load, local_config
from jupyter_cluster.errors import RegistryError, UsageError
from jupyter_cluster.providers.base import HEAD_NODE
from jupyter_cluster.server.answers import (
    Attach,
    Bill,
    Event,
    Figure,
    Handoff,
    LogLine,
    NodeLog,
    Plan,
)
from jupyter_cluster.server.requests import UpRequest
from jupyter_cluster.viewmodel.model import Cell, Column, Row, Table, Words

# How long a head may take for an answer that somebody waits for in a browser.
ANSWER_SECONDS = 15.0

EXAMPLE = '''\
import jupyter_cluster as jc
import numpy as np

cluster = jc.connect({name!r})


def brightness(seed):
    """Make a picture of noise, smooth it, and say how bright it is."""
    image = np.random.default_rng(seed).random((512, 512))
    for _ in range(20):
        image = (image + np.roll(image, 1, axis=0) + np.roll(image, 1, axis=1)) / 3
    return image.mean()


job = cluster.map(brightness, range(600), unit="image", name="first pictures")
values = list(job.progress())
print(f"{{len(values)}} pictures, the brightest has {{max(values):.3f}}")
'''
CONNECT = """\
import jupyter_cluster as jc

cluster = jc.connect({name!r})
cluster
"""


def known(name: str) -> Entry:
    """A cluster, running or stopped."""
    place = entry(name)
    return place if place.exists else find(name)


def head_of(name: str) -> Endpoint:
    """The head of a cluster that runs."""
    return Endpoint(find(name), timeout=ANSWER_SECONDS)


# -- starting -------------------------------------------------------------------------------------


def line_of(request: UpRequest, file: Path | None) -> list[str]:
    """What `up` is told, after its name.

    Parameters
    ----------
    file
        That of the request, on the disk.
    """
    again = _is_again(request)
    if (file or again) and (request.cpus is not None or request.max_workers is not None):
        raise UsageError("cores and nodes are for a new cluster on this machine: leave them out")
    if file is not None:
        if request.name is not None:
            raise UsageError(f"the cluster's name stands in {file.name}: leave it out")
        return [str(file), "-y"]
    if again:
        return [str(request.name), "-y"]
    sizes = {"--name": request.name, "--cpus": request.cpus, "--max-workers": request.max_workers}
    given = [
        word for key, value in sizes.items() if value is not None for word in (key, str(value))
    ]
    return ["-y", *given]


def configuration(request: UpRequest, file: Path | None) -> ClusterConfig:
    """What a request asks for."""
    line_of(request, file)
    if file is not None:
        return load(file, request.file)
    if _is_again(request):
        return entry(str(request.name)).configuration()
    sizes: dict[str, Any] = {"cpus": request.cpus, "max_workers": request.max_workers}
    if request.name is None:
        return local_config(**sizes)
    return local_config(request.name, **sizes)


def _is_again(request: UpRequest) -> bool:
    return request.file is None and request.name is not None and entry(request.name).exists


def plan(config: ClusterConfig) -> Plan:
    """What starting it would do and cost."""
    place = entry(config.cluster_name)
    launch.check_first(config)
    launch.check_place(place, config)
    notices = list(config.notices)
    if launch.is_up(place):
        running = f"Cluster {place.name!r} runs already: it is brought up to what is asked for."
        return Plan(place.name, [running], None, notices, "")
    types, scarce = launch.survey(config)
    parts = plan_parts(config, types)
    tables = [_table(part) for part in parts if not isinstance(part, str)]
    is_free = config.provider.type == "local"
    return Plan(
        cluster=place.name,
        lines=[part for part in parts if isinstance(part, str)],
        table=tables[0] if tables else None,
        notices=notices + scarce,
        question="" if is_free else f"Start cluster {place.name!r}?",
    )


def _table(told: TextTable) -> Table:
    columns = [Column(heading, is_number=told.is_number(heading)) for heading in told.headings]
    rows = [Row(row[0], [Cell(Words(text)) for text in row]) for row in told.rows]
    return Table(told.title, len(rows), columns, rows)


# -- looking --------------------------------------------------------------------------------------


def logs(name: str, node: str | None, job: str | None, since: int) -> list[LogLine]:
    """What tasks have written, oldest first."""
    head = head_of(name)
    only = None if job is None else str(head.get(head.job(job))["id"])
    rows = head.get("logs", since=since)
    return [
        LogLine(**{key: row[key] for key in LogLine.__dataclass_fields__})
        for row in rows
        if node in (None, row["node"]) and only in (None, row["job"])
    ]


def node_log(name: str, node: str) -> NodeLog:
    """What setting up a node has written."""
    return NodeLog(str(head_of(name).get(f"nodes/{quote(node, safe='')}/log")["text"]))


def events(name: str, since: int) -> list[Event]:
    """Decisions and what has happened, oldest first."""
    rows = head_of(name).get("events", since=since)
    return [Event(**{key: row[key] for key in Event.__dataclass_fields__}) for row in rows]


def bill(name: str) -> Bill:
    """What it costs."""
    said, *tables = cost_parts(head_of(name).get("cost"))
    found = [_table(one) for one in tables if not isinstance(one, str)]
    return Bill(str(said), found[0] if found else None)


def figure(name: str) -> Figure:
    """The cluster so far, as `Cluster.plot` draws it."""
    from jupyter_cluster.charts.history_figure import checked_parts, history_figure
    from jupyter_cluster.client.history import of_cluster

    try:
        made = history_figure(of_cluster(head_of(name), name), checked_parts(()))
    except ImportError:
        raise UsageError(
            "a figure needs plotly in the environment of the Jupyter server: pip install plotly"
        ) from None
    content: dict[str, Any] = json.loads(made.to_json())
    return Figure(content["data"], content["layout"])


# -- handing over ---------------------------------------------------------------------------------


def handoff(name: str) -> Handoff:
    """Cells that use it."""
    place = known(name)
    return Handoff(CONNECT.format(name=place.name), EXAMPLE.format(name=place.name))


def attach(name: str, node: str) -> Attach:
    """A line that opens a shell on the head or on a node."""
    place = find(name)
    if not place.is_hosted:
        raise UsageError(
            f"cluster {name!r} is on this machine: it has no hosts to go to, any terminal is one"
        )
    if node != HEAD_NODE and not NAME.fullmatch(node):
        raise RegistryError(f"cluster {name!r} has no node of this name")
    words = [sys.executable, "-m", "jupyter_cluster.cli", "attach", name, "--node", node]
    return Attach(shlex.join(words))
