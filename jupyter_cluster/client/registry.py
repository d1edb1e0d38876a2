"""The clusters of this user, as folders on disk that kernel, server and terminal share.

A cluster's folder holds its credentials, its configuration, where its head is, its journal and
its logs. A local cluster is alive as long as its host holds the lock in the folder; no process id
is believed.
"""

from __future__ import annotations

import fcntl
import json
import os
import re
import shutil
import time
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jupyter_cluster.errors import NoClusterError, RegistryError
from jupyter_cluster.trust import make_certificates, write_private

# Where and how a head on another host is reached.
HOST_FILE = "host.json"
NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_-]*")


def home() -> Path:
    """Where the registry lies: ``$JUPYTER_CLUSTER_HOME``, or ``~/.jupyter_cluster``."""
    chosen = os.environ.get("JUPYTER_CLUSTER_HOME")
    return Path(chosen).expanduser() if chosen else Path.home() / ".jupyter_cluster"


@dataclass(frozen=True)
class Entry:
    """One cluster of the registry."""

    name: str
    folder: Path

    @property
    def exists(self) -> bool:
        """Whether a cluster of this name was ever started and not yet taken down."""
        return (self.folder / "cluster.json").is_file()

    @property
    def is_alive(self) -> bool:
        """Whether its host runs; of a cluster on other hosts: whether it was brought up."""
        if self.is_hosted:
            return (self.folder / "head.json").is_file()
        try:
            with (self.folder / "lock").open() as file:
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except FileNotFoundError:
            return False
        except BlockingIOError:
            return True
        return False

    @property
    def is_hosted(self) -> bool:
        """Whether its head is on another host, reached by SSH."""
        return (self.folder / HOST_FILE).is_file()

    @property
    def credentials(self) -> Path:
        """Where its certificates lie."""
        return self.folder / "credentials"

    def identity(self) -> dict[str, Any]:
        """Name, id and birth of the cluster; it is born, with its certificates, where it is new."""
        if not self.exists:
            identity = {"name": self.name, "id": uuid.uuid4().hex[:12], "created": time.time()}
            make_certificates(self.credentials, str(identity["id"]))
            self.write("cluster.json", identity)
        return self.read("cluster.json")

    def write(self, name: str, content: Mapping[str, Any]) -> None:
        """Write a JSON file of the folder, whole or not at all."""
        write_private(self.folder / name, json.dumps(content).encode())

    def read(self, name: str) -> dict[str, Any]:
        """A JSON file of the folder; empty where there is none."""
        try:
            return json.loads((self.folder / name).read_text())  # type: ignore[no-any-return]
        except (OSError, ValueError):
            return {}

    def remove(self) -> None:
        """Delete the folder with all it holds."""
        shutil.rmtree(self.folder, ignore_errors=True)


def entry(name: str) -> Entry:
    """The place of a cluster of this name.

    Raises
    ------
    RegistryError
        No cluster can have this name.
    """
    if not NAME.fullmatch(name):
        raise RegistryError(f"{name!r} is no name for a cluster: use letters, digits, _ and -")
    return Entry(name, home() / "clusters" / name)


def entries() -> list[Entry]:
    """All clusters of the registry, by name."""
    folder = home() / "clusters"
    found = [Entry(path.name, path) for path in sorted(folder.iterdir())] if folder.is_dir() else []
    return [one for one in found if one.exists]


def find(name: str | None = None) -> Entry:
    """The cluster of this name that runs; without a name, the only one.

    Raises
    ------
    RegistryError
        There is none, or without a name there are several.
    """
    alive = [one for one in entries() if one.is_alive]
    names = ", ".join(one.name for one in alive)
    if name is None:
        if len(alive) == 1:
            return alive[0]
        if not alive:
            raise NoClusterError("no cluster is running; start one with `up`")
        raise RegistryError(f"several clusters are running: {names}; say which one")
    known = entry(name)
    if known.is_alive:
        return known
    if known.exists:
        raise RegistryError(
            f"cluster {name!r} has stopped; its results are kept: `up` starts it again,"
            " `down` removes it"
        )
    there = f"there are: {names}" if alive else "none is running"
    raise RegistryError(f"there is no cluster {name!r}; {there}")
