"""The head's end of its provisioning process: a provider whose calls are done over there."""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
import threading
from collections.abc import Callable, Collection, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import replace
from pathlib import Path
from typing import Any

from jupyter_cluster import errors
from jupyter_cluster.background import Guard, describe, start_thread
from jupyter_cluster.errors import ProviderError
from jupyter_cluster.model import NodeState, NodeType
from jupyter_cluster.providers.base import Instance, Provider
from jupyter_cluster.resources import Resources

# A call that takes longer is given up; launching thousands of nodes takes a minute.
_ANSWER_SECONDS = 600.0
_MODULE = "jupyter_cluster.nodes.provisioning"


class _Process:
    """One provisioning process, and who waits for its answers."""

    def __init__(self, folder: Path, head: str, on_notice: Callable[[str], None]) -> None:
        with (folder / "logs" / "provisioning.log").open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-P", "-m", _MODULE, str(folder), head],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                errors="replace",
            )
        self._on_notice = on_notice
        self._lock = threading.Lock()
        self._waiting: dict[int, Future[Any]] = {}
        self._number = 0
        start_thread("reading what the provisioning process says", self._read, self._fail_all)

    @property
    def is_running(self) -> bool:
        """Whether it can be asked."""
        return self._process.poll() is None

    def ask(self, do: str, arguments: dict[str, Any]) -> Future[Any]:
        """Have something done.

        Raises
        ------
        OSError, ValueError
            It is gone.
        """
        future: Future[Any] = Future()
        with self._lock:
            self._number += 1
            self._waiting[self._number] = future
            request = {"id": self._number, "do": do, "with": arguments}
            assert self._process.stdin is not None
            self._process.stdin.write(json.dumps(request) + "\n")
            self._process.stdin.flush()
        return future

    def close(self) -> None:
        """End it."""
        assert self._process.stdin is not None
        with contextlib.suppress(OSError):
            self._process.stdin.close()
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()

    def _read(self) -> None:
        assert self._process.stdout is not None
        guard = Guard("a line of the provisioning process")
        with self._process.stdout as lines:
            for line in lines:
                with guard:
                    self._take(json.loads(line))
        self._fail_all(ProviderError("the provisioning process has ended"))
        self.close()

    def _take(self, message: dict[str, Any]) -> None:
        if "notice" in message:
            self._on_notice(message["notice"])
        elif future := self._waiting.pop(message["id"], None):
            if "error" in message:
                future.set_exception(_error(message["kind"], message["error"]))
            else:
                future.set_result(message["result"])

    def _fail_all(self, error: BaseException) -> None:
        """Nothing more will come of this one; its successor's requests are none of its."""
        with self._lock:
            waiting, self._waiting = self._waiting, {}
        for future in waiting.values():
            future.set_exception(ProviderError(describe(error)))


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
        self._process: _Process | None = None

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
                on_demand=facts[name]["on_demand"],
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
        if process is not None:
            process.close()

    def _ask(self, do: str, **arguments: Any) -> Any:
        try:
            future = self._running().ask(do, arguments)
        except (OSError, ValueError) as error:
            raise ProviderError(f"the provisioning process is gone: {error}") from error
        try:
            return future.result(_ANSWER_SECONDS)
        except TimeoutError:
            raise ProviderError(
                f"the provider did not answer within {_ANSWER_SECONDS:.0f} s"
            ) from None

    def _running(self) -> _Process:
        with self._lock:
            if self._process is None or not self._process.is_running:
                self._process = _Process(
                    self._folder, self._head, lambda text: self.on_notice(text)
                )
            return self._process


def _error(kind: str, text: str) -> ProviderError:
    """One of ours as it was, whatever else as a `ProviderError`."""
    known = getattr(errors, kind, None)
    if isinstance(known, type) and issubclass(known, ProviderError):
        return known(text)
    return ProviderError(text)
