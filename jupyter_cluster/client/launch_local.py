"""Clusters on this machine: their processes are started, watched and ended."""

from __future__ import annotations

import contextlib
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
from jupyter_cluster.client.connection_pool import pool
from jupyter_cluster.client.endpoint import Endpoint
from jupyter_cluster.client.registry import Entry
from jupyter_cluster.config import ClusterConfig
from jupyter_cluster.errors import ClusterError, RegistryError
from jupyter_cluster.formats import shortened
from jupyter_cluster.trust import make_certificates, write_private
from jupyter_cluster.wire import NODE_MARK

START_SECONDS = 60.0
END_SECONDS = 20.0
_POLL_SECONDS = 0.02
_ANSWER_SECONDS = 5.0
# -P: a module of the user's must not stand in for one that we import.
_HOST_OPTIONS = ["-P", "-m", "jupyter_cluster.providers.local_host"]

# Hosts that this process has started: they outlive it, but while it lives it must reap them.
_hosts: list[subprocess.Popen[bytes]] = []


def start(place: Entry, config: ClusterConfig, progress: Callable[[str], None]) -> None:
    """Start it; one that runs already is left as it is, one that is just ending is awaited."""
    written = config.model_dump_json(indent=1)
    if _is_running(place):
        _check_same(place, written)
        progress("it is running already")
        return
    progress("starting its head")
    # Connecting needs the engine too: import it here while the host imports it there.
    start_thread("importing the engine", _import_engine)
    _prepare(place, written)
    process = _spawn_host(place)
    try:
        _wait_for_head(place, process)
    except BaseException:
        process.terminate()  # our child: the host ends all it has started
        raise


def _is_running(place: Entry) -> bool:
    """Whether its head answers and stays; waits where it is being started or is ending.

    Raises
    ------
    ClusterError
        Its processes are there and its head does not answer.
    """
    deadline = time.monotonic() + START_SECONDS
    while place.is_alive:
        try:
            if Endpoint(place, _ANSWER_SECONDS).get("status")["state"] != "ending":
                return True
        except (ClusterError, KeyError, TypeError) as error:
            if time.monotonic() > deadline:
                raise ClusterError(
                    f"cluster {place.name!r} is there and its head does not answer: {error};"
                    f" `jupyter-cluster down {place.name}` ends it"
                ) from error
        time.sleep(_POLL_SECONDS)
    return False


def _import_engine() -> None:
    import distributed.comm  # noqa: F401


def _check_same(place: Entry, written: str) -> None:
    before, now = place.read("config.json"), json.loads(written)
    if before == now:
        return
    if not before:
        raise RegistryError(place.damage("config.json"))
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
    try:
        identity = place.identity()
    except RegistryError:  # nothing but its certificates depends on who it was
        (folder / "cluster.json").unlink(missing_ok=True)
        identity = place.identity()
    if not place.has_credentials:
        make_certificates(place.credentials, str(identity["id"]))


def _spawn_host(place: Entry) -> subprocess.Popen[bytes]:
    log = os.open(place.folder / "logs" / "host.log", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    try:
        host = subprocess.Popen(
            [sys.executable, *_HOST_OPTIONS, str(place.folder)],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,  # Ctrl-C and the end of this terminal are not for it
        )
    finally:
        os.close(log)
    _hosts.append(host)
    return host


def _wait_for_head(place: Entry, process: subprocess.Popen[bytes]) -> None:
    since = time.time()
    deadline = time.monotonic() + START_SECONDS
    while not (place.folder / "head.json").is_file():
        if process.poll() is not None:
            raise ClusterError(f"cluster {place.name!r} did not start: {_last_words(place, since)}")
        if time.monotonic() > deadline:
            raise ClusterError(
                f"cluster {place.name!r} has no head after {START_SECONDS:.0f} s:"
                f" {_last_words(place, since)}"
            )
        time.sleep(_POLL_SECONDS)


def _last_words(place: Entry, since: float) -> str:
    """The last line of what the head has written, or else of the host: of a traceback, why."""
    for name in ("head.log", "host.log"):
        log = place.folder / "logs" / name
        if log.is_file() and log.stat().st_mtime >= since:
            lines = [line.strip() for line in log.read_text(errors="replace").splitlines()]
            if said := next((line for line in reversed(lines) if line), ""):
                return f"{shortened(said, 500)} (all of it is in {log})"
    return "it has written nothing; is its disk full?"


def end(place: Entry, progress: Callable[[str], None]) -> None:
    """End all its processes, and verify it.

    Raises
    ------
    ClusterError
        A process could not be ended; the message names it.
    """
    if place.is_alive:
        progress("ending its nodes and its head")
        try:
            Endpoint(place).post("down")
        except ClusterError:
            _signal_all(_hosts_of(place), signal.SIGTERM)
        if not _ends(place, END_SECONDS):
            _signal_all(_hosts_of(place), signal.SIGKILL)
    pool.close()  # connections to a head that has ended, and idle ones to others
    progress("checking that nothing is left")
    left = _kill_left(place)
    if left:
        raise ClusterError(f"processes of cluster {place.name!r} could not be ended: {left}")


def _processes_of(place: Entry) -> list[psutil.Process]:
    """The processes that were started for this very folder, by what the system says of each.

    Process ids that were written down may be a stranger's by now; these are not believed. Between
    this look and a signal, psutil compares the process's start time.
    """
    return [one for one in psutil.process_iter() if _belongs(one, place.folder)]


def _hosts_of(place: Entry) -> list[psutil.Process]:
    """Of these, the one that forked the others."""
    found = _processes_of(place)
    pids = {process.pid for process in found}
    return [process for process in found if _parent(process) not in pids]


def _parent(process: psutil.Process) -> int | None:
    try:
        return int(process.ppid())
    except psutil.Error:
        return None


def _signal_all(processes: list[psutil.Process], number: int) -> None:
    for process in processes:
        with contextlib.suppress(psutil.Error):  # ended meanwhile, or not ours to end
            process.send_signal(number)


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
    found = _processes_of(place)
    _signal_all(found, signal.SIGKILL)
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
    """Forked children keep the command line of their host, which names the folder; what tasks have
    started carries the folder as a mark."""
    try:
        line, mark = process.cmdline(), process.environ().get(NODE_MARK)
    except psutil.Error:
        return False
    is_ours = line[1:-1] == _HOST_OPTIONS and _is_same(line[-1], folder)
    has_mark = mark is not None and _is_same(mark, folder)
    return (is_ours or has_mark) and process.pid != os.getpid()


def _is_same(path: str, folder: Path) -> bool:
    """Whether both name one folder, also by a link."""
    return path == str(folder) or os.path.realpath(path) == os.path.realpath(folder)
