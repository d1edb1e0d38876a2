"""The hosts of a cluster, for those who want to go there."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

from jupyter_cluster.client.endpoint import Endpoint
from jupyter_cluster.client.registry import HOST_FILE, Entry
from jupyter_cluster.client.tunnel import login_of, tunnel_of
from jupyter_cluster.errors import SetupError, UsageError
from jupyter_cluster.nodes.command import OnLine
from jupyter_cluster.nodes.container import container_of
from jupyter_cluster.nodes.node import Node, open_node
from jupyter_cluster.nodes.session import Ssh
from jupyter_cluster.nodes.ssh import HostKeys, connect
from jupyter_cluster.providers.base import HEAD_NODE


@contextlib.contextmanager
def node_of(place: Entry, name: str = HEAD_NODE, on_line: OnLine = print) -> Iterator[Node]:
    """A node of a cluster, reached by SSH; a worker through its head.

    Raises
    ------
    UsageError
        The cluster runs on this machine, or has no such node now.
    ConnectionLostError, SetupError
        It cannot be reached.
    """
    if not place.is_hosted:
        raise UsageError(f"cluster {place.name!r} is on this machine: it has no hosts to go to")
    config = place.configuration()
    head = tunnel_of(place).ssh()
    with contextlib.ExitStack() as stack:
        node_type = config.head_node_type
        ssh = head
        if name != HEAD_NODE:
            row = _row_of(place, name)
            node_type = row["type"]
            ssh = stack.enter_context(contextlib.closing(_through(place, head, row)))
        node = open_node(ssh, place.identity()["id"], on_line)
        node.container = container_of(config, node_type, name == HEAD_NODE, 0, 0)
        yield node


def _row_of(place: Entry, name: str) -> dict[str, Any]:
    rows = Endpoint(place).get("nodes")
    for row in rows:
        if row["id"] == name and row["address"]:
            return dict(row)
    there = ", ".join([HEAD_NODE, *(row["id"] for row in rows if row["address"])])
    raise UsageError(f"cluster {place.name!r} has no node {name!r} now; it has {there}")


def _through(place: Entry, head: Ssh, row: dict[str, Any]) -> Ssh:
    host = place.read(HOST_FILE)
    login = login_of({**host, "proxy_command": None})
    try:
        channel = head.channel(row["address"], login.port)
    except OSError as error:
        raise SetupError(f"{row['id']} does not answer on its SSH port: {error}") from error
    keys = HostKeys(place.folder / "known_hosts")
    return connect(row["address"], login, row["machine"] or row["address"], keys, channel)
