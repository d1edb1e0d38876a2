"""Files take as long as the network does: what gets on is not ended, nor who waits for it."""

from __future__ import annotations

import io
import json
import os
import shutil
import threading
import time
from pathlib import Path
from typing import Any

import psutil
import pytest
from helpers import eventually
from nodes.sshd import serving

from jupyter_cluster.nodes import files, places, swarm
from jupyter_cluster.nodes.node import Node, open_node
from jupyter_cluster.nodes.packs import send_packs
from jupyter_cluster.nodes.places import Places
from jupyter_cluster.nodes.remote import files as there
from jupyter_cluster.nodes.ssh import HostKeys, wait_for
from jupyter_cluster.nodes.swarm import PLACES, Swarm
from jupyter_cluster.trust import make_certificates

pytestmark = pytest.mark.unit


def a_store(folder: Path) -> Path:
    """Packs as the head keeps them, of more than is sent at once."""
    (folder / "data").mkdir()
    for name in ("a", "b", "c"):
        (folder / "data" / name).write_bytes(os.urandom(1_500_000))
    tree = files.scan({"~/data": str(folder / "data")}, (), ())
    store = folder / "mounts"
    there.take(str(store), io.BytesIO(b"".join(files.pack(tree, files.lacking(tree, _NONE)))))
    return store


_NONE: dict[str, Any] = {"files": {}, "packs": []}


def test_who_waits_for_a_source_is_told_that_others_get_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(swarm, "_PAUSE_SECONDS", 0.01)
    ours, told, got = Swarm(), threading.Event(), threading.Event()

    def wait() -> None:
        with ours.source(told.set):
            got.set()

    taken = [ours.source() for _ in range(PLACES)]
    for one in taken:
        one.__enter__()
    threading.Thread(target=wait, daemon=True).start()

    def is_told() -> bool:
        ours.show_progress()
        return told.is_set()

    eventually(is_told)
    assert not got.is_set()
    taken[0].__exit__(None, None, None)
    assert got.wait(20)


def test_who_waits_for_a_place_is_told_that_others_get_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(places, "_PAUSE_SECONDS", 0.01)
    ours, told, got = Places(1), threading.Event(), threading.Event()

    def wait() -> None:
        with ours.one(told.set):
            got.set()

    def is_told() -> bool:
        ours.show_progress()
        return told.is_set()

    with ours.one(lambda: None):
        threading.Thread(target=wait, daemon=True).start()
        eventually(is_told)
        assert not got.is_set()
    assert got.wait(20)


def test_what_arrives_is_noted_from_the_head_and_from_another_node(tmp_path: Path) -> None:
    store = a_store(tmp_path)
    told: list[float] = []
    with serving(tmp_path) as login:
        keys = HostKeys(tmp_path / "known_hosts")
        connection = wait_for("127.0.0.1", login, "i-1", keys, time.monotonic() + 20)
        try:
            node = open_node(connection, "0123456789ab", lambda _line: None)
            node.deadline = time.monotonic() + 1000
            node.on_progress = lambda: told.append(node.deadline or 0.0)
            ready(node, tmp_path)
            ours, roots = Swarm(), {files.key_of("~/data"): str(tmp_path / "there")}
            told.clear()
            send_packs(store, ours)(node, roots)
            assert len(told) > 10  # 256 KB at a time
            assert max(told) == float("inf")  # the deadline waits
            assert (tmp_path / "there" / "a").read_bytes() == (tmp_path / "data/a").read_bytes()
            (source,) = [name for name in ours._busy if name]
            fetched(node, source, store, told)
            shutil.rmtree(node.folder)  # without it, who gives on ends
            eventually(lambda: not sharers(node.folder))
        finally:
            connection.close()


def sharers(folder: str) -> list[psutil.Process]:
    found = psutil.process_iter(["cmdline", "cwd"])
    return [
        one
        for one in found
        if "remote/share.py" in (one.info["cmdline"] or ())
        and (one.info["cwd"] or "").startswith(folder)
    ]


def ready(node: Node, folder: Path) -> None:
    make_certificates(folder / "made", "0123456789ab")
    names = ("ca.pem", "agent.pem", "agent.key")
    node.put_scripts()
    node.put({f"credentials/{name}": (folder / "made" / name).read_bytes() for name in names})


def fetched(node: Node, source: str, store: Path, told: list[float]) -> None:
    """The same packs by the way from node to node; who sends them is this host itself."""
    told.clear()
    (name,) = there.read_index(str(store))["packs"]
    roots = json.dumps({files.key_of("~/data"): f"{node.home}/again"})
    node.script("files.py", "fetch", "other", roots, "credentials", source, name)
    assert Path(node.home, "again", "c").exists()
    assert told
