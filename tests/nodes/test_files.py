"""File mounts as packs: what is sent, and that a host ends up with the same files."""

from __future__ import annotations

import errno
import io
import itertools
import os
import tarfile
from collections.abc import Callable
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
        self.roots = {files.key_of("~/data"): str(self.target)}

    def sync(self, data: Path, *exclude: str, filters: tuple[str, ...] = ()) -> int:
        """Send what it lacks; returns the bytes sent."""
        tree = files.scan({"~/data": str(data)}, exclude, filters)
        index = there.read_index(str(self.store))
        if files.is_current(tree, index):
            return 0
        pack = b"".join(files.pack(tree, files.lacking(tree, index)))
        there.take(str(self.store), io.BytesIO(pack), self.roots)
        return len(pack)

    def modes(self) -> dict[str, int]:
        """Modes of the folders at the target."""
        folders = [self.target, *(p for p in self.target.rglob("*") if p.is_dir())]
        folders = [path for path in folders if not path.is_symlink()]
        return {str(p.relative_to(self.target)): p.stat().st_mode & 0o777 for p in folders}

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
            assert there.take(str(late.store), pack, late.roots, name) == name
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
        taking = threads.submit(there.take, str(host.store), source, host.roots)
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
        there.take(str(host.store), pack, host.roots)


@pytest.mark.parametrize("cut", [-1024, -2000, 1_000_000])
def test_a_pack_that_is_cut_off_is_not_taken_for_a_whole_one(
    data: Path, tmp_path: Path, cut: int
) -> None:
    host = Host(tmp_path)
    tree = files.scan({"~/data": str(data)}, (), ())
    pack = b"".join(files.pack(tree, tree.files))
    with pytest.raises((SystemExit, ValueError, tarfile.ReadError)):
        there.take(str(host.store), io.BytesIO(pack[:cut]), host.roots)
    assert there.read_index(str(host.store)) == {
        "packs": [],
        "files": {},
        "folders": {},
        "applied": [],
    }
    assert not list(host.store.glob("*.part"))
    assert host.sync(data) > 3_000_000
    assert host.has() == look(data)


def test_a_member_cannot_leave_its_target() -> None:
    with pytest.raises(ValueError, match="leaves its target"):
        there.place({"0": "/data"}, "0/../../etc/passwd")


def written(folder: Path, work: Callable[[], object]) -> tuple[Host, list[str]]:
    """A host that is sent a folder on which somebody works between look and copy."""
    host, said = Host(folder.parent), []  # type: ignore[var-annotated]
    tree = files.scan({"~/data": str(folder)}, (), ())
    work()
    pack = b"".join(files.pack(tree, tree.files, said.append))
    there.take(str(host.store), io.BytesIO(pack), host.roots)
    return host, said


def test_a_file_that_goes_before_it_is_sent_is_left_out(data: Path) -> None:
    host, said = written(data, (data / "below" / "ä b").unlink)
    assert host.has() == look(data)
    assert not said
    assert host.sync(data) == 0


def test_a_log_that_grows_is_sent_as_far_as_it_was(data: Path) -> None:
    log = data / "log"
    log.write_bytes(b"line\n" * 1000)

    def grow() -> None:
        with log.open("ab") as file:
            file.write(b"more\n")

    host, said = written(data, grow)
    assert host.has()["log"][0] == b"line\n" * 1000
    assert not said
    assert host.sync(data) > 0
    assert host.has() == look(data)


@pytest.mark.parametrize("content", [b"shorter", b"", b"x" * 5000, b"y" * 9000])
def test_a_file_that_is_written_anew_is_sent_as_it_is(data: Path, content: bytes) -> None:
    (data / "state").write_bytes(b"z" * 5000)
    host, _said = written(data, lambda: (data / "state").write_bytes(content))
    assert host.has()["state"][0] == content
    assert host.sync(data) == 0


def test_what_takes_the_place_of_a_file_is_not_waited_for(data: Path) -> None:
    def replace() -> None:
        for name in ("a", "below/ä b"):
            (data / name).unlink()
        os.mkfifo(data / "a")
        (data / "below" / "ä b").symlink_to("deep")

    host, _said = written(data, replace)
    assert {"a", "below/ä b"}.isdisjoint(host.has())


def test_a_file_that_never_rests_is_sent_as_it_is_at_one_moment(
    data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, numbers = files._open, itertools.count()

    def restless(path: Path) -> Any:
        if path.name == "a":
            path.write_bytes(b"n" * next(numbers))
        file = real(path)
        if path.name == "a":
            path.write_bytes(b"m" * next(numbers))
        return file

    tree = files.scan({"~/data": str(data)}, (), ())
    monkeypatch.setattr(files, "_open", restless)
    said: list[str] = []
    pack = b"".join(files.pack(tree, tree.files, said.append))
    host = Host(data.parent)
    there.take(str(host.store), io.BytesIO(pack), host.roots)
    assert len(said) <= 1
    monkeypatch.undo()
    host.sync(data)
    assert host.has() == look(data)


def test_what_cannot_be_read_is_named(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tree = files.scan({"~/data": str(data)}, (), ())

    def refuse(path: Path) -> None:
        raise PermissionError(errno.EACCES, "Permission denied", str(path))

    monkeypatch.setattr(files, "_open", refuse)  # root may read all
    with pytest.raises(SetupError, match=r"data/a cannot be read: Permission denied"):
        list(files.pack(tree, tree.files))
    with pytest.raises(SetupError, match=r"file_mounts.~/data: .*data/a cannot be read"):
        files.scan({"~/data": str(data)}, (), ())


def test_pipes_and_sockets_are_no_files(data: Path) -> None:
    os.mkfifo(data / "pipe")
    os.mkfifo(data / ".gitignore")
    tree = files.scan({"~/data": str(data)}, (), (".gitignore",))
    assert sorted(tree.left_out) == [str(data / ".gitignore"), str(data / "pipe")]
    with pytest.raises(SetupError, match=r"file_mounts.~/x: .*pipe is neither a file nor a folder"):
        files.scan({"~/x": str(data / "pipe")}, (), ())


def test_folders_keep_their_modes_and_go(data: Path, tmp_path: Path) -> None:
    for folder in (data, data / "below" / "deep"):
        folder.chmod(0o755)
    (data / "empty").chmod(0o750)
    (data / "below").chmod(0o500)
    host = Host(tmp_path)
    host.sync(data)
    assert host.modes() == {".": 0o755, "below": 0o500, "below/deep": 0o755, "empty": 0o750}
    (data / "below").chmod(0o700)
    (data / "empty").rmdir()
    (data / "new").mkdir()
    (data / "new").chmod(0o711)
    host.sync(data)
    assert host.modes() == {".": 0o755, "below": 0o700, "below/deep": 0o755, "new": 0o711}
    assert host.sync(data) == 0


def test_the_folder_of_a_target_stays_the_same_one(data: Path, tmp_path: Path) -> None:
    host = Host(tmp_path)
    host.sync(data)
    before = host.target.stat().st_ino  # a container is bound to it
    for path in sorted(data.rglob("*"), reverse=True):
        path.unlink() if not path.is_dir() or path.is_symlink() else path.rmdir()
    host.sync(data)
    assert host.has() == {}
    assert host.target.stat().st_ino == before


def test_files_and_folders_take_each_others_place(data: Path, tmp_path: Path) -> None:
    host = Host(tmp_path)
    host.sync(data)
    (data / "a").unlink()
    (data / "a").mkdir()
    (data / "a" / "inner").write_text("x")
    (data / "empty").rmdir()
    (data / "empty").write_text("full")
    (data / "link").unlink()
    (data / "link").write_text("no link")
    host.sync(data)
    assert host.has() == look(data)


def test_names_that_are_no_text_are_copied(data: Path, tmp_path: Path) -> None:
    (data / os.fsdecode(b"caf\xe9")).write_text("x")
    host = Host(tmp_path)
    host.sync(data)
    assert host.has() == look(data)
