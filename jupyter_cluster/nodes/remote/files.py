"""On a host: take files from a stream and put them in place; say what is there.

    python3 files.py have STORE                 prints the index as JSON
    python3 files.py take STORE ROOTS < PACK    takes a pack from the input, keeps it, applies it
    python3 files.py fetch STORE ROOTS CREDENTIALS ADDRESS PACK
                                                gets a pack from another node, then as `take`

ROOTS is a JSON map to paths on this host from the keys that names in packs begin with; what belongs
to another key is left alone.

A pack is a tar file named by its content. Its first member is a manifest: the new index of files,
and the modes of folders; another one at its end corrects it, where files have changed on their way.
The store keeps the packs in their order, for hosts that come later; one that says that it is whole
has all that those before it had.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import sys
import tarfile
import threading
from typing import Any

MANIFEST = ".jupyter-cluster-manifest"
# The stores of a cluster's folder: of file mounts, and of what the head's side has changed since.
MOUNTS, SYNCED = "mounts", "synced"
PIECE = 1 << 20
# The host's watch sees by this file that set-up goes on.
PROGRESS = "/var/lib/jupyter-cluster/progress"
# How a tar file ends.
END = bytes(2 * tarfile.BLOCKSIZE)


def index_path(store: str) -> str:
    """Where a store keeps what it has."""
    return os.path.join(store, "index.json")


def read_index(store: str) -> dict[str, Any]:
    """Packs in their order, files and folders of the last, and which packs were applied."""
    try:
        with open(index_path(store)) as file:
            index: dict[str, Any] = json.load(file)
            return index
    except (OSError, ValueError):
        pass
    index = {"packs": [], "files": {}, "folders": {}, "applied": []}
    folder, name = os.path.split(os.path.abspath(store))
    if name == SYNCED:  # what the head has changed begins where the file mounts end
        mounts = read_index(os.path.join(folder, MOUNTS))
        index["files"], index["folders"] = mounts["files"], mounts.get("folders", {})
    return index


def write_index(store: str, index: dict[str, Any]) -> None:
    """Whole or not at all."""
    partial = index_path(store) + ".part"
    with open(partial, "w") as file:
        json.dump(index, file)
    os.replace(partial, index_path(store))


class Arriving:
    """A pack on its way into a file; it can be read as far as it has come, who reads waits."""

    def __init__(self, path: str) -> None:
        self._file = open(path, "wb", buffering=0)  # noqa: SIM115 - closed in `close`
        self._reader = open(path, "rb")  # noqa: SIM115
        self._size, self._ended, self._tail = 0, False, b""
        self._error: Exception | None = None
        self._hash = hashlib.sha256()
        self._changed = threading.Condition()

    def receive(self, source: Any) -> None:
        """Write all that comes."""
        try:
            while piece := source.read1(PIECE):
                show_progress()
                write_all(self._file.fileno(), piece)
                self._hash.update(piece)
                self._tail = (self._tail + piece)[-len(END) :]
                with self._changed:
                    self._size += len(piece)
                    self._changed.notify()
        except Exception as error:
            self._error = error
        with self._changed:
            self._ended = True
            self._changed.notify()

    def read(self, size: int) -> bytes:
        """As of a file that is there already."""
        end = self._reader.tell() + size
        if not self._ended and self._size < end:
            with self._changed:
                self._changed.wait_for(lambda: self._ended or self._size >= end)
        return self._reader.read(size)

    def seek(self, offset: int) -> int:
        """To a position from the beginning."""
        return self._reader.seek(offset)

    def tell(self) -> int:
        """The position."""
        return self._reader.tell()

    def close(self) -> None:
        """Let go of the file."""
        self._file.close()
        self._reader.close()

    @property
    def is_whole(self) -> bool:
        """Whether it has come to its end, and not only stopped."""
        return self._ended and self._tail == END

    def digest(self) -> str:
        """Of the whole, once it has come; an error on the way is raised here."""
        with self._changed:
            self._changed.wait_for(lambda: self._ended)
        if self._error is not None:
            raise self._error
        return self._hash.hexdigest()


def show_progress() -> None:
    """Tell the host's watch, where it has one."""
    try:
        os.utime(PROGRESS)
    except OSError:
        pass  # a host that was there before us


def take(store: str, source: Any, roots: dict[str, str] | None = None, expected: str = "") -> str:
    """Keep a pack; returns its name, the digest of its content.

    With `roots` it is applied too: while it comes, or, where its name is known beforehand, only
    when it has come and is what its name says. One that is cut off is not kept, and what was
    applied of it is applied again the next time.
    """
    os.makedirs(store, mode=0o700, exist_ok=True)
    if roots is not None:
        apply(store, roots)  # those before it
    partial = os.path.join(store, f"incoming.{os.getpid()}.part")
    arriving = Arriving(partial)
    try:
        threading.Thread(target=arriving.receive, args=(source,), daemon=True).start()
        index = read_index(store)
        is_applied = False
        if roots is not None and not expected:
            is_applied = True
            try:
                apply_pack(arriving, roots, index)
            except (tarfile.ReadError, ValueError):
                arriving.digest()  # raises why the pack was cut off, where that is known
                raise
        name = arriving.digest()
        if expected not in ("", name):
            sys.exit(f"the pack {expected} arrived damaged")
        if not arriving.is_whole:
            sys.exit("the pack was cut off on its way")
        os.replace(partial, os.path.join(store, name + ".tar"))
    finally:
        arriving.close()
        if os.path.exists(partial):
            os.unlink(partial)
    if name not in index["packs"]:
        index["packs"].append(name)
    if is_applied and name not in index["applied"]:
        index["applied"].append(name)
    write_index(store, index)
    if roots is not None:
        apply(store, roots)
        forget(store)
    return name


def forget(store: str) -> None:
    """Delete the packs before one that is whole: nobody needs them any more."""
    index = read_index(store)
    if index.pop("whole", False):
        gone, index["packs"] = index["packs"][:-1], index["packs"][-1:]
        index["applied"] = [name for name in index["applied"] if name in index["packs"]]
        write_index(store, index)
        for name in gone:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(os.path.join(store, name + ".tar"))


def apply(store: str, roots: dict[str, str]) -> None:
    """Apply the packs that were not applied yet."""
    index = read_index(store)
    for name in index["packs"]:
        if name not in index["applied"]:
            with open(os.path.join(store, name + ".tar"), "rb") as data:
                apply_pack(data, roots, index)
            index["applied"].append(name)
            write_index(store, index)


def apply_pack(data: Any, roots: dict[str, str], index: dict[str, Any]) -> None:
    """Put the files of a pack in place, and take those away that are no more."""
    roots = {key: os.path.expanduser(root) for key, root in roots.items()}
    with tarfile.open(fileobj=data, mode="r:") as pack:
        follow(roots, index, content(data, pack.next()))
        begin = pack.offset
        made: set[str] = set()
        for member in pack:
            if member.name == MANIFEST:
                if member.offset >= begin:
                    follow(roots, index, content(data, member))
            elif path := place(roots, member.name):
                put(data, member, path, made)
    # Last, since a folder may be one that its owner must not write to.
    for folder, mode in sorted(index["folders"].items(), reverse=True):
        if path := place(roots, folder):
            os.chmod(path, mode)


def follow(roots: dict[str, str], index: dict[str, Any], manifest: bytes) -> None:
    """Take away what is no more, and make the folders."""
    found = json.loads(manifest)
    before = index.get("folders", {})
    for folder in before:  # what is made or taken away in them now
        with contextlib.suppress(OSError):
            os.chmod(place(roots, folder), 0o700)
    for gone in sorted(set(index["files"]) - set(found["files"])):
        with contextlib.suppress(OSError):  # it is gone already
            os.unlink(place(roots, gone))
    for gone in sorted(set(before) - set(found["folders"]), reverse=True):
        with contextlib.suppress(OSError):  # it holds what is not ours
            os.rmdir(place(roots, gone))
    for folder in sorted(found["folders"]):
        if path := place(roots, folder):
            os.makedirs(path, exist_ok=True)
    index["files"], index["folders"] = found["files"], found["folders"]
    index["whole"] = found.get("whole", False)


def content(data: Any, member: tarfile.TarInfo | None, most: int = -1) -> bytes:
    """What is in a member, from where it lies in the pack; at most so many bytes."""
    if member is None or not member.isfile():
        raise ValueError("the pack has a member that is no file")
    data.seek(member.offset_data)
    found: bytes = data.read(member.size if most < 0 else min(member.size, most))
    return found


def place(roots: dict[str, str], name: str) -> str:
    """Where a member goes: its first part is the key of a target. Empty where there is none."""
    key, _, rest = name.partition("/")
    if ".." in rest.split("/"):
        raise ValueError(f"{name} leaves its target")
    root = roots.get(key, "")
    return os.path.join(root, rest) if root and rest else root


def put(data: Any, member: tarfile.TarInfo, path: str, made: set[str]) -> None:
    """Write one file or link; who reads a file that was there sees the old one or the new one."""
    folder = os.path.dirname(path) or "."
    if folder not in made:
        os.makedirs(folder, exist_ok=True)
        made.add(folder)
    if member.issym():
        partial = path + ".jupyter-cluster-part"
        with contextlib.suppress(FileNotFoundError):
            os.unlink(partial)
        os.symlink(member.linkname, partial)
        os.replace(partial, path)
        return
    if os.path.isdir(path) and not os.path.islink(path):
        os.rmdir(path)  # a file takes its place; one that holds what is not ours is named
    try:
        write(data, member, path, os.O_EXCL)
    except FileExistsError:
        partial = path + ".jupyter-cluster-part"
        write(data, member, partial, os.O_TRUNC)
        os.replace(partial, path)


def write(data: Any, member: tarfile.TarInfo, path: str, how: int) -> None:
    """Write a member's content with its mode and time; a piece at a time, since it may be large."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | how, 0o600)
    try:
        piece = content(data, member, PIECE)
        left = member.size - len(piece)
        write_all(descriptor, piece)
        while left:
            piece = data.read(min(left, PIECE))
            if not piece:
                raise ValueError(f"{member.name} is cut off")
            left -= len(piece)
            write_all(descriptor, piece)
        os.fchmod(descriptor, member.mode)
        os.utime(descriptor, (member.mtime, member.mtime))
    finally:
        os.close(descriptor)


def write_all(descriptor: int, piece: bytes) -> None:
    """A full disk takes a part, and refuses the next."""
    written = os.write(descriptor, piece)
    while written < len(piece):
        written += os.write(descriptor, piece[written:])


def fetch(store: str, roots: dict[str, str], credentials: str, address: str, name: str) -> None:
    """Get a pack from another node; what arrives is what the name says, or nothing."""
    # Here and not above: the two take longer to import than a small pack takes to apply.
    import http.client
    import ssl

    from share import context  # type: ignore[import-not-found] # lies beside this on the host

    host, _, port = address.rpartition(":")
    tls = context(credentials, ssl.Purpose.SERVER_AUTH)
    connection = http.client.HTTPSConnection(host, int(port), timeout=20, context=tls)
    connection.request("GET", "/" + name)
    answer = connection.getresponse()
    if answer.status != 200:
        sys.exit(f"{address} does not have the pack {name}")
    take(store, Telling(answer), roots, name)


class Telling:
    """What comes from elsewhere: who has asked for it sees on the output that it does."""

    def __init__(self, source: Any) -> None:
        self._source = source

    def read1(self, size: int) -> bytes:
        """As of the source."""
        print(end=".", flush=True)
        piece: bytes = self._source.read1(size)
        return piece


def main(what: str, store: str, roots: str = "{}", *where: str) -> None:
    """See the module."""
    if what == "have":
        print(json.dumps(read_index(store)))
    elif what == "take":
        take(store, sys.stdin.buffer, json.loads(roots))
    elif what == "fetch":
        fetch(store, json.loads(roots), *where)


if __name__ == "__main__":
    main(sys.argv[1], os.path.expanduser(sys.argv[2]), *sys.argv[3:])
