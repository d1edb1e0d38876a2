"""Starting and ending clusters, wherever their heads are."""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING

from jupyter_cluster.client import launch_local
from jupyter_cluster.client.endpoint import Endpoint
from jupyter_cluster.client.registry import SOURCE_FILE, Entry, entries, entry, reason
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
        with _noting_source(place, config):
            _start(place, config, progress, on_line, restart, setup, may_launch)
    return place


@contextlib.contextmanager
def _noting_source(place: Entry, config: ClusterConfig) -> Iterator[None]:
    """By its file a cluster is known when its name has changed, however far its start has come."""
    try:
        yield
    finally:
        if place.exists and config.source:
            place.write(SOURCE_FILE, {"file": config.source})


def _start(
    place: Entry,
    config: ClusterConfig,
    progress: Progress,
    on_line: Progress,
    restart: bool | None,
    setup: bool,
    may_launch: bool,
) -> None:
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


def known_regions() -> list[str]:
    """Regions of AWS in which clusters may be: that of the settings, and those of the registry."""
    from jupyter_cluster.client import whereabouts
    from jupyter_cluster.providers.aws import leavings as aws

    of_settings = aws.settings_region()
    return list(dict.fromkeys([*([of_settings] if of_settings else []), *whereabouts.regions()]))


def is_in(place: Entry, regions: Sequence[str]) -> bool:
    """Whether a cluster of the registry is the one that is meant by its name and these regions."""
    home = place.read("cluster.json").get("home")
    region = home.get("region") if isinstance(home, dict) else None
    return place.exists and (not regions or region in (None, *regions))


def leavings(
    regions: Sequence[str] = (),
    everywhere: bool = False,
    tell: Progress = _silent,
    config: ClusterConfig | None = None,
) -> list[Leavings]:
    """What clusters have left in the AWS account of this environment, or of a configuration.

    Parameters
    ----------
    regions
        Where to look; by default where clusters of this machine may be.
    everywhere
        In all regions that the account has enabled.
    tell
        Takes a sentence about a region that does not answer.

    Raises
    ------
    ProviderError
        None can be asked.
    """
    from jupyter_cluster.providers.aws import leavings as aws
    from jupyter_cluster.providers.aws.service import Service, credentials_of

    wanted = list(regions) or known_regions()
    if everywhere:
        wanted = aws.enabled_regions(wanted[0] if wanted else None)
    credentials = {} if config is None else credentials_of(config)
    # A service without a region says that none is named.
    return aws.find_in(wanted or [Service(None).region], tell, credentials)


def end_leavings(
    one: Leavings, progress: Progress = _silent, config: ClusterConfig | None = None
) -> None:
    """End what a cluster has left, verified; its own configuration says which disks are kept."""
    from jupyter_cluster.providers.aws import leavings as aws

    is_there = config is not None and getattr(config.provider, "region", "") == one.region
    hosts = aws.provider_of(one, config if is_there else None)
    hosts.on_notice = progress
    hosts.check_release()
    hosts.release(progress)


def difference(place: Entry, config: ClusterConfig) -> str:
    """That a cluster is not where a configuration is for, as a sentence; empty where it is.

    Raises
    ------
    ProviderError
        Nobody can be asked.
    """
    if not place.exists:
        return ""
    before = place.provider
    if before not in ("", config.provider.type):
        return (
            f"cluster {place.name!r} is one on {before}, not on {config.provider.type}: take it"
            " down first, or use another cluster_name"
        )
    if not place.is_hosted:
        return ""
    from jupyter_cluster.client import whereabouts

    return whereabouts.difference(place, config)


def can_be_ended(place: Entry) -> bool:
    """Whether the credentials here are for where a cluster was made."""
    return not place.is_hosted or not difference(place, place.configuration())


def former_of_file(config: ClusterConfig) -> str:
    """That a file would start a second cluster, since its cluster_name has changed, as a sentence.

    Empty where none of other names that it has started runs; on this machine they cost nothing and
    do not count.
    """
    if not config.source or entry(config.cluster_name).exists:
        return ""
    others = [one for one in entries() if one.is_hosted]
    same = [one for one in others if one.read(SOURCE_FILE).get("file") == config.source]
    states = [(one.name, _head_runs(one)) for one in same]
    running = " and ".join(f"{name!r}, which {words}" for name, words in states if words)
    return running and (
        f"{config.source} has started cluster {running}: a changed cluster_name makes a second"
        " cluster"
    )


def check_first(config: ClusterConfig) -> None:
    """Make sure that a file starts no second cluster, where nobody can be asked.

    Raises
    ------
    RegistryError
        It has started one by another name, which runs.
    """
    if former := former_of_file(config):
        raise no_second(former)


def no_second(former: str) -> RegistryError:
    """The refusal of what `former_of_file` has said."""
    return RegistryError(f"{former}. Take the first down, or copy the file for a second one")


def _head_runs(place: Entry) -> str:
    """What its provider says of a head, however far its start has come; empty where none runs."""
    from jupyter_cluster.client import launch_hosted

    try:
        state = launch_hosted.head_state(place)
    except ClusterError:
        return "may still run"
    return "" if state in (None, NodeState.STOPPED) else "still runs"


def check_place(place: Entry, config: ClusterConfig) -> None:
    """Make sure that a configuration is for the place where a cluster is.

    Raises
    ------
    RegistryError
        The cluster is with another provider, or elsewhere.
    ProviderError
        Nobody can be asked.
    """
    if text := difference(place, config):
        raise RegistryError(text)


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
