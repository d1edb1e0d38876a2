"""What a function needs besides itself: the folder it was written in, and the modules there.

Modules that are not installed (those beside the notebook, and those imported from elsewhere, e.g.
a checkout) travel with the job by content, so that an edit is seen by the next job and every node,
however late it comes, has the same.
"""

from __future__ import annotations

import hashlib
import os
import sys
import time
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from io import BytesIO
from pathlib import Path
from typing import Any

from jupyter_cluster.errors import SerializationError

MAX_BYTES = 20_000_000
MAX_FILES = 2000
# Not the user's, or on every node already.
_SKIPPED = {"node_modules", "site-packages", "__pycache__", "venv", "build", "dist"}
_SKIPPED |= {"jupyter_cluster"}
# How long the folder is taken for unchanged: calls in a loop need not look each time.
_FRESH_SECONDS = 0.5


@dataclass(frozen=True)
class Environment:
    """Where and with which modules tasks run.

    Attributes
    ----------
    digest : str
        SHA-256 of the archive; empty where there are no modules.
    archive : bytes
        The modules as a zip file.
    names : tuple of str
        Of the modules and packages in it.
    """

    folder: str
    digest: str
    archive: bytes
    names: tuple[str, ...] = ()

    @property
    def spec(self) -> dict[str, str]:
        """As a job carries it."""
        modules = {"modules": self.digest} if self.digest else {}
        return {"folder": self.folder, **modules}


def modules_messages(environment: Environment) -> list[dict[str, Any]]:
    """What has to be sent before the first job that needs the modules."""
    if not environment.digest:
        return []
    return [{"op": "modules", "digest": environment.digest, "archive": environment.archive}]


class Surroundings:
    """Finds the modules that are not installed, and notices when they change."""

    def __init__(self) -> None:
        self._checked = 0.0
        self._signature: object = None
        self._environment = Environment("", "", b"")

    def now(self, fresh: bool = False) -> Environment:
        """As they are; or, unless `fresh`, as they were at most half a second ago.

        Raises
        ------
        SerializationError
            They are too large to travel with every job.
        """
        if fresh or time.monotonic() - self._checked > _FRESH_SECONDS:
            members = dict(_members())
            stats = ((name, path.stat()) for name, path in members.items())
            signature = (os.getcwd(), [(name, s.st_mtime_ns, s.st_size) for name, s in stats])
            if signature != self._signature:
                self._environment = _pack(members)
                self._signature = signature
            self._checked = time.monotonic()
        return self._environment


def _members() -> Iterator[tuple[str, Path]]:
    """Files to send: what can be imported beside the notebook, then what was from elsewhere."""
    root = _root()
    for child in sorted(root.iterdir()):
        if child.suffix == ".py" or _is_package(child):
            yield from _tree(child)
    for name, module in list(sys.modules.items()):
        file = getattr(module, "__file__", None)
        if file is None and "." not in name:
            yield from _portions(module)
        if file and "." not in name and name != "__main__" and _is_local(file):
            path = Path(file)
            top = path.parent if path.name == "__init__.py" else path
            if top.parent != root and path.is_file():
                yield from _tree(top)


def _portions(module: Any) -> Iterator[tuple[str, Path]]:
    """The modules of a folder without ``__init__.py`` that was imported as a package.

    It may be any folder, with data beside them: of that nothing is sent.
    """
    for portion in map(Path, getattr(module, "__path__", ())):
        if portion.is_dir() and not _is_installed(portion) and not _SKIPPED & set(portion.parts):
            yield from ((n, path) for n, path in _tree(portion) if path.suffix == ".py")


def _root() -> Path:
    """The folder whose modules `import` finds first: the script's, or the notebook's."""
    main = getattr(sys.modules.get("__main__"), "__file__", None)
    if main and not _is_installed(Path(main)):
        return Path(main).resolve().parent
    return Path.cwd()


def _is_installed(path: Path) -> bool:
    """Whether a file came with Python or with a package: the nodes have it, or get it as such."""
    return path.is_relative_to(sys.prefix) or path.is_relative_to(sys.base_prefix)


@cache  # hundreds of modules are loaded, and a cell looks at each of them
def _is_local(file: str) -> bool:
    """Whether a module's file is the user's own."""
    path = Path(file)
    return path.suffix == ".py" and not _is_installed(path) and not _SKIPPED & set(path.parts)


def _is_package(path: Path) -> bool:
    return path.name not in _SKIPPED and (path / "__init__.py").is_file()


def _tree(path: Path) -> Iterator[tuple[str, Path]]:
    """A module, or all files of a package, each with its name within the archive."""
    if path.is_file():
        yield path.name, path
        return
    for file in sorted(path.rglob("*")):
        inside = file.relative_to(path.parent)
        if file.is_file() and file.suffix != ".pyc" and not _SKIPPED & set(inside.parts):
            yield str(inside), file


def _pack(members: dict[str, Path]) -> Environment:
    size = sum(path.stat().st_size for path in members.values())
    if size > MAX_BYTES or len(members) > MAX_FILES:
        largest = max(members.values(), key=lambda path: path.stat().st_size)
        raise SerializationError(
            f"the modules beside the notebook are {len(members)} files of {size / 1e6:.0f} MB; at"
            f" most {MAX_FILES} files of {MAX_BYTES / 1e6:.0f} MB travel with a job. The largest is"
            f" {largest}; start in a folder of its own, or install them as a package"
        )
    if not members:
        return Environment(os.getcwd(), "", b"")
    buffer = BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, path in members.items():
            # A fixed date: the same content has the same digest.
            archive.writestr(zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0)), path.read_bytes())
    content = buffer.getvalue()
    names = tuple(sorted({name.partition("/")[0].removesuffix(".py") for name in members}))
    return Environment(os.getcwd(), hashlib.sha256(content).hexdigest(), content, names)
