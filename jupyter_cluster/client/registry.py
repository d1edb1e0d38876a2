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
from typing import TYPE_CHECKING, Any

from jupyter_cluster.described import repr_of
from jupyter_cluster.errors import NoClusterError, RegistryError
from jupyter_cluster.formats import shortened
from jupyter_cluster.trust import Role, make_certificates, write_private

if TYPE_CHECKING:
    from jupyter_cluster.config import ClusterConfig

# Where and how a head on another host is reached.
HOST_FILE = "host.json"
# The cluster YAML that it was started with.
SOURCE_FILE = "source.json"
# The year 9999: what is beyond it is no moment.
MOST_SECONDS = 253_402_300_800.0
NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_-]{0,99}")


def home() -> Path:
    """Where the registry lies: ``$JUPYTER_CLUSTER_HOME``, or ``~/.jupyter_cluster``."""
    chosen = os.environ.get("JUPYTER_CLUSTER_HOME") or "~/.jupyter_cluster"
    try:
        return Path(chosen).expanduser().absolute()
    except (RuntimeError, OSError) as error:  # nobody's home, or a working directory that is gone
        raise RegistryError(
            f"no folder for the registry of clusters: {error}; set JUPYTER_CLUSTER_HOME"
        ) from error


@dataclass(frozen=True)
class Entry:
    """One cluster of the registry."""

    name: str
    folder: Path

    @property
    def exists(self) -> bool:
        """Whether a cluster of this name was ever started and not yet taken down."""
        return _is_file(self.folder / "cluster.json")

    @property
    def is_alive(self) -> bool:
        """Whether its host runs; of a cluster on other hosts: whether it was brought up."""
        if self.is_hosted:
            return _is_file(self.folder / "head.json")
        try:
            with (self.folder / "lock").open() as file:
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        except OSError:
            return False  # there is none, or something else of that name
        return False

    @property
    def is_hosted(self) -> bool:
        """Whether its head is on another host, reached by SSH."""
        return _is_file(self.folder / HOST_FILE)

    @property
    def credentials(self) -> Path:
        """Where its certificates lie."""
        return self.folder / "credentials"

    @property
    def has_credentials(self) -> bool:
        """Whether its certificates are there."""
        names = ["ca.pem", *(f"{role}.{kind}" for role in Role for kind in ("pem", "key"))]
        return all(_is_file(self.credentials / name) for name in names)

    @property
    def provider(self) -> str:
        """Where its nodes come from; empty where that cannot be read."""
        section = self.read("config.json").get("provider")
        kind = section.get("type") if isinstance(section, dict) else None
        return kind if isinstance(kind, str) else ""

    @property
    def created(self) -> float:
        """When it was born; 0 where that cannot be read."""
        moment = self.read("cluster.json").get("created")
        if isinstance(moment, int | float) and 0 <= moment < MOST_SECONDS:
            return float(moment)
        return 0.0

    def identity(self) -> dict[str, Any]:
        """Name, id and birth of the cluster; it is born, with its certificates, where it is new.

        Raises
        ------
        RegistryError
            It is there and cannot be read. On other hosts, what has been made has its id.
        """
        if not self.exists:
            identity = {"name": self.name, "id": uuid.uuid4().hex[:12], "created": time.time()}
            make_certificates(self.credentials, str(identity["id"]))
            self.write("cluster.json", identity)
        identity = self.read("cluster.json")
        if not (isinstance(identity.get("id"), str) and self.created):
            raise RegistryError(self.damage("cluster.json"))
        return identity

    def configuration(self) -> ClusterConfig:
        """The configuration that it was last started with.

        Raises
        ------
        RegistryError
            It cannot be read.
        """
        from jupyter_cluster.config import ClusterConfig  # 0.3 s

        path = self.folder / "config.json"
        try:
            return ClusterConfig.model_validate_json(path.read_bytes())
        except (OSError, ValueError) as error:
            raise RegistryError(
                f"{path} cannot be read, which says what cluster {self.name!r} is: `up` with its"
                " YAML writes it anew; `gc` finds what it has in a cloud"
            ) from error

    def damage(self, name: str) -> str:
        """What to say of a file of the folder that is not what it must be."""
        return (
            f"{self.folder / name} is damaged: `jupyter-cluster down {self.name}` removes cluster"
            f" {self.name!r} with all it has kept"
        )

    def write(self, name: str, content: Mapping[str, Any]) -> None:
        """Write a JSON file of the folder, whole or not at all."""
        write_private(self.folder / name, json.dumps(content).encode())

    def read(self, name: str) -> dict[str, Any]:
        """A JSON file of the folder; empty where there is none, or no map in it."""
        try:
            content = json.loads((self.folder / name).read_text())
        except (OSError, ValueError, RecursionError):
            return {}
        return content if isinstance(content, dict) else {}

    def remove(self) -> None:
        """Delete the folder with all it holds.

        Raises
        ------
        RegistryError
            It cannot be deleted.
        """
        try:
            shutil.rmtree(self.folder)
        except FileNotFoundError:
            pass
        except OSError as error:
            raise RegistryError(f"{self.folder} cannot be deleted: {reason(error)}") from error


def reason(error: OSError) -> str:
    """Why the operating system refused, and of which file where it is known."""
    what = error.strerror or str(error) or type(error).__name__
    return what if error.filename is None else f"{what}: {error.filename}"


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except OSError:
        return False


def entry(name: str) -> Entry:
    """The place of a cluster of this name.

    Raises
    ------
    RegistryError
        No cluster can have this name.
    """
    if not (isinstance(name, str) and NAME.fullmatch(name)):
        said = shortened(ascii(name) if isinstance(name, str) else repr_of(name))
        raise RegistryError(
            f"{said} is no name for a cluster: use up to 100 letters, digits, _ and -"
        )
    return Entry(name, home() / "clusters" / name)


def entries() -> list[Entry]:
    """All clusters of the registry, by name."""
    folder = home() / "clusters"
    try:
        paths = sorted(folder.iterdir())
    except FileNotFoundError:
        return []
    except OSError as error:
        raise RegistryError(f"the clusters cannot be looked up: {reason(error)}") from error
    found = [Entry(path.name, path) for path in paths if NAME.fullmatch(path.name)]
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
