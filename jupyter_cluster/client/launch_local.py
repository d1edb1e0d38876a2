"""Clusters on this machine: their processes are started, watched and ended."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psutil

from jupyter_cluster.background import start_thread
from jupyter_cluster.client.endpoint import Endpoint
from jupyter_cluster.client.registry import Entry
from jupyter_cluster.config import ClusterConfig
from jupyter_cluster.errors import ClusterError, ConnectionLostError, RegistryError
from jupyter_cluster.trust import write_private

START_SECONDS = 60.0
END_SECONDS = 20.0
_POLL_SECONDS = 0.02

# Hosts that this process has started: they outlive it, but while it lives it must reap them.
_hosts: list[subprocess.Popen[bytes]] = []


def start(place: Entry, config: ClusterConfig, progress: Callable[[str], None]) -> None:
    """Start it; one that runs already is left as it is."""
    written = config.model_dump_json(indent=1)
    if place.is_alive:
        _check_same(place, written)
        progress("it is running already")
        _wait_for_head(place, None)
        return
    progress("starting its head")
    # Connecting needs the engine too: import it here while the host imports it there.
    start_thread("importing the engine", _import_engine)
    _prepare(place, written)
    process = _spawn_host(place)
    try:
        _wait_for_head(place, process)
    except BaseException:
        process.terminate()  # the host ends all it has started
        raise


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
    place.identity()


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


def end(place: Entry, progress: Callable[[str], None]) -> None:
    """End all its processes, and verify it.

    Raises
    ------
    ClusterError
        A process could not be ended; the message names it.
    """
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
