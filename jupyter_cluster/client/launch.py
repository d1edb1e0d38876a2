"""Starting and ending clusters, wherever their heads are."""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from jupyter_cluster.client import launch_local
from jupyter_cluster.client.endpoint import Endpoint
from jupyter_cluster.client.registry import Entry, entry
from jupyter_cluster.config import ClusterConfig
from jupyter_cluster.errors import ConnectionLostError, RegistryError, UsageError
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

    Raises
    ------
    RegistryError
        The name is in use by a cluster of another provider, or with another configuration.
    UsageError
        `restart` or `setup` is given for a cluster on this machine.
    ProviderError
        The head's machine could not be had or set up.
    ClusterError
        It did not start; the message has the last lines of its log.
    """
    place = entry(config.cluster_name)
    with _alone(place, progress):
        _check_place(place, config)
        if config.provider.type == "local":
            if restart is not None or not setup:
                raise UsageError(
                    f"cluster {place.name!r} is on this machine: there is nothing that --no-restart"
                    " or --restart-only could leave out; `down` and `up` start it anew"
                )
            launch_local.start(place, config, progress)
        else:
            from jupyter_cluster.client import launch_hosted  # boto3 and paramiko: 0.3 s

            launch_hosted.start(place, config, progress, on_line, restart, setup)
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


def _check_place(place: Entry, config: ClusterConfig) -> None:
    if not place.exists:
        return
    before = place.read("config.json").get("provider", {}).get("type")
    if before not in (None, config.provider.type):
        raise RegistryError(
            f"cluster {place.name!r} is one on {before}, not on {config.provider.type}: take it"
            " down first, or use another cluster_name"
        )


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

        with _alone(place, progress):
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
    if place.is_hosted:
        from jupyter_cluster.client import launch_hosted

        with _alone(place, progress):  # an `up` that goes on would launch what we have just ended
            launch_hosted.end(place, progress)
    else:
        launch_local.end(place, progress)
    place.remove()


@contextlib.contextmanager
def _alone(place: Entry, progress: Progress) -> Iterator[None]:
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
