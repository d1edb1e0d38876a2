"""Files and folders for nodes: what there is, what a node lacks, and that as a stream of tar.

Content decides, not dates: a file that was only touched is not sent again. What is sent is kept on
the node as a *pack*, so that nodes that come later get the same bytes.

Files change while they are looked at and sent: logs grow, others are written anew or go. A file is
sent as long as it was when it was looked at; where it is another one by then, it is sent again at
the end of the pack, and the pack's last word is what was sent indeed.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import io
import json
import os
import stat
import tarfile
import time
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from io import FileIO
from pathlib import Path
from typing import Any

import pathspec

from jupyter_cluster.errors import SetupError
from jupyter_cluster.nodes.remote.files import MANIFEST

_PIECE = 2**18
# So often a file is sent that changes while it is sent.
_ROUNDS = 3
# Digest, or goal of a link; mode; size.
Entry = tuple[str, int, int]
Known = dict[tuple[int, ...], str]
_SETTLED_SECONDS = 2.0
_BLOCK = tarfile.BLOCKSIZE


@dataclass
class Tree:
    """Files as they are at this moment, by their name in a pack: the key of the target, a path.

    Attributes
    ----------
    files : dict
        Of each name: digest, or link's goal; mode; size in bytes.
    paths : dict
        Where each file lies here.
    folders : dict
        The mode of each folder.
    left_out : list of str
        Pipes, sockets and devices, which are no files to copy.
    known : dict
        Digests by what a file is: device, number, size, times.
    """

    files: dict[str, Entry] = field(default_factory=dict)
    paths: dict[str, Path] = field(default_factory=dict)
    folders: dict[str, int] = field(default_factory=dict)
    left_out: list[str] = field(default_factory=list)
    known: Known = field(default_factory=dict)

    @property
    def size(self) -> int:
        """Bytes of all files."""
        return sum(size for _digest, _mode, size in self.files.values())


def key_of(target: str) -> str:
    """What the names of a target's files begin with, whatever other targets there are."""
    return hashlib.sha256(target.encode(errors="surrogateescape")).hexdigest()[:12]


def scan(
    mounts: Mapping[str, str],
    exclude: Iterable[str],
    filters: Iterable[str],
    known: Known | None = None,
) -> Tree:
    """Look at all files of the mounts (path on the node: path here).

    Parameters
    ----------
    exclude
        Patterns as in a .gitignore, of what stays here.
    filters
        Names of files, in the folders themselves, that hold such patterns.
    known
        Digests of files from former looks, which are not read again while they are the same.

    Raises
    ------
    SetupError
        A file cannot be read.
    """
    tree = Tree(known={} if known is None else known)
    rules, names = _rules(exclude), tuple(filters)
    for target in sorted(mounts):
        here, key = Path(mounts[target]), key_of(target)
        try:
            if here.is_dir():
                _scan_folder(tree, here, key, [("", rules)], names)
            else:
                _add(tree, here.resolve(strict=True), key)
        except OSError as error:
            raise _unreadable(error, here, f"file_mounts.{target}: ") from error
        if not {key} & (tree.folders.keys() | tree.files.keys()):
            raise SetupError(
                f"file_mounts.{target}: {here} is neither a file nor a folder", "syncing-files"
            )
    return tree


def _unreadable(error: OSError, path: Path, where: str = "") -> SetupError:
    text = f"{where}{error.filename or path} cannot be read: {error.strerror}"
    return SetupError(text, "syncing-files")


Rules = Any  # pathspec's own type takes parameters that differ between its versions


def _rules(lines: Iterable[str]) -> Rules:
    return pathspec.GitIgnoreSpec.from_lines(lines)


def _scan_folder(
    tree: Tree,
    folder: Path,
    name: str,
    rules: list[tuple[str, Rules]],
    filters: tuple[str, ...],
) -> None:
    """Go through a folder; `rules` are those of the folders above, each with where it holds."""
    for filter_ in filters:
        file = folder / filter_
        if file.is_file():
            lines = file.read_text(errors="surrogateescape").splitlines()
            rules = [*rules, (name.partition("/")[2], _rules(lines))]
    tree.folders[name] = stat.S_IMODE(folder.stat().st_mode)
    for entry in sorted(os.scandir(folder), key=lambda entry: entry.name):
        inner = f"{name}/{entry.name}"
        is_folder = entry.is_dir(follow_symlinks=False)
        if _is_excluded(inner.partition("/")[2], is_folder, rules):
            continue
        with contextlib.suppress(FileNotFoundError):  # it has gone meanwhile
            if is_folder:
                _scan_folder(tree, Path(entry.path), inner, rules, filters)
            else:
                _add(tree, Path(entry.path), inner)


def _is_excluded(path: str, is_folder: bool, rules: list[tuple[str, Rules]]) -> bool:
    for base, rule in rules:
        inside = path[len(base) :].lstrip("/") if base else path
        if rule.match_file(inside + "/" * is_folder):
            return True
    return False


def _add(tree: Tree, path: Path, name: str) -> None:
    status = path.lstat()
    if stat.S_ISLNK(status.st_mode):
        tree.files[name] = (f"-> {path.readlink()}", 0o777, 0)
    elif stat.S_ISREG(status.st_mode):
        tree.files[name] = _look(path, tree.known)
    else:
        tree.left_out.append(str(path))
        return
    tree.paths[name] = path


def _look(path: Path, known: Known) -> Entry:
    with _open(path) as file:
        status = os.fstat(file.fileno())
        mode = stat.S_IMODE(status.st_mode)
        same = (
            status.st_dev,
            status.st_ino,
            status.st_size,
            status.st_mtime_ns,
            status.st_ctime_ns,
        )
        if found := known.get(same):
            return found, mode, status.st_size
        digest, size = hashlib.sha256(), 0
        while data := file.read(min(_PIECE, status.st_size - size)):
            digest.update(data)
            size += len(data)
    # What was written a moment ago may be written again without another time.
    if time.time() - status.st_mtime > _SETTLED_SECONDS and size == status.st_size:
        known[same] = digest.hexdigest()
    return digest.hexdigest(), mode, size


def _open(path: Path) -> FileIO:
    """A plain file; who waits at a pipe that has taken its place would wait for ever.

    Raises
    ------
    FileNotFoundError
        There is none, or something else.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    file = open(descriptor, "rb", buffering=0)  # noqa: SIM115 - the caller closes it
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        file.close()
        raise FileNotFoundError(errno.ENOENT, "it is no file any more", str(path))
    return file


def lacking(tree: Tree, index: Mapping[str, Any]) -> list[str]:
    """Names of the files that a node with this index lacks, or has with another content."""
    there = index.get("files", {})
    return [name for name, entry in tree.files.items() if list(entry) != there.get(name)]


def is_current(tree: Tree, index: Mapping[str, Any]) -> bool:
    """Whether a node with this index has just these files."""
    return (
        not lacking(tree, index)
        and not set(index.get("files", {})) - set(tree.files)
        and index.get("folders") == tree.folders
    )


def pack(
    tree: Tree,
    names: Iterable[str],
    notice: Callable[[str], None] = lambda _text: None,
    whole: bool = False,
) -> Iterator[bytes]:
    """A tar stream of the manifest and of these files, in pieces.

    Parameters
    ----------
    notice
        Told of files that never were the same twice.
    whole
        Whether nobody needs those before it.

    Raises
    ------
    SetupError
        A file cannot be read any more.
    """
    buffer = io.BytesIO()
    for data in _members(tree, list(names), notice, whole):
        buffer.write(data)
        if buffer.tell() >= _PIECE:
            yield buffer.getvalue()
            buffer = io.BytesIO()
    yield buffer.getvalue() + bytes(2 * _BLOCK)


def _members(
    tree: Tree, names: list[str], notice: Callable[[str], None], whole: bool
) -> Iterator[bytes]:
    yield from _manifest(tree.files, tree.folders, whole)
    sent, moving = dict(tree.files), names
    for number in range(_ROUNDS):
        names, moving = moving, []
        for name in names:
            promised = tree.files[name] if number == 0 else None
            found = yield from _member(tree.paths[name], name, promised)
            if found is None:
                sent.pop(name, None)
                continue
            sent[name], is_settled = found
            if not is_settled:
                moving.append(name)
    if moving:
        paths = ", ".join(str(tree.paths[name]) for name in moving[:3])
        notice(f"written to all the time, and copied as they were at one moment: {paths}")
    if sent != tree.files:
        tree.files = sent  # who keeps an index of it has what was sent
        yield from _manifest(sent, tree.folders, whole)


def _manifest(
    files: Mapping[str, Entry], folders: Mapping[str, int], whole: bool
) -> Iterator[bytes]:
    manifest = json.dumps({"files": files, "folders": folders, "whole": whole}).encode()
    yield _header(MANIFEST, len(manifest), 0o600, 0)
    yield _padded(manifest)


def _member(
    path: Path, name: str, promised: Entry | None
) -> Generator[bytes, None, tuple[Entry, bool] | None]:
    """Send a file; returns what was sent, and whether it was one file from begin to end.

    None where it has gone. Of a file that was looked at before, just so much is sent: a log may
    have grown meanwhile, and is the same up to there.
    """
    if promised is not None and promised[0].startswith("-> "):
        yield _header(name, 0, promised[1], 0, promised[0][3:])
        return promised, True
    try:
        file = _open(path)
    except OSError as error:
        if error.errno in (errno.ENOENT, errno.ELOOP, errno.ENOTDIR, errno.ENXIO):
            return None
        raise _unreadable(error, path) from error
    with file:
        before = os.fstat(file.fileno())
        size = before.st_size if promised is None else promised[2]
        mode = stat.S_IMODE(before.st_mode)
        yield _header(name, size, mode, before.st_mtime)
        digest = yield from _content(file, path, size)
        after = os.fstat(file.fileno())
    is_still = (before.st_size, before.st_mtime_ns) == (after.st_size, after.st_mtime_ns)
    is_settled = is_still and size <= after.st_size if promised is None else digest == promised[0]
    return (digest, mode, size), is_settled


def _header(name: str, size: int, mode: int, mtime: float, link: str = "") -> bytes:
    info = tarfile.TarInfo(name)
    info.size, info.mode, info.mtime = size, mode, int(mtime)
    if link:
        info.type, info.linkname = tarfile.SYMTYPE, link
    return info.tobuf(tarfile.PAX_FORMAT)


def _padded(data: bytes) -> bytes:
    return data + bytes(-len(data) % _BLOCK)


def _content(file: FileIO, path: Path, size: int) -> Generator[bytes, None, str]:
    """So many bytes, whatever there is; returns their digest."""
    left, digest = size, hashlib.sha256()
    try:
        while left > 0 and (data := file.read(min(left, _PIECE))):
            left -= len(data)
            digest.update(data)
            yield data
    except OSError as error:
        raise _unreadable(error, path) from error
    while left > 0:  # it has become shorter; what is sent of it now is sent again
        data = bytes(min(left, _PIECE))
        left -= len(data)
        digest.update(data)
        yield data
    yield bytes(-size % _BLOCK)
    return digest.hexdigest()
