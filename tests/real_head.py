"""A real head in the test's own process, with machines in memory: quick, and all its doors open."""

from __future__ import annotations

import asyncio
import http.client
import json
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import dask
import pytest
from distributed.comm import registry
from distributed.protocol import pickle

from jupyter_cluster.config import ClusterConfig, parse
from jupyter_cluster.head.service import Head
from jupyter_cluster.providers.base import Provider
from jupyter_cluster.providers.memory import MemoryProvider
from jupyter_cluster.trust import Role, client_context, make_certificates

CLUSTER = "cluster_name: real\nprovider: {type: local}\n"


@contextmanager
def engine_undone() -> Iterator[None]:
    """A head makes its process one that loads no pickles; the tests after this one load some."""
    with pytest.MonkeyPatch.context() as patch, dask.config.set({}):
        patch.setattr(pickle, "loads", pickle.loads)
        patch.setitem(registry.backends, "tls", registry.get_backend("tls"))
        yield


async def until(condition: Any, seconds: float = 20.0) -> None:
    """Await a condition, in a loop."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "what was awaited did not come"
        await asyncio.sleep(0.01)


@asynccontextmanager
async def real_head(
    folder: Path, text: str = "", provider: Provider | None = None
) -> AsyncIterator[Head]:
    """A head of this YAML in a folder, which may be one that another head has left."""
    config = parse(CLUSTER + text)
    (folder / "logs").mkdir(exist_ok=True)
    (folder / "head.json").unlink(missing_ok=True)
    if not (folder / "credentials").exists():
        make_certificates(folder / "credentials", "real")
    machines = provider or MemoryProvider(config.node_types(), time.time)

    def make(_folder: Path, _config: ClusterConfig, _head: str) -> Provider:
        return machines

    with engine_undone():
        head = Head(folder, config, {"name": "real", "id": "real"})
        running = asyncio.create_task(head.run(make, None))
        try:
            await until(lambda: running.done() or (folder / "head.json").exists())
            yield head
        finally:
            if not head.is_ending:
                head.end("the test is over", keeps_results=False)
            await running


def said(head: Head, kind: str) -> list[str]:
    """What the diary has of a kind."""
    return [event.text for event in head.diary.since(0) if event.kind == kind]


def ask(
    folder: Path, method: str, path: str, body: bytes | None = None, role: Role = Role.CLIENT
) -> tuple[int, dict[str, Any]]:
    """One request to the endpoint and its answer; on a thread beside the head's loop."""
    address = json.loads((folder / "head.json").read_text())["endpoint"].removeprefix("https://")
    context = client_context(folder / "credentials", role)
    connection = http.client.HTTPSConnection(address, context=context, timeout=20)
    try:
        connection.request(method, path, body)
        answer = connection.getresponse()
        return answer.status, json.loads(answer.read())
    finally:
        connection.close()
