"""On a host: take files from a stream and put them in place; say what is there.

    python3 files.py have STORE                 prints the index as JSON
    python3 files.py take STORE ROOTS < PACK    takes a pack from the input, keeps it, applies it
    python3 files.py fetch STORE ROOTS CREDENTIALS ADDRESS PACK
                                                gets a pack from another node, then as `take`

ROOTS is a JSON list of paths on this host, by the numbers that names in packs begin with.

A pack is a tar file named by its content. Its first member is a manifest: the new index of files
and where each target lies. The store keeps the packs in their order, for hosts that come later.
"""

from __future__ import annotations

import hashlib
import http.client
import json
import os
import shutil
import ssl
import sys
import tarfile
from typing import Any, BinaryIO

MANIFEST = ".jupyter-cluster-manifest"


def index_path(store: str) -> str:
    """Where a store keeps what it has."""
    return os.path.join(store, "index.json")


def read_index(store: str) -> dict[str, Any]:
    """Packs in their order, the files of the last, and which packs were applied."""
    try:
        with open(index_path(store)) as file:
            index: dict[str, Any] = json.load(file)
            return index
    except (OSError, ValueError):
        return {"packs": [], "files": {}, "applied": []}


def write_index(store: str, index: dict[str, Any]) -> None:
    """Whole or not at all."""
    partial = index_path(store) + ".part"
    with open(partial, "w") as file:
        json.dump(index, file)
    os.replace(partial, index_path(store))


class Tee:
    """Reads a stream and keeps what it has read."""

    def __init__(self, source: BinaryIO, copy: BinaryIO) -> None:
        self.source, self.copy, self.hash = source, copy, hashlib.sha256()

    def read(self, size: int = -1) -> bytes:
        """The next bytes."""
        data = self.source.read(size)
        self.copy.write(data)
        self.hash.update(data)
        return data


def take(store: str, source: Any, expected: str = "") -> str:
    """Keep a pack; returns its name, the digest of its content."""
    os.makedirs(store, mode=0o700, exist_ok=True)
    partial = os.path.join(store, f"incoming.{os.getpid()}.part")
    try:
        with open(partial, "wb") as copy:
            tee = Tee(source, copy)
            while tee.read(1 << 20):
                pass
        name = tee.hash.hexdigest()
        if expected not in ("", name):
            sys.exit(f"the pack {expected} arrived damaged")
        os.replace(partial, os.path.join(store, name + ".tar"))
    finally:
        if os.path.exists(partial):
            os.unlink(partial)
    index = read_index(store)
    if name not in index["packs"]:
        index["packs"].append(name)
        write_index(store, index)
    return name


def apply(store: str, roots: list[str]) -> None:
    """Apply the packs that were not applied yet."""
    index = read_index(store)
    for name in index["packs"]:
        if name not in index["applied"]:
            apply_pack(store, name, roots, index)
            index["applied"].append(name)
            write_index(store, index)


def apply_pack(store: str, name: str, roots: list[str], index: dict[str, Any]) -> None:
    """Put the files of a pack in place, and take those away that are no more."""
    with tarfile.open(os.path.join(store, name + ".tar")) as pack:
        manifest = json.load(content(pack, pack.next()))
        for path in sorted(set(index["files"]) - set(manifest["files"])):
            remove(place(roots, path))
        for member in pack:
            if member.name != MANIFEST:
                put(pack, member, place(roots, member.name))
        for target in manifest["folders"]:
            os.makedirs(place(roots, target), exist_ok=True)
        index["files"] = manifest["files"]


def content(pack: tarfile.TarFile, member: tarfile.TarInfo | None) -> Any:
    """A member as a file."""
    file = pack.extractfile(member) if member else None
    if file is None:
        raise ValueError("the pack has a member that is no file")
    return file


def place(roots: list[str], name: str) -> str:
    """Where a member goes: its first part is the number of a target."""
    number, _, rest = name.partition("/")
    if ".." in rest.split("/"):
        raise ValueError(f"{name} leaves its target")
    root = os.path.expanduser(roots[int(number)])
    return os.path.join(root, rest) if rest else root


def put(pack: tarfile.TarFile, member: tarfile.TarInfo, path: str) -> None:
    """Write one file or link; who reads meanwhile sees the old one or the new one."""
    os.makedirs(os.path.dirname(path) or ".", exist_ok=True)
    if member.issym():
        if os.path.lexists(path):
            os.unlink(path)
        os.symlink(member.linkname, path)
        return
    partial = path + ".jupyter-cluster-part"
    with content(pack, member) as source, open(partial, "wb") as file:
        shutil.copyfileobj(source, file, 1 << 20)
    os.chmod(partial, member.mode)
    os.utime(partial, (member.mtime, member.mtime))
    os.replace(partial, path)


def remove(path: str) -> None:
    """Take a file away, and the folders that are empty then."""
    try:
        os.unlink(path)
        os.removedirs(os.path.dirname(path))
    except OSError:
        pass  # it is gone already, or its folder holds what is not ours


def fetch(store: str, credentials: str, address: str, name: str) -> None:
    """Get a pack from another node; what arrives is what the name says, or nothing."""
    from share import context  # type: ignore[import-not-found] # lies beside this on the host

    host, _, port = address.rpartition(":")
    tls = context(credentials, ssl.Purpose.SERVER_AUTH)
    connection = http.client.HTTPSConnection(host, int(port), timeout=20, context=tls)
    connection.request("GET", "/" + name)
    answer = connection.getresponse()
    if answer.status != 200:
        sys.exit(f"{address} does not have the pack {name}")
    take(store, answer, name)


def main(what: str, store: str, roots: str = "[]", *where: str) -> None:
    """See the module."""
    if what == "take":
        take(store, sys.stdin.buffer)
    if what == "fetch":
        fetch(store, *where)
    if what in ("take", "fetch"):
        apply(store, json.loads(roots))
    print(json.dumps(read_index(store)))


if __name__ == "__main__":
    main(sys.argv[1], os.path.expanduser(sys.argv[2]), *sys.argv[3:])
