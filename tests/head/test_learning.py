"""A head whose provider says late what its machines are: it is there, and launches then."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest
from real_head import ask, real_head, said, until

from jupyter_cluster.config import parse
from jupyter_cluster.errors import ProviderError
from jupyter_cluster.head import service
from jupyter_cluster.model import NodeType
from jupyter_cluster.providers.memory import MemoryProvider
from jupyter_cluster.resources import Resources

pytestmark = pytest.mark.unit

ONE_WORKER = """
head_node_type: one
available_node_types: {one: {min_workers: 1, resources: {CPU: 1}}}
"""


class Late(MemoryProvider):
    """Refuses once, is silent until it may speak, and then knows more than the file."""

    def __init__(self) -> None:
        config = parse("cluster_name: real\nprovider: {type: local}\n" + ONE_WORKER)
        super().__init__(config.node_types(), time.time)
        self.may_speak, self.asked = threading.Event(), 0

    def node_types(self, known: Mapping[str, NodeType]) -> dict[str, NodeType]:
        self.asked += 1
        if self.asked == 1:
            raise ProviderError("the role is not known everywhere yet")
        self.may_speak.wait(60)
        return {name: replace(one, resources=Resources.of(CPU=2)) for name, one in known.items()}


def test_the_head_is_there_before_its_provider_speaks_and_launches_after(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(service, "LEARN_SECONDS", 0.05)
    monkeypatch.setattr(service, "LEARN_PAUSE_SECONDS", 0.05)
    provider = Late()
    unknown = {"one": NodeType("one", Resources(), min_workers=1, max_workers=2)}
    monkeypatch.setattr(service.ClusterConfig, "node_types", lambda _config: dict(unknown))
    asyncio.run(speaks_late(tmp_path, provider))


async def speaks_late(folder: Path, provider: Late) -> None:
    async with real_head(folder, ONE_WORKER, provider) as head:
        await until(lambda: provider.asked == 2)
        status, _content = await asyncio.to_thread(ask, folder, "GET", "/v1/status")
        assert status == 200
        assert not head.fleet.members
        (text,) = [one for one in said(head, "error") if "what its machines are" in one]
        assert "the role is not known everywhere yet" in text
        provider.may_speak.set()
        await until(lambda: bool(head.fleet.members))
        assert head.fleet.node_types["one"].resources == Resources.of(CPU=2)
