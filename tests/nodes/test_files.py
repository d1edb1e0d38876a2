"""File mounts as packs: what is sent, and that a host ends up with the same files."""

from __future__ import annotations

import errno
import io
import os
import tarfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from helpers import eventually

from jupyter_cluster.errors import SetupError
from jupyter_cluster.nodes import files
from jupyter_cluster.nodes.remote import files as there

pytestmark = pytest.mark.unit


class Host:
    """The folders of a host, on this machine."""

    def __init__(self, folder: Path) -> None:
        self.store, self.target = folder / "store", folder / "target"

    def sync(self, data: Path, *exclude: str, filters: tuple[str, ...] = ()) -> int:
        """Send what it lacks; returns the bytes sent."""
        tree = files.scan({"~/data": str(data)}, exclude, filters)
        index = there.read_index(str(self.store))
        if files.is_current(tree, index):
            return 0
        pack = b"".join(files.pack(tree, files.lacking(tree, index)))
        there.take(str(self.store), io.BytesIO(pack), [str(self.target)])
        return len(pack)

    def has(self) -> dict[str, Any]:
        """What lies at the target."""
        return look(self.target)


def look(folder: Path) -> dict[str, Any]:
    """Content, mode, or goal of a link, by path."""
    found: dict[str, Any] = {}
    for path in sorted(folder.rglob("*")):
        name = str(path.relative_to(folder))
        if path.is_symlink():
            found[name] = os.readlink(path)
        elif path.is_file():
            found[name] = (path.read_bytes(), path.stat().st_mode & 0o777)
        else:
            found[name] = None
    return found


@pytest.fixture
def data(tmp_path: Path) -> Path:
    folder = tmp_path / "data"
    (folder / "below" / "deep").mkdir(parents=True)
    (folder / "empty").mkdir()
    (folder / "a").write_bytes(b"one")
    (folder / "below" / "ä b").write_bytes(os.urandom(3_000_000))
    (folder / "below" / "deep" / "run").write_text("#!/bin/sh")
    (folder / "below" / "deep" / "run").chmod(0o755)
    (folder / "link").symlink_to("below/deep/run")
    return folder


def test_a_host_gets_the_same_files(data: Path, tmp_path: Path) -> None:
    host = Host(tmp_path)
    assert host.sync(data) > 3_000_000
    assert host.has() == look(data)
    assert host.sync(data) == 0


def test_only_what_has_changed_is_sent_and_what_is_gone_goes(data: Path, tmp_path: Path) -> None:
    host = Host(tmp_path)
    host.sync(data)
    (host.target / "made by a task").write_text("stays")
    (data / "a").write_bytes(b"two")
    os.utime(data / "below" / "ä b")  # touched, and the same
    (data / "link").unlink()
    (data / "below" / "deep" / "run").unlink()
    assert host.sync(data) < 20_000
    found = host.has()
    assert found["a"][0] == b"two"
    assert "link" not in found
    assert "below/deep/run" not in found
    assert found["made by a task"][0] == b"stays"


def test_a_host_that_comes_late_gets_the_same_by_the_same_packs(data: Path, tmp_path: Path) -> None:
    first, late = Host(tmp_path / "first"), Host(tmp_path / "late")
    first.sync(data)
    (data / "a").write_bytes(b"two")
    first.sync(data)
    for name in there.read_index(str(first.store))["packs"]:
        with (first.store / f"{name}.tar").open("rb") as pack:
            assert there.take(str(late.store), pack, [str(late.target)], name) == name
    assert late.has() == look(data)


def test_what_is_excluded_stays_here(data: Path, tmp_path: Path) -> None:
    (data / "below" / ".gitignore").write_text("deep/\n*.log\n")
    (data / "below" / "x.log").write_text("")
    (data / "x.log").write_text("")
    host = Host(tmp_path)
    host.sync(data, "/a", filters=(".gitignore",))
    found = host.has()
    assert {"a", "below/x.log", "below/deep"}.isdisjoint(found)
    assert {"x.log", "below/ä b"} <= set(found)


def test_a_damaged_pack_is_refused(data: Path, tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match="arrived damaged"):
        there.take(str(tmp_path / "store"), io.BytesIO(b"something"), None, "0" * 64)
    assert there.read_index(str(tmp_path / "store"))["packs"] == []


def test_a_pack_is_applied_while_it_comes(data: Path, tmp_path: Path) -> None:
    host = Host(tmp_path)
    tree = files.scan({"~/data": str(data)}, (), ())
    pack = b"".join(files.pack(tree, tree.files))
    ours, theirs = os.pipe()
    with open(ours, "rb") as source, ThreadPoolExecutor() as threads, open(theirs, "wb") as sender:
        taking = threads.submit(there.take, str(host.store), source, [str(host.target)])
        at = pack.index(b"one") + 600  # `a` has come, and a part of what follows
        sender.write(pack[:at])
        sender.flush()
        eventually((host.target / "a").exists)
        sender.write(pack[at:])
        sender.close()
        taking.result(20)
    assert host.has() == look(data)
    assert host.sync(data) == 0


def test_a_full_disk_is_said(data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    host = Host(tmp_path)
    tree = files.scan({"~/data": str(data)}, (), ())
    pack = io.BytesIO(b"".join(files.pack(tree, tree.files)))
    rest = iter([pack.read1(4096)])

    def read(_size: int) -> bytes:
        for piece in rest:
            return piece
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(pack, "read1", read, raising=False)
    with pytest.raises(OSError, match="No space left"):
        there.take(str(host.store), pack, [str(host.target)])


@pytest.mark.parametrize("cut", [-1024, -2000, 1_000_000])
def test_a_pack_that_is_cut_off_is_not_taken_for_a_whole_one(
    data: Path, tmp_path: Path, cut: int
) -> None:
    host = Host(tmp_path)
    tree = files.scan({"~/data": str(data)}, (), ())
    pack = b"".join(files.pack(tree, tree.files))
    with pytest.raises((SystemExit, ValueError, tarfile.ReadError)):
        there.take(str(host.store), io.BytesIO(pack[:cut]), [str(host.target)])
    assert there.read_index(str(host.store)) == {"packs": [], "files": {}, "applied": []}
    assert not list(host.store.glob("*.part"))
    assert host.sync(data) > 3_000_000
    assert host.has() == look(data)


def test_a_member_cannot_leave_its_target() -> None:
    with pytest.raises(ValueError, match="leaves its target"):
        there.place(["/data"], "0/../../etc/passwd")


def test_a_file_that_changes_while_it_is_sent_is_named(data: Path) -> None:
    tree = files.scan({"~/data": str(data)}, (), ())
    (data / "a").write_bytes(b"longer than before")
    with pytest.raises(SetupError, match="data/a has changed while it was sent"):
        list(files.pack(tree, tree.files))
