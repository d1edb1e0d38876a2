"""What a function needs besides itself: the folder it was written in, and the modules there.

Modules beside the notebook travel with the job by content, so that an edit is seen by the next
job and every node, however late it comes, has the same.
"""

from __future__ import annotations

import hashlib
import os
import sys
import time
import zipfile
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

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
    """

    folder: str
    digest: str
    archive: bytes

    @property
    def spec(self) -> dict[str, str]:
        """As a job carries it."""
        modules = {"modules": self.digest} if self.digest else {}
        return {"folder": self.folder, **modules}


class Surroundings:
    """Finds the modules beside the notebook or script, and notices when they change."""

    def __init__(self) -> None:
        self._checked = 0.0
        self._signature: tuple[tuple[str, int, int], ...] | None = None
        self._environment = Environment("", "", b"")

    def now(self) -> Environment:
        """As they are.

        Raises
        ------
        SerializationError
            They are too large to travel with every job.
        """
        if time.monotonic() - self._checked > _FRESH_SECONDS:
            root = _root()
            files = _sources(root)
            signature = tuple((str(p), p.stat().st_mtime_ns, p.stat().st_size) for p in files)
            if signature != self._signature or self._environment.folder != os.getcwd():
                self._environment = _pack(root, files)
                self._signature = signature
            self._checked = time.monotonic()
        return self._environment


def _root() -> Path:
    """The folder whose modules `import` finds first: the script's, or the notebook's."""
    main = getattr(sys.modules.get("__main__"), "__file__", None)
    if main and "ipykernel" not in main and Path(main).is_file():
        folder = Path(main).resolve().parent
        # A script that a package installed, e.g. pytest: its folder holds no modules of the user.
        if not (folder / "python").exists() and "site-packages" not in folder.parts:
            return folder
    return Path.cwd()


def _sources(root: Path) -> list[Path]:
    """Modules and packages that can be imported from a folder."""
    found: list[Path] = []
    try:
        children = sorted(root.iterdir())
    except OSError:
        return []
    for child in children:
        if child.suffix == ".py" and child.is_file():
            found.append(child)
        elif (child / "__init__.py").is_file() and child.name not in _SKIPPED:
            found += _package(child)
        if len(found) > MAX_FILES:
            raise SerializationError(
                f"more than {MAX_FILES} modules lie in {root}; start the notebook in a folder of"
                " its own, or install them as a package"
            )
    return found


def _package(folder: Path) -> list[Path]:
    files = sorted(folder.rglob("*"))
    return [
        path
        for path in files
        if path.is_file()
        and path.suffix != ".pyc"
        and not _SKIPPED & set(path.relative_to(folder).parts)
    ]


def _pack(root: Path, files: list[Path]) -> Environment:
    size = sum(path.stat().st_size for path in files)
    if size > MAX_BYTES:
        largest = max(files, key=lambda path: path.stat().st_size)
        raise SerializationError(
            f"the modules in {root} have {size / 1e6:.0f} MB, more than the {MAX_BYTES / 1e6:.0f}"
            f" MB that travel with a job; the largest file is {largest}"
        )
    if not files:
        return Environment(os.getcwd(), "", b"")
    buffer = BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in files:
            # A fixed date: the same content has the same digest.
            member = zipfile.ZipInfo(str(path.relative_to(root)), (1980, 1, 1, 0, 0, 0))
            archive.writestr(member, path.read_bytes())
    content = buffer.getvalue()
    return Environment(os.getcwd(), hashlib.sha256(content).hexdigest(), content)
