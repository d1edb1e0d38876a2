"""Hosts that do not answer keep no other host from being set up."""

from __future__ import annotations

import threading
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from helpers import eventually

from jupyter_cluster.config import parse
from jupyter_cluster.errors import SetupError
from jupyter_cluster.model import NodeState
from jupyter_cluster.nodes import workers
from jupyter_cluster.nodes.workers import AT_ONCE, Workers
from jupyter_cluster.providers.base import HostProvider, Instance

pytestmark = pytest.mark.unit

CONFIG = """
cluster_name: dark
provider: {type: ssh, head_ip: 10.0.0.1, worker_ips: [10.0.0.2]}
auth: {ssh_user: me}
"""


class Listed(HostProvider):
    """Hosts that have booted, by their addresses."""

    def __init__(self, *addresses: str) -> None:
        self._addresses = addresses

    @classmethod
    def of(cls, *_words: Any) -> Listed:
        return cls()

    def instances(self) -> Sequence[Instance]:
        return [
            Instance(address, "host", NodeState.CONNECTING, address=address)
            for address in self._addresses
        ]

    def node_types(self, known: Mapping[str, Any]) -> dict[str, Any]:
        return dict(known)

    def create(self, node_type: str, node_ids: Sequence[str]) -> None: ...
    def terminate(self, node_ids: Collection[str]) -> None: ...
    def prepare(self, public_key: str, progress: Any) -> None: ...
    def create_head(self, noted: float) -> None: ...
    def start_head(self) -> None: ...
    def stop_head(self) -> None: ...
    def open_ssh(self) -> None: ...
    def check_release(self) -> None: ...
    def release(self, progress: Any) -> None: ...


def test_more_dark_hosts_than_places_keep_nobody_waiting(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    light = threading.Event()

    def connect(address: str, *_words: object) -> None:
        if address.startswith("dark"):
            light.wait(60)
        raise SetupError(f"{address} has been tried")

    monkeypatch.setattr(workers, "wait_for", connect)
    (tmp_path / "logs").mkdir()
    names = [*(f"dark-{number}" for number in range(AT_ONCE + 8)), "bright", "unwritable"]
    (tmp_path / "logs" / "unwritable.log").mkdir()  # nothing can be written there
    setting_up = Workers(Listed(*names), parse(CONFIG), tmp_path, "tls://10.0.0.1:1")
    setting_up.instances()
    try:
        for name in ("bright", "unwritable"):
            progress = setting_up._progress[name]
            eventually(lambda progress=progress: progress.is_done)
            assert progress.state is NodeState.FAILED
        assert "bright has been tried" in setting_up._progress["bright"].detail
        assert "IsADirectoryError" in setting_up._progress["unwritable"].detail
        assert not any(setting_up._progress[name].is_done for name in names[:-2])
    finally:
        light.set()
        setting_up.close()
