"""``python -m jupyter_cluster.nodes.provisioning FOLDER HEAD``: the head's provisioning process.

Lines of JSON: requests come in, answers and notices go out; each request has a thread.
"""

from __future__ import annotations

import json
import logging
import os
import sys
import threading
from collections.abc import Callable
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

from jupyter_cluster.background import Guard, describe, start_thread
from jupyter_cluster.config import ClusterConfig
from jupyter_cluster.model import NodeType
from jupyter_cluster.nodes.guard import user_data
from jupyter_cluster.nodes.workers import Workers
from jupyter_cluster.providers import provider_class
from jupyter_cluster.providers.base import HostProvider, Provider


def host_provider(config: ClusterConfig, identity: dict[str, Any]) -> HostProvider:
    """The provider of a cluster's hosts, with the watch that ends forgotten ones."""
    boot, grace = config.setup_timeout_minutes * 60, config.worker_grace_minutes * 60
    made = provider_class(config.provider.type)
    if not issubclass(made, HostProvider):
        raise TypeError(f"provider {config.provider.type} gives no hosts")
    # A head that works ends itself by its idle time-out; where it does not work any more, or was
    # told to end by a `down` that went no further, its machine ends all the same.
    scripts = {"head": user_data(2 * boot, 2 * boot), "worker": user_data(grace, boot)}
    return made.of(config, identity, scripts)


class Server:
    """Answers the head's requests to a provider."""

    def __init__(
        self, provider: Provider, known: dict[str, NodeType], write: Callable[[str], None]
    ) -> None:
        self._provider, self._known, self._write = provider, known, write
        self._lock = threading.Lock()
        self._reading = Guard("reading a request of the head")
        provider.on_notice = lambda text: self._say(notice=text)

    def serve(self, line: str) -> None:
        """One request, on a thread of its own."""
        with self._reading:
            request = json.loads(line)
            what = f"request {request['do']!r} of the head"
            start_thread(what, partial(self._answer, request))

    def _answer(self, request: dict[str, Any]) -> None:
        try:
            result = getattr(self, f"_do_{request['do']}")(**request["with"])
            self._say(id=request["id"], result=result)
        except Exception as error:
            kind = type(error).__name__
            self._say(id=request["id"], error=describe(error), kind=kind)

    def _say(self, **message: Any) -> None:
        line = json.dumps(message) + "\n"
        with self._lock:
            self._write(line)

    def _do_create(self, node_type: str, node_ids: list[str]) -> None:
        self._provider.create(node_type, node_ids)

    def _do_terminate(self, node_ids: list[str]) -> None:
        self._provider.terminate(node_ids)

    def _do_instances(self) -> list[dict[str, Any]]:
        return [asdict(instance) for instance in self._provider.instances()]

    def _do_why_gone(self, node_ids: list[str]) -> dict[str, str]:
        return self._provider.why_gone(node_ids)

    def _do_facts(self) -> dict[str, Any]:
        return {
            name: {
                "resources": one.resources.as_dict(),
                "price": one.price,
                "on_demand": one.on_demand,
            }
            for name, one in self._provider.node_types(self._known).items()
        }

    def _do_end_head(self, keep_disk: bool) -> None:
        self._provider.end_head(keep_disk)


def main(folder: Path, head: str) -> None:
    """Serve until the input ends."""
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(name)s %(message)s")
    output = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)  # what anything else prints is for the log
    config = ClusterConfig.model_validate_json((folder / "config.json").read_text())
    identity = json.loads((folder / "cluster.json").read_text())
    identity["folder"] = str(folder)
    provider = Workers(host_provider(config, identity), config, folder, head)
    server = Server(provider, config.node_types(), lambda text: _write(output, text))
    for line in sys.stdin:
        server.serve(line)
    provider.close()
    os._exit(0)  # a thread may still wait for a host


def _write(output: Any, text: str) -> None:
    try:
        output.write(text)
    except (BrokenPipeError, ValueError):
        os._exit(0)  # the head is gone


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
