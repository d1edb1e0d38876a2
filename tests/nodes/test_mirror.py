"""What changes on the head reaches those who have its packs, and nothing is lost on the way."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from jupyter_cluster.config import ClusterConfig
from jupyter_cluster.nodes import files, mirror
from jupyter_cluster.nodes.mirror import Mirror, synced_targets
from jupyter_cluster.nodes.remote import files as there

pytestmark = pytest.mark.unit


@pytest.fixture
def head(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The cluster's folder on a head, whose home has been sent a file mount."""
    home, data = tmp_path / "head", tmp_path / "laptop"
    monkeypatch.setenv("HOME", str(home))
    home.mkdir()
    data.mkdir()
    (data / "a").write_text("one")
    (data / "b").write_text("stays")
    folder = home / "cluster"
    folder.mkdir()
    tree = files.scan({"~/data": str(data)}, (), ())
    pack = tmp_path / "pack"
    pack.write_bytes(b"".join(files.pack(tree, tree.files)))
    with pack.open("rb") as stream:
        there.take(str(folder / "mounts"), stream, {files.key_of("~/data"): "~/data"})
    return folder


def config(**changes: Any) -> ClusterConfig:
    base = {"cluster_name": "x", "provider": {"type": "ssh", "head_ip": "127.0.0.1"}}
    return ClusterConfig.model_validate({**base, "file_mounts": {"~/data": "/"}, **changes})


class Worker:
    def __init__(self, folder: Path, head: Path, synced: list[str]) -> None:
        self.folder, self.head = folder, head
        self.roots = {"mounts": self._paths(["~/data"]), "synced": self._paths(synced)}
        folder.mkdir()

    def _paths(self, targets: list[str]) -> dict[str, str]:
        return {files.key_of(t): str(self.folder / t.removeprefix("~/")) for t in targets}

    def sync(self) -> None:
        """As a node is brought what it lacks of both stores."""
        for name in ("mounts", "synced"):
            store = self.folder / ".cluster" / name
            has = there.read_index(str(store))["packs"]
            for pack in there.read_index(str(self.head / name))["packs"]:
                if pack not in has:
                    with (self.head / name / f"{pack}.tar").open("rb") as stream:
                        there.take(str(store), stream, self.roots[name])

    def has(self, target: str = "data") -> dict[str, str]:
        found = (self.folder / target).rglob("*")
        return {p.name: p.read_text() for p in found if p.is_file()}


def test_changes_on_the_head_reach_a_worker(head: Path, tmp_path: Path) -> None:
    settings = config(file_mounts_sync_continuously=True)
    source = Mirror(settings, head, print)
    worker = Worker(tmp_path / "worker", head, synced_targets(settings))
    source.look()
    assert not (head / "synced").exists()  # as it was sent
    worker.sync()
    data = head.parent / "data"
    (data / "a").write_text("two")
    (data / "new").write_text("made on the head")
    (data / "b").unlink()
    source.look()
    worker.sync()
    assert worker.has() == {"a": "two", "new": "made on the head"}
    late = Worker(tmp_path / "late", head, synced_targets(settings))
    late.sync()
    assert late.has() == worker.has()
    # What was made on the head does not count as sent to it: the next `up` must not take it away.
    assert sorted(there.read_index(str(head / "mounts"))["files"]) == [
        f"{files.key_of('~/data')}/{name}" for name in "ab"
    ]


def test_paths_of_the_head_alone_are_copied(head: Path, tmp_path: Path) -> None:
    (head.parent / "shared").mkdir()
    (head.parent / "shared" / "x").write_text("1")
    said: list[str] = []
    settings = config(cluster_synced_files=["~/shared", "~/nowhere"])
    source = Mirror(settings, head, said.append)
    worker = Worker(tmp_path / "worker", head, synced_targets(settings))
    source.look()
    source.look()
    worker.sync()
    assert worker.has("shared") == {"x": "1"}
    assert worker.has() == {"a": "one", "b": "stays"}
    assert said == [f"cluster_synced_files: there is no {head.parent}/nowhere on the head"]


def test_many_changes_leave_one_pack(
    head: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mirror, "_MOST_PACKS", 3)
    settings = config(file_mounts_sync_continuously=True)
    source = Mirror(settings, head, print)
    worker = Worker(tmp_path / "worker", head, synced_targets(settings))
    most = 0
    for number in range(12):
        (head.parent / "data" / "a").write_text(f"{number}")
        source.look()
        worker.sync()
        assert worker.has() == {"a": f"{number}", "b": "stays"}
        for store in (head / "synced", worker.folder / ".cluster" / "synced"):
            most = max(most, len(list(store.glob("*.tar"))))
            assert len(there.read_index(str(store))["packs"]) == len(list(store.glob("*.tar")))
    assert most == 3
    late = Worker(tmp_path / "late", head, synced_targets(settings))
    late.sync()
    assert late.has() == worker.has()
