"""Starting and ending a cluster on this machine."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import signal
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil

from jupyter_cluster.client.endpoint import Endpoint
from jupyter_cluster.client.registry import Entry, entry
from jupyter_cluster.config import ClusterConfig
from jupyter_cluster.errors import ClusterError, ConnectionLostError, RegistryError
from jupyter_cluster.trust import make_certificates, write_private

START_SECONDS = 60.0
END_SECONDS = 20.0
_POLL_SECONDS = 0.02

# Hosts that this process has started: they outlive it, but while it lives it must reap them.
_hosts: list[subprocess.Popen[bytes]] = []


def start(config: ClusterConfig, progress: Callable[[str], None] = lambda _step: None) -> Entry:
    """Start the cluster that a configuration describes; one that runs already is left as it is.

    A cluster of this name that has stopped is started again with what its journal holds. Of
    several starts at once, one starts it and the others wait and take what it has started.

    Raises
    ------
    RegistryError
        The name is in use by a cluster of another provider, or with another configuration.
    ClusterError
        It did not start; the message has the last lines of its log.
    """
    if config.provider.type != "local":
        raise ClusterError(
            f"provider.type {config.provider.type}: this version starts local clusters only"
        )
    place = entry(config.cluster_name)
    with _alone(place, progress):
        return _start(place, config.model_dump_json(indent=1), progress)


@contextlib.contextmanager
def _alone(place: Entry, progress: Callable[[str], None]) -> Iterator[None]:
    """While it lasts, nobody else starts a cluster of this name.

    The file is empty and stays: deleted, it could be locked twice. It lies beside the folder,
    which goes with the cluster.
    """
    clusters = place.folder.parent
    for path in (clusters.parent, clusters):
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
    lock = os.open(clusters / f"{place.name}.up", os.O_WRONLY | os.O_CREAT, 0o600)
    try:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            progress("it is being started already: waiting for it")
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield
    finally:
        os.close(lock)


def _start(place: Entry, written: str, progress: Callable[[str], None]) -> Entry:
    if place.is_alive:
        _check_same(place, written)
        progress("it is running already")
        _wait_for_head(place, None)
        return place
    progress("starting its head")
    # Connecting needs the engine too: import it here while the host imports it there.
    threading.Thread(target=_import_engine, daemon=True).start()
    _prepare(place, written)
    process = _spawn_host(place)
    try:
        _wait_for_head(place, process)
    except BaseException:
        process.terminate()  # the host ends all it has started
        raise
    return place


def _import_engine() -> None:
    import distributed.comm  # noqa: F401


def _check_same(place: Entry, written: str) -> None:
    running = (place.folder / "config.json").read_text()
    if running == written:
        return
    before, now = json.loads(running), json.loads(written)
    changed = sorted(key for key in {*before, *now} if before.get(key) != now.get(key))
    raise RegistryError(
        f"cluster {place.name!r} is running with another configuration; different are:"
        f" {', '.join(changed)}. Take it down first, or use another cluster_name"
    )


def _prepare(place: Entry, config: str) -> None:
    folder = place.folder
    for path in (folder, folder / "logs", folder / "nodes"):
        path.mkdir(mode=0o700, exist_ok=True)
    (folder / "head.json").unlink(missing_ok=True)
    write_private(folder / "config.json", config.encode())
    if not place.exists:
        identity = {"name": place.name, "id": uuid.uuid4().hex[:12], "created": time.time()}
        make_certificates(place.credentials, identity["id"])  # type: ignore[arg-type]
        write_private(folder / "cluster.json", json.dumps(identity).encode())


def _spawn_host(place: Entry) -> subprocess.Popen[bytes]:
    log = os.open(place.folder / "logs" / "host.log", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    try:
        host = subprocess.Popen(
            # -P: a module of the user's must not stand in for one that we import.
            [sys.executable, "-P", "-m", "jupyter_cluster.providers.local_host", str(place.folder)],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,  # Ctrl-C and the end of this terminal are not for it
        )
    finally:
        os.close(log)
    _hosts.append(host)
    return host


def _wait_for_head(place: Entry, process: subprocess.Popen[bytes] | None) -> None:
    deadline = time.monotonic() + START_SECONDS
    while not (place.folder / "head.json").is_file():
        if process is not None and process.poll() is not None:
            raise ClusterError(f"cluster {place.name!r} did not start:\n{_last_lines(place)}")
        if process is None and not place.is_alive:
            raise ClusterError(f"cluster {place.name!r} has ended:\n{_last_lines(place)}")
        if time.monotonic() > deadline:
            raise ClusterError(
                f"cluster {place.name!r} has no head after {START_SECONDS:.0f} s:\n"
                f"{_last_lines(place)}"
            )
        time.sleep(_POLL_SECONDS)


def _last_lines(place: Entry) -> str:
    lines = []
    for name in ("host.log", "head.log"):
        path = place.folder / "logs" / name
        if path.is_file():
            lines += path.read_text(errors="replace").splitlines()[-10:]
    return "\n".join(lines) or "(it has written nothing)"


def end(place: Entry, progress: Callable[[str], None] = lambda _step: None) -> None:
    """End a cluster: all its processes, verified, and then its folder.

    Raises
    ------
    RegistryError
        There is no such cluster.
    ClusterError
        A process could not be ended; the message names it.
    """
    if not place.exists:
        raise RegistryError(f"there is no cluster {place.name!r}")
    pids = _processes(place)
    if place.is_alive:
        progress("ending its nodes and its head")
        try:
            Endpoint(place).post("down")
        except (ClusterError, ConnectionLostError):
            _signal(pids.get("host"), signal.SIGTERM)
        if not _ends(place, END_SECONDS):
            _signal(pids.get("host"), signal.SIGKILL)
    progress("checking that nothing is left")
    left = _kill_left(place)
    if left:
        raise ClusterError(f"processes of cluster {place.name!r} could not be ended: {left}")
    place.remove()


def _processes(place: Entry) -> dict[str, int]:
    return {name: int(pid) for name, pid in place.read("processes.json").items()}


def _signal(pid: int | None, number: int) -> None:
    try:
        if pid:
            os.kill(pid, number)
    except ProcessLookupError:
        pass  # it has ended meanwhile


def _ends(place: Entry, seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while place.is_alive:
        _reap()
        if time.monotonic() > deadline:
            return False
        time.sleep(_POLL_SECONDS)
    return True


def _reap() -> None:
    _hosts[:] = [host for host in _hosts if host.poll() is None]


def _kill_left(place: Entry) -> list[int]:
    """End what names this cluster's folder and still runs; returns what cannot be ended."""
    found = [process for process in psutil.process_iter() if _belongs(process, place.folder)]
    for process in found:
        process.kill()
    deadline = time.monotonic() + 5
    while (left := [p.pid for p in found if _runs(p)]) and time.monotonic() < deadline:
        time.sleep(_POLL_SECONDS)
    _reap()
    return left


def _runs(process: psutil.Process) -> bool:
    """Whether it is more than a zombie that another process has not yet reaped."""
    try:
        return bool(process.status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


def _belongs(process: psutil.Process, folder: Path) -> bool:
    """Forked children keep the command line of their host, which names the folder."""
    try:
        line = process.cmdline()
    except psutil.Error:
        return False
    return str(folder) in line and "jupyter_cluster.providers.local_host" in line
