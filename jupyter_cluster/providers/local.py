"""Worker nodes on this machine: each is an agent process with declared resources."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any

from jupyter_cluster.errors import ProviderError
from jupyter_cluster.model import NodeState, NodeType
from jupyter_cluster.providers.base import Instance, Provider
from jupyter_cluster.resources import Resources

# An agent told to end has this long before it is killed.
END_SECONDS = 3.0
_POLL_SECONDS = 0.02


class LocalProvider(Provider):
    """Asks the local host, the process that started the head, to fork agents.

    Parameters
    ----------
    folder
        The cluster's folder; each node gets one of its own in it.
    connection
        The socket to the local host.
    node_types
        For the resources that a node declares.
    head
        Where agents find the head, ``tls://address:port``.
    """

    def __init__(
        self,
        folder: Path,
        connection: socket.socket,
        node_types: dict[str, NodeType],
        head: str,
    ) -> None:
        self._folder = folder
        self._connection = connection
        self._answers = connection.makefile("r", encoding="utf-8")
        self._node_types = node_types
        self._head = head
        self._lock = threading.Lock()

    def create(self, node_type: str, node_ids: Sequence[str]) -> None:
        """Fork an agent for each id."""
        for node in node_ids:
            try:
                path = self._write_options(node_type, node)
            except OSError as error:
                raise ProviderError(f"{node} cannot be set up: {error}", node_type) from error
            self._ask(do="start", name=node, module="jupyter_cluster.agent", argv=[str(path)])

    def _write_options(self, node_type: str, node: str) -> Path:
        folder = self._folder / "nodes" / node
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        options = {
            "node": node,
            "node_type": node_type,
            "resources": self._resources(node_type).as_dict(),
            "head": self._head,
            "folder": str(folder),
            "credentials": str(self._folder / "credentials"),
        }
        path = folder / "agent.json"
        path.write_text(json.dumps(options))
        return path

    def _resources(self, node_type: str) -> Resources:
        try:
            return self._node_types[node_type].resources
        except KeyError:
            raise ProviderError(f"there is no node type {node_type}", node_type) from None

    def instances(self) -> Sequence[Instance]:
        """The agents that run, and those that ended by themselves with how they did."""
        return [
            Instance(
                row["name"],
                row["name"].rpartition("-")[0],
                NodeState.BOOTING if row["code"] is None else NodeState.FAILED,
                "" if row["code"] is None else describe_exit(row["code"]),
            )
            for row in self._ask(do="list")
        ]

    def terminate(self, node_ids: Collection[str]) -> None:
        """End the agents and wait until they are gone."""
        self._ask(do="end", names=list(node_ids), seconds=END_SECONDS)
        deadline = time.monotonic() + END_SECONDS + 5
        while {row["name"] for row in self._ask(do="list")} & set(node_ids):
            if time.monotonic() > deadline:
                raise ProviderError(f"{', '.join(node_ids)} could not be killed")
            time.sleep(_POLL_SECONDS)

    def _ask(self, **request: Any) -> Any:
        with self._lock:
            try:
                self._connection.sendall(json.dumps(request).encode() + b"\n")
            except OSError as error:
                raise ProviderError(f"the local host is gone: {error}") from error
            return self._answer()

    def _answer(self) -> Any:
        try:
            answer = self._answers.readline()
        except (OSError, ValueError) as error:
            raise ProviderError(f"the local host is gone: {error}") from error
        if not answer:
            raise ProviderError("the local host is gone")
        told = json.loads(answer)
        if isinstance(told, dict):
            raise ProviderError(f"the local host could not do it: {told['error']}")
        return told

    def close(self) -> None:
        """Close the connection to the local host."""
        self._answers.close()
        self._connection.close()


def describe_exit(code: int) -> str:
    """How a process ended, in words."""
    return f"its agent was ended by signal {-code}" if code < 0 else f"its agent exited with {code}"
