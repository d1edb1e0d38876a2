"""The hosts of a cluster, for those who want to go there: shells, commands, files."""

from __future__ import annotations

import contextlib
import io
import os
import posixpath
import shlex
import tarfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from jupyter_cluster.client.endpoint import Endpoint
from jupyter_cluster.client.registry import HOST_FILE, Entry
from jupyter_cluster.client.tunnel import login_of, tunnel_of
from jupyter_cluster.config import ClusterConfig
from jupyter_cluster.errors import ClusterError, SetupError, UsageError
from jupyter_cluster.nodes.container import container_of
from jupyter_cluster.nodes.node import Node, folder_of
from jupyter_cluster.nodes.ssh import HostKeys, OnLine, Ssh, connect
from jupyter_cluster.providers.base import HEAD_NODE

_PIECE = 2**18


@contextlib.contextmanager
def node_of(place: Entry, name: str = HEAD_NODE, on_line: OnLine = print) -> Iterator[Node]:
    """A node of a cluster, reached by SSH; a worker through its head.

    Raises
    ------
    UsageError
        The cluster runs on this machine, or has no such node now.
    ConnectionLostError, SetupError
        It cannot be reached.
    """
    if not place.is_hosted:
        raise UsageError(f"cluster {place.name!r} is on this machine: it has no hosts to go to")
    config = ClusterConfig.model_validate_json((place.folder / "config.json").read_text())
    head = tunnel_of(place).ssh()
    with contextlib.ExitStack() as stack:
        node_type = config.head_node_type
        ssh = head
        if name != HEAD_NODE:
            row = _row_of(place, name)
            node_type = row["type"]
            ssh = stack.enter_context(contextlib.closing(_through(place, head, row)))
        home, folder = folder_of(ssh, place.identity()["id"])
        node = Node(ssh, folder, home, on_line)
        node.container = container_of(config, node_type, name == HEAD_NODE, 0, 0)
        yield node


def _row_of(place: Entry, name: str) -> dict[str, Any]:
    rows = Endpoint(place).get("nodes")
    for row in rows:
        if row["id"] == name and row["address"]:
            return dict(row)
    there = ", ".join([HEAD_NODE, *(row["id"] for row in rows if row["address"])])
    raise UsageError(f"cluster {place.name!r} has no node {name!r} now; it has {there}")


def _through(place: Entry, head: Ssh, row: dict[str, Any]) -> Ssh:
    host = place.read(HOST_FILE)
    login = login_of({**host, "proxy_command": None})
    try:
        channel = head.channel(row["address"], login.port)
    except OSError as error:
        raise SetupError(f"{row['id']} does not answer on its SSH port: {error}") from error
    keys = HostKeys(place.folder / "known_hosts")
    return connect(row["address"], login, row["machine"] or row["address"], keys, channel)


# -- files ----------------------------------------------------------------------------------------


def send(node: Node, source: Path, target: str) -> int:
    """Copy a file, or what is in a folder, to a node; returns the number of files.

    As with rsync, a folder with a slash at its end means what is in it.

    Raises
    ------
    UsageError
        There is no such file here.
    """
    if not source.exists():
        raise UsageError(f"there is no {source} here")
    members = list(_members(source, target))
    node.inside_from("tar -x -C / --no-same-owner -f -", _packed(members, _absolute(node, target)))
    return len(members)


def _absolute(node: Node, target: str) -> str:
    if target == "~" or target.startswith("~/"):
        return node.inside_home() + target[1:]
    return target if target.startswith("/") else posixpath.join(node.inside_home(), target)


def _members(source: Path, target: str) -> Iterator[tuple[Path, str]]:
    """Files here, and their paths below the target."""
    if source.is_file():
        yield source, source.name if target.endswith("/") else ""
        return
    for path in sorted(source.rglob("*")):
        if path.is_file() and not path.is_symlink():
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


def receive(node: Node, source: str, target: Path) -> int:
    """Copy a file, or what is in a folder, from a node; returns the number of files.

    Raises
    ------
    UsageError
        There is no such file there.
    """
    path = _absolute(node, source.rstrip("/") or "/")
    quoted = shlex.quote(path)
    ask = f"test -d {quoted} && echo folder || {{ test -e {quoted} && echo file || echo none; }}"
    kind = node.quiet_inside(ask).split()[-1]
    if kind == "none":
        raise UsageError(f"there is no {source} on {node.ssh.address}")
    is_folder = kind == "folder"
    if is_folder:
        command = f"tar -c -C {quoted} -f - ."
    else:
        folder, name = posixpath.split(path)
        command = f"tar -c -C {shlex.quote(folder)} -f - {shlex.quote(name)}"
    with tarfile.open(fileobj=_Reader(node.read_inside(command)), mode="r|") as tar:
        return sum(_extract(tar, member, target, is_folder) for member in tar)


def _extract(tar: tarfile.TarFile, member: tarfile.TarInfo, target: Path, is_folder: bool) -> bool:
    if not member.isfile():
        return False
    into_folder = is_folder or target.is_dir() or str(target).endswith(os.sep)
    path = target / member.name if into_folder else target
    if ".." in path.relative_to(target).parts:
        raise ClusterError(f"the node sends {member.name}, which would leave {target}")
    path.parent.mkdir(parents=True, exist_ok=True)
    content = tar.extractfile(member)
    assert content is not None
    with path.open("wb") as file:
        while piece := content.read(_PIECE):
            file.write(piece)
    path.chmod(member.mode & 0o777)
    return True


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
