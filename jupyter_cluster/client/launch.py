"""Starting and ending clusters, wherever their heads are."""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from jupyter_cluster.client import launch_local
from jupyter_cluster.client.endpoint import Endpoint
from jupyter_cluster.client.registry import Entry, entry, reason
from jupyter_cluster.config import ClusterConfig
from jupyter_cluster.errors import (
    ClusterError,
    ConnectionLostError,
    NoClusterError,
    RegistryError,
    UsageError,
)
from jupyter_cluster.model import NodeState, NodeType

if TYPE_CHECKING:
    from jupyter_cluster.providers.aws.leavings import Leavings as Leavings  # for commands

Progress = Callable[[str], None]

_ANSWER_SECONDS = 10.0


def _silent(_text: str) -> None:
    pass


def start(
    config: ClusterConfig,
    progress: Progress = _silent,
    on_line: Progress = _silent,
    *,
    restart: bool | None = None,
    setup: bool = True,
    may_launch: bool = True,
) -> Entry:
    """Start the cluster that a configuration describes, or bring one that runs up to it.

    A cluster of this name that has stopped is started again with what its journal holds. Of
    several starts at once, one starts it and the others wait and take what it has started.

    Parameters
    ----------
    progress
        Takes what is done next.
    on_line
        Takes what commands on the head's host write.
    restart
        Whether the head's process is started anew; None: only where its configuration changed.
        On other hosts only.
    setup
        Whether the head's host is set up; on other hosts only.
    may_launch
        Whether a machine may be launched or started for the head, which costs: not where it was
        taken for running when somebody was asked.

    Raises
    ------
    NoClusterError
        A machine would have to be launched, and may not.
    RegistryError
        The name is in use by a cluster of another provider, in another place, of another machine
        or with another configuration.
    UsageError
        `restart` or `setup` is given for a cluster on this machine.
    ProviderError
        The head's machine could not be had or set up.
    ClusterError
        It did not start; the message has the last lines of its log.
    """
    place = entry(config.cluster_name)
    with _alone(place, "started", progress):
        if not may_launch and not place.exists:
            raise NoClusterError(f"cluster {place.name!r} does not run any more")
        check_place(place, config)
        if config.provider.type == "local":
            if restart is not None or not setup:
                raise UsageError(
                    f"cluster {place.name!r} is on this machine: there is nothing that --no-restart"
                    " or --restart-only could leave out; `down` and `up` start it anew"
                )
            launch_local.start(place, config, progress)
        else:
            from jupyter_cluster.client import launch_hosted  # boto3 and paramiko: 0.3 s

            launch_hosted.start(place, config, progress, on_line, restart, setup, may_launch)
    return place


def survey(config: ClusterConfig) -> tuple[dict[str, NodeType], list[str]]:
    """What a cluster would be made of, before anything is made: its node types, what is scarce.

    Raises
    ------
    ProviderError
        It cannot be launched as configured.
    """
    if config.provider.type == "local":
        return config.node_types(), []
    from jupyter_cluster.client import launch_hosted

    return launch_hosted.survey(config)


def leavings(region: str | None) -> list[Leavings]:
    """What clusters have left in the AWS account of this environment.

    Raises
    ------
    ProviderError
        It cannot be asked.
    """
    from jupyter_cluster.providers.aws import leavings as aws
    from jupyter_cluster.providers.aws.service import Service

    return aws.find(Service(region))


def end_leavings(one: Leavings, region: str | None, progress: Progress = _silent) -> None:
    """End what a cluster has left, verified."""
    from jupyter_cluster.providers.aws import leavings as aws
    from jupyter_cluster.providers.aws.service import Service

    aws.provider_of(one, Service(region).region).release(progress)


def check_place(place: Entry, config: ClusterConfig) -> None:
    """Make sure that a configuration is for the place where a cluster is.

    Raises
    ------
    RegistryError
        The cluster is with another provider, or elsewhere.
    ProviderError
        Nobody can be asked.
    """
    if not place.exists:
        return
    before = place.provider
    if before not in ("", config.provider.type):
        raise RegistryError(
            f"cluster {place.name!r} is one on {before}, not on {config.provider.type}: take it"
            " down first, or use another cluster_name"
        )
    if place.is_hosted:
        from jupyter_cluster.client import whereabouts

        whereabouts.hosts_of(place, config)


def is_up(place: Entry) -> bool:
    """Whether a cluster runs: its head answers, or its provider says that its machine is on.

    Raises
    ------
    ProviderError
        The head does not answer, and its provider cannot be asked.
    """
    if not place.is_alive or not place.is_hosted:
        return place.is_alive
    try:
        Endpoint(place, timeout=_ANSWER_SECONDS).get("status")
        return True
    except ConnectionLostError:
        from jupyter_cluster.client import launch_hosted

        return launch_hosted.head_state(place) not in (None, NodeState.STOPPED)


def reach(place: Entry, progress: Progress = _silent) -> Entry:
    """Make sure that a cluster's head answers, where it is on a host of its own.

    SSH is opened for where we are now, and a head whose machine has stopped is started again.

    Raises
    ------
    ClusterError
        Its machine is gone.
    ProviderError
        It could not be reached.
    """
    if place.is_hosted:
        from jupyter_cluster.client import launch_hosted

        with _alone(place, "connected to", progress):
            launch_hosted.reach(place, progress)
    return place


def end(place: Entry, progress: Progress = _silent) -> None:
    """End a cluster: all its processes and machines, verified, and then its folder.

    Raises
    ------
    RegistryError
        There is no such cluster.
    ClusterError
        Something could not be ended; the message names it.
    """
    if not place.exists:
        raise RegistryError(f"there is no cluster {place.name!r}")
    with _alone(place, "ended", progress):  # an `up` that goes on would launch it again
        if not place.exists:
            progress("somebody has ended it already")
        elif place.is_hosted:
            from jupyter_cluster.client import launch_hosted

            launch_hosted.end(place, progress)
        else:
            launch_local.end(place, progress)
        place.remove()


@contextlib.contextmanager
def _alone(place: Entry, what: str, progress: Progress) -> Iterator[None]:
    """While it lasts, nobody else starts, reaches or ends a cluster of this name.

    The file says what is done with it, and stays: deleted, it could be locked twice. It lies beside
    the folder, which goes with the cluster.

    Raises
    ------
    RegistryError
        The operating system refuses, e.g. since the registry's disk is full.
    """
    try:
        with _locked(place, what, progress):
            yield
    except OSError as error:
        if isinstance(error, ClusterError):
            raise
        raise RegistryError(f"cluster {place.name!r}: {reason(error)}") from error


@contextlib.contextmanager
def _locked(place: Entry, what: str, progress: Progress) -> Iterator[None]:
    clusters = place.folder.parent
    for path in (clusters.parent, clusters):
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
    lock = os.open(clusters / f"{place.name}.up", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            doing = os.pread(lock, 100, 0).decode(errors="replace") or "used"
            progress(f"it is being {doing}: waiting for that")
            fcntl.flock(lock, fcntl.LOCK_EX)
        with contextlib.suppress(OSError):  # words for others, which a full disk has no room for
            os.ftruncate(lock, 0)
            os.pwrite(lock, f"{what} by process {os.getpid()}".encode(), 0)
        yield
    finally:
        with contextlib.suppress(OSError):
            os.ftruncate(lock, 0)
        os.close(lock)
