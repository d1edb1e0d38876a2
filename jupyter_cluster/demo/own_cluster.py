"""The demo's cluster, which ends with the demo whatever happens."""

from __future__ import annotations

import fcntl
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import TextIO

from jupyter_cluster.client import launch
from jupyter_cluster.client.cluster import Cluster
from jupyter_cluster.client.registry import Entry, entry, home
from jupyter_cluster.config import ClusterConfig
from jupyter_cluster.errors import UsageError
from jupyter_cluster.interrupts import interrupt

_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@contextmanager
def claimed(name: str) -> Iterator[TextIO]:
    """Have the name of the demo's cluster to oneself; one that a killed demo left is ended.

    Yields
    ------
    file
        Where the demo's cluster is noted, so that the next demo knows it. It is locked: a lock
        ends with its process, so it tells a demo that runs from one that was killed.

    Raises
    ------
    UsageError
        The name is in use, by another demo or by a cluster that is not a demo's.
    """
    place = entry(name)
    with _locked(home() / "demo.lock") as note:
        if place.exists and note.read() != _identity(place):
            raise UsageError(
                f"there is a cluster {name!r} that is not the demo's; end it with"
                f" `jupyter cluster down {name}` to run the demo"
            )
        if place.exists:
            launch.end(place)
        yield note


@contextmanager
def own_cluster(config: ClusterConfig, note: TextIO) -> Iterator[Cluster]:
    """A cluster that nobody else has; on the way out all its processes end.

    Parameters
    ----------
    note
        From `claimed`.

    Raises
    ------
    ClusterError
        It did not start, or could not be ended.
    """
    place = entry(config.cluster_name)
    cluster = None
    try:
        cluster = Cluster(launch.start(config))
        note.truncate(0)
        note.write(_identity(place))
        note.flush()
        yield cluster
    finally:
        with _uninterrupted():
            _end(place, cluster)


@contextmanager
def _locked(path: Path) -> Iterator[TextIO]:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with path.open("a+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise UsageError(
                "a demo is running already; wait for it, or end it with Ctrl-C where it runs"
            ) from None
        file.seek(0)
        yield file


def _identity(place: Entry) -> str:
    return str(place.read("cluster.json").get("id"))


def _end(place: Entry, cluster: Cluster | None) -> None:
    if cluster is not None:
        cluster.disconnect()
    if place.exists:
        launch.end(place)
    else:
        place.remove()  # it was interrupted before there was a cluster


@contextmanager
def ended_by_signals() -> Iterator[None]:
    """SIGTERM and a terminal that is closed raise KeyboardInterrupt, as Ctrl-C does."""
    with _handled(interrupt):
        yield


@contextmanager
def _uninterrupted() -> Iterator[None]:
    """No signal stops what ends the cluster."""
    with _handled(signal.SIG_IGN):
        yield


@contextmanager
def _handled(handler: Callable[[int, FrameType | None], None] | signal.Handlers) -> Iterator[None]:
    if threading.current_thread() is not threading.main_thread():
        yield  # only the main thread is interrupted
        return
    # What is ignored, e.g. by nohup, stays ignored.
    heeded = [number for number in _SIGNALS if signal.getsignal(number) is not signal.SIG_IGN]
    before = {number: signal.signal(number, handler) for number in heeded}
    try:
        yield
    finally:
        for number, former in before.items():
            signal.signal(number, former)
