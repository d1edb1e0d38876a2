"""What a node sends is written below the target, links last."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path

import pytest

from jupyter_cluster.client.copying import unpack
from jupyter_cluster.errors import ClusterError

pytestmark = pytest.mark.unit


def archive(*members: tuple[str, bytes, dict]) -> tarfile.TarFile:
    """A stream of members: name, content, further attributes."""
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w") as tar:
        for name, content, more in members:
            info = tarfile.TarInfo(name)
            info.size, info.mode = len(content), 0o640
            for key, value in more.items():
                setattr(info, key, value)
            tar.addfile(info, io.BytesIO(content))
    data.seek(0)
    return tarfile.open(fileobj=data, mode="r|")


SYMLINK, FOLDER = {"type": tarfile.SYMTYPE}, {"type": tarfile.DIRTYPE}


def test_folders_links_and_second_names_arrive(tmp_path: Path) -> None:
    said: list[str] = []
    tar = archive(
        (".", b"", FOLDER),
        ("./empty", b"", FOLDER),
        ("latest", b"", SYMLINK | {"linkname": "runs/1"}),
        ("runs/1", b"one", {}),
        ("runs/same", b"", {"type": tarfile.LNKTYPE, "linkname": "runs/1"}),
        ("pipe", b"", {"type": tarfile.FIFOTYPE}),
    )
    assert unpack(tar, tmp_path, True, said.append) == 3
    assert (tmp_path / "empty").is_dir()
    assert (tmp_path / "latest").readlink() == Path("runs/1")
    assert (tmp_path / "latest").read_text() == (tmp_path / "runs" / "same").read_text() == "one"
    assert (tmp_path / "runs" / "1").stat().st_mode & 0o777 == 0o640
    assert said == ["pipe is no file, folder or link: left where it is"]


def test_a_second_time_links_and_files_are_replaced(tmp_path: Path) -> None:
    target = tmp_path / "target"
    (target / "was-a-file").parent.mkdir()
    (target / "was-a-file").write_text("old")
    (tmp_path / "outside").write_text("mine")
    (target / "was-a-link").symlink_to(tmp_path / "outside")
    tar = archive(
        ("was-a-link", b"new", {}), ("was-a-file", b"", SYMLINK | {"linkname": "was-a-link"})
    )
    unpack(tar, target, True, print)
    assert (tmp_path / "outside").read_text() == "mine"
    assert (target / "was-a-file").read_text() == "new"


@pytest.mark.parametrize("name", ["../there", "/there", "out/there"])
def test_nothing_is_written_outside_of_the_target(tmp_path: Path, name: str) -> None:
    target = tmp_path / "target"
    target.mkdir()
    (target / "out").symlink_to(tmp_path)
    with pytest.raises(ClusterError, match="outside of"):
        unpack(archive((name, b"x", {})), target, True, print)
    assert not (tmp_path / "there").exists()


def test_what_is_in_the_way_is_named(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    with pytest.raises(ClusterError, match=r"data.*directory"):
        unpack(archive(("data", b"x", {})), tmp_path, True, print)
