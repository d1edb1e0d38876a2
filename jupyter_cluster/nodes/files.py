"""Files and folders for nodes: what there is, what a node lacks, and that as a stream of tar.

Content decides, not dates: a file that was only touched is not sent again. What is sent is kept on
the node as a *pack*, so that nodes that come later get the same bytes.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import stat
import tarfile
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from io import FileIO
from pathlib import Path
from typing import Any

import pathspec

from jupyter_cluster.errors import SetupError
from jupyter_cluster.nodes.remote.files import MANIFEST

_PIECE = 2**18
_BLOCK = tarfile.BLOCKSIZE


@dataclass
class Tree:
    """Files as they are at this moment, by their name in a pack: the number of the target, a path.

    Attributes
    ----------
    targets : tuple of str
        Paths on the nodes; a name's number counts them.
    files : dict
        Of each name: digest, or link's goal; mode; size in bytes.
    paths : dict
        Where each file lies here.
    folders : list of str
        Names of targets that are folders, and of empty folders.
    """

    targets: tuple[str, ...] = ()
    files: dict[str, tuple[str, int, int]] = field(default_factory=dict)
    paths: dict[str, Path] = field(default_factory=dict)
    folders: list[str] = field(default_factory=list)

    @property
    def size(self) -> int:
        """Bytes of all files."""
        return sum(size for _digest, _mode, size in self.files.values())


def scan(mounts: Mapping[str, str], exclude: Iterable[str], filters: Iterable[str]) -> Tree:
    """Look at all files of the mounts (path on the node: path here).

    Parameters
    ----------
    exclude
        Patterns as in a .gitignore, of what stays here.
    filters
        Names of files, in the folders themselves, that hold such patterns.

    Raises
    ------
    SetupError
        A file cannot be read.
    """
    tree = Tree(tuple(sorted(mounts)))
    rules, names = _rules(exclude), tuple(filters)
    for number, target in enumerate(tree.targets):
        here = Path(mounts[target])
        try:
            if here.is_dir():
                tree.folders.append(str(number))
                _scan_folder(tree, here, str(number), [("", rules)], names)
            else:
                _add(tree, here, str(number))
        except OSError as error:
            raise SetupError(
                f"file_mounts.{target}: {error.filename or here} cannot be read: {error.strerror}",
                "syncing-files",
            ) from error
    return tree


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
            rules = [*rules, (name.partition("/")[2], _rules(file.read_text().splitlines()))]
    is_empty = True
    for entry in sorted(os.scandir(folder), key=lambda entry: entry.name):
        inner = f"{name}/{entry.name}"
        is_folder = entry.is_dir(follow_symlinks=False)
        if _is_excluded(inner.partition("/")[2], is_folder, rules):
            continue
        is_empty = False
        if is_folder:
            _scan_folder(tree, Path(entry.path), inner, rules, filters)
        else:
            _add(tree, Path(entry.path), inner)
    if is_empty:
        tree.folders.append(name)


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
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        tree.files[name] = (digest, stat.S_IMODE(status.st_mode), status.st_size)
    else:
        return  # sockets, pipes and devices are no files to copy
    tree.paths[name] = path


def lacking(tree: Tree, index: Mapping[str, Any]) -> list[str]:
    """Names of the files that a node with this index lacks, or has with another content."""
    there = index.get("files", {})
    return [name for name, entry in tree.files.items() if list(entry) != there.get(name)]


def is_current(tree: Tree, index: Mapping[str, Any]) -> bool:
    """Whether a node with this index has just these files."""
    return not lacking(tree, index) and not set(index.get("files", {})) - set(tree.files)


def pack(tree: Tree, names: Iterable[str]) -> Iterator[bytes]:
    """A tar stream of the manifest and of these files, in pieces.

    Raises
    ------
    SetupError
        A file has changed since it was looked at.
    """
    buffer = io.BytesIO()
    for data in _members(tree, names):
        buffer.write(data)
        if buffer.tell() >= _PIECE:
            yield buffer.getvalue()
            buffer = io.BytesIO()
    yield buffer.getvalue() + bytes(2 * _BLOCK)


def _members(tree: Tree, names: Iterable[str]) -> Iterator[bytes]:
    manifest = json.dumps({"files": tree.files, "folders": tree.folders}).encode()
    yield _header(MANIFEST, len(manifest), 0o600, 0)
    yield _padded(manifest)
    for name in names:
        goal, mode, size = tree.files[name]
        path = tree.paths[name]
        if goal.startswith("-> "):
            yield _header(name, 0, mode, 0, goal[3:])
            continue
        with path.open("rb", buffering=0) as file:
            yield _header(name, size, mode, os.fstat(file.fileno()).st_mtime)
            yield from _content(file, path, size)


def _header(name: str, size: int, mode: int, mtime: float, link: str = "") -> bytes:
    info = tarfile.TarInfo(name)
    info.size, info.mode, info.mtime = size, mode, int(mtime)
    if link:
        info.type, info.linkname = tarfile.SYMTYPE, link
    return info.tobuf(tarfile.PAX_FORMAT)


def _padded(data: bytes) -> bytes:
    return data + bytes(-len(data) % _BLOCK)


def _content(file: FileIO, path: Path, size: int) -> Iterator[bytes]:
    left = size
    while left > 0 and (data := file.read(min(left, _PIECE))):
        left -= len(data)
        yield data
    if left or file.read(1):
        raise SetupError(f"{path} has changed while it was sent; try again", "syncing-files")
    yield bytes(-size % _BLOCK)
