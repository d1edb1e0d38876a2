"""The head's end of its provisioning process: a provider whose calls are done over there."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from collections.abc import Collection, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import replace
from pathlib import Path
from typing import Any

from jupyter_cluster import errors
from jupyter_cluster.errors import ProviderError
from jupyter_cluster.model import NodeState, NodeType
from jupyter_cluster.providers.base import Instance, Provider
from jupyter_cluster.resources import Resources

# A call that takes longer is given up; launching thousands of nodes takes a minute.
_ANSWER_SECONDS = 600.0
_MODULE = "jupyter_cluster.nodes.provisioning"


class Provisioning(Provider):
    """Starts the process when it is first asked, and again when it has died.

    Parameters
    ----------
    folder
        Of the cluster, on this host.
    head
        Where agents find the head.
    """

    def __init__(self, folder: Path, head: str) -> None:
        self._folder, self._head = folder, head
        self._lock = threading.Lock()
        self._process: subprocess.Popen[str] | None = None
        self._waiting: dict[int, Future[Any]] = {}
        self._number = 0

    def create(self, node_type: str, node_ids: Sequence[str]) -> None:
        """See `Provider.create`."""
        self._ask("create", node_type=node_type, node_ids=list(node_ids))

    def terminate(self, node_ids: Collection[str]) -> None:
        """See `Provider.terminate`."""
        if node_ids:
            self._ask("terminate", node_ids=list(node_ids))

    def instances(self) -> Sequence[Instance]:
        """See `Provider.instances`."""
        rows = self._ask("instances")
        return [Instance(**{**row, "state": NodeState(row["state"])}) for row in rows]

    def why_gone(self, node_ids: Collection[str]) -> dict[str, str]:
        """See `Provider.why_gone`."""
        answer: dict[str, str] = self._ask("why_gone", node_ids=list(node_ids))
        return answer

    def node_types(self, known: Mapping[str, NodeType]) -> dict[str, NodeType]:
        """See `Provider.node_types`."""
        facts = self._ask("facts")
        return {
            name: replace(
                one,
                resources=Resources.of(facts[name]["resources"]),
                price=facts[name]["price"],
            )
            for name, one in known.items()
        }

    def end_head(self, keep_disk: bool) -> None:
        """See `Provider.end_head`."""
        self._ask("end_head", keep_disk=keep_disk)

    def close(self) -> None:
        """End the process."""
        with self._lock:
            process, self._process = self._process, None
        if process is not None and process.stdin is not None:
            process.stdin.close()
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()

    def _ask(self, do: str, **arguments: Any) -> Any:
        future: Future[Any] = Future()
        with self._lock:
            process = self._running()
            self._number += 1
            self._waiting[self._number] = future
            request = {"id": self._number, "do": do, "with": arguments}
            try:
                assert process.stdin is not None
                process.stdin.write(json.dumps(request) + "\n")
                process.stdin.flush()
            except OSError as error:
                raise ProviderError(f"the provisioning process is gone: {error}") from error
        try:
            return future.result(_ANSWER_SECONDS)
        except TimeoutError:
            raise ProviderError(
                f"the provider did not answer within {_ANSWER_SECONDS:.0f} s"
            ) from None

    def _running(self) -> subprocess.Popen[str]:
        if self._process is None or self._process.poll() is not None:
            with (self._folder / "logs" / "provisioning.log").open("ab") as log:
                self._process = subprocess.Popen(
                    [sys.executable, "-P", "-m", _MODULE, str(self._folder), self._head],
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=log,
                    text=True,
                )
            threading.Thread(target=self._read, args=(self._process,), daemon=True).start()
        return self._process

    def _read(self, process: subprocess.Popen[str]) -> None:
        assert process.stdout is not None
        for line in process.stdout:
            message = json.loads(line)
            if "notice" in message:
                self.on_notice(message["notice"])
            elif future := self._waiting.pop(message["id"], None):
                if "error" in message:
                    future.set_exception(_error(message["kind"], message["error"]))
                else:
                    future.set_result(message["result"])
        waiting, self._waiting = self._waiting, {}
        for future in waiting.values():
            future.set_exception(ProviderError("the provisioning process has ended"))


def _error(kind: str, text: str) -> ProviderError:
    """One of ours as it was, whatever else as a `ProviderError`."""
    known = getattr(errors, kind, None)
    if isinstance(known, type) and issubclass(known, ProviderError):
        return known(text)
    return ProviderError(text if kind == "ProviderError" else f"{kind}: {text}")
