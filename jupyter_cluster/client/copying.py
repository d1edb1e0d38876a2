"""Files between this machine and a node, as a stream of tar: `rsync-up` and `rsync-down`.

Symbolic links are carried as links, as `rsync -a` does.
"""

from __future__ import annotations

import contextlib
import io
import os
import posixpath
import shlex
import shutil
import tarfile
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from jupyter_cluster.errors import ClusterError, UsageError
from jupyter_cluster.nodes.node import Node

_PIECE = 2**18


def send(node: Node, source: Path, target: str) -> int:
    """Copy a file, or what is in a folder, to a node; returns the number of files and links.

    Raises
    ------
    UsageError
        There is no such file here.
    """
    if not source.exists():
        raise UsageError(f"there is no {source} here")
    members = list(_members(source, target))
    node.ask_inside("tar -x -C / --no-same-owner -f -", _packed(members, _absolute(node, target)))
    return sum(path.is_symlink() or not path.is_dir() for path, _name in members)


def _absolute(node: Node, target: str) -> str:
    if target == "~" or target.startswith("~/"):
        return node.inside_home() + target[1:]
    return target if target.startswith("/") else posixpath.join(node.inside_home(), target)


def _members(source: Path, target: str) -> Iterator[tuple[Path, str]]:
    """What there is here, and the paths below the target."""
    if source.is_file():  # a link that is named itself means its file
        yield source.resolve(), source.name if target.endswith("/") else ""
        return
    for path in sorted(source.rglob("*")):
        if path.is_symlink() or path.is_file() or path.is_dir():
            yield path, str(path.relative_to(source))


def _packed(members: Iterable[tuple[Path, str]], target: str) -> Iterator[bytes]:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for path, name in members:
            tar.add(path, arcname=posixpath.join(target, name).rstrip("/"), recursive=False)
            if buffer.tell() > _PIECE:
                yield _taken(buffer)
    yield _taken(buffer)


def _taken(buffer: io.BytesIO) -> bytes:
    data = buffer.getvalue()
    buffer.seek(0)
    buffer.truncate()
    return data


def receive(node: Node, source: str, target: Path, notice: Callable[[str], None]) -> int:
    """Copy a file, or what is in a folder, from a node; returns the number of files and links.

    Parameters
    ----------
    notice
        Told of what is neither a file nor a folder nor a link, and is left there.

    Raises
    ------
    UsageError
        There is no such file there.
    ClusterError
        The node sends what would be written outside of the target.
    """
    path = _absolute(node, source.rstrip("/") or "/")
    quoted = shlex.quote(path)
    ask = f"test -d {quoted} && echo folder || {{ test -e {quoted} && echo file || echo none; }}"
    kind = node.ask_inside(ask).split()[-1]
    if kind == "none":
        raise UsageError(f"there is no {source} on {node.ssh.address}")
    folder, name = (path, ".") if kind == "folder" else posixpath.split(path)
    # A link that is named itself means its file; links in a folder stay links.
    follow = "" if kind == "folder" else "-h"
    command = f"tar -c {follow} -C {shlex.quote(folder)} -f - {shlex.quote(name)}"
    into_folder = kind == "folder" or target.is_dir() or str(target).endswith(os.sep)
    stream = _Reader(node.read_inside(command))
    with tarfile.open(fileobj=stream, mode="r|") as tar:
        return unpack(tar, target, into_folder, notice)


def unpack(
    tar: tarfile.TarFile, target: Path, into_folder: bool, notice: Callable[[str], None]
) -> int:
    """Write what another machine has packed: below the target, whatever it says.

    Links are made when all files are written, so that no file is written through one.

    Raises
    ------
    ClusterError
        Something would be written outside of the target, or cannot be written.
    """
    try:
        return _unpack(tar, target, into_folder, notice)
    except OSError as error:
        raise ClusterError(
            f"{error.filename or target} cannot be written: {error.strerror}"
        ) from error


def _unpack(
    tar: tarfile.TarFile, target: Path, into_folder: bool, notice: Callable[[str], None]
) -> int:
    links: list[tuple[Path, str]] = []
    count = 0
    for member in tar:
        path = _inside(target, member.name) if into_folder else target
        if member.isdir():
            path.mkdir(parents=True, exist_ok=True)
        elif member.issym():
            links.append((path, member.linkname))
        elif member.isfile() or member.islnk():
            _write(tar, member, target, path)
            count += 1
        else:
            notice(f"{member.name} is no file, folder or link: left where it is")
    for path, destination in links:
        path.parent.mkdir(parents=True, exist_ok=True)
        with contextlib.suppress(FileNotFoundError):
            path.unlink()
        path.symlink_to(destination)
    return count + len(links)


def _inside(target: Path, name: str) -> Path:
    path = target / name
    folder = target if path == target else path.parent
    if ".." in Path(name).parts or not folder.resolve().is_relative_to(target.resolve()):
        raise ClusterError(f"the node sends {name}, which would be written outside of {target}")
    return path


def _write(tar: tarfile.TarFile, member: tarfile.TarInfo, target: Path, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.is_symlink():
        path.unlink()
    if member.islnk():  # a second name of a file that has come already
        shutil.copyfile(_inside(target, member.linkname), path)
    else:
        content = tar.extractfile(member)
        assert content is not None
        with path.open("wb") as file:
            shutil.copyfileobj(content, file, _PIECE)
    path.chmod(member.mode & 0o777)


class _Reader(io.RawIOBase):
    """A stream of pieces as a file."""

    def __init__(self, pieces: Iterator[bytes]) -> None:
        self._pieces, self._rest = pieces, b""

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        while size < 0 or len(self._rest) < size:
            piece = next(self._pieces, None)
            if piece is None:
                break
            self._rest += piece
        data, self._rest = (self._rest, b"") if size < 0 else (self._rest[:size], self._rest[size:])
        return data
