"""Functions and modules that bundles name: here until the head says that no job needs them."""

from __future__ import annotations

import hashlib
import zipfile
from collections.abc import Callable, Iterable
from io import BytesIO
from pathlib import Path

from jupyter_cluster.agent.arrivals import Arrivals
from jupyter_cluster.errors import ClusterError


class Code:
    """What the head has sent, by digest: functions in memory, modules as folders.

    Parameters
    ----------
    in_use
        Digests that a bundle or a process on this node needs.
    """

    def __init__(
        self, folder: Path, arrivals: Arrivals, in_use: Callable[[], Iterable[str]]
    ) -> None:
        self._folder = folder
        self._arrivals = arrivals
        self._in_use = in_use
        self._functions: dict[str, bytes] = {}
        self._modules: set[str] = set()
        self._unneeded: set[str] = set()
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)

    def function(self, digest: str) -> bytes:
        """A pickled function; a KeyError where it has not come."""
        return self._functions[digest]

    def path(self, digest: str) -> Path:
        """Where modules are imported from."""
        return self._folder / digest

    def add_function(self, digest: str, code: bytes) -> None:
        """A function that bundles will name."""
        self._unneeded.discard(digest)
        self._functions[digest] = code

    def add_modules(self, digest: str, archive: bytes) -> None:
        """Modules that travel with jobs, unpacked once by content."""

        def unpack(folder: Path) -> None:
            if hashlib.sha256(archive).hexdigest() != digest:
                raise ClusterError("modules arrived damaged")
            with zipfile.ZipFile(BytesIO(archive)) as file:
                file.extractall(folder)

        self._unneeded.discard(digest)
        if digest not in self._modules:
            self._modules.add(digest)
            self._arrivals.add(self.path(digest), unpack)

    def drop(self, digests: Iterable[str]) -> None:
        """No job needs these: they go, once nothing on this node does."""
        self._unneeded.update(digests)
        self.tidy()

    def drop_all(self) -> None:
        """As `drop`, of all: the head says again what it needs."""
        self.drop([*self._functions, *self._modules])

    def tidy(self) -> None:
        """Something has ended: what it has kept from being dropped goes."""
        if not self._unneeded:
            return
        for digest in self._unneeded.difference(self._in_use()):
            self._unneeded.discard(digest)
            self._functions.pop(digest, None)
            if digest in self._modules:
                self._modules.discard(digest)
                self._arrivals.forget(self.path(digest))
