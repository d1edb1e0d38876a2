"""The module's own functions: the cluster at hand, and the names that Ray programs use."""

from __future__ import annotations

import itertools
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from inspect import signature
from pathlib import Path
from typing import Any, overload

from jupyter_cluster.client import arguments, launch
from jupyter_cluster.client.cluster import Cluster
from jupyter_cluster.client.connection import Connection
from jupyter_cluster.client.connection_pool import pool
from jupyter_cluster.client.reading import raise_first, values_of
from jupyter_cluster.client.refs import Ref
from jupyter_cluster.client.registry import Entry, entries, entry, find
from jupyter_cluster.client.remote import make_remote
from jupyter_cluster.config import ClusterConfig, load, local_config
from jupyter_cluster.errors import GetTimeoutError, NoClusterError, UsageError, WrongTypeError
from jupyter_cluster.formats import printable

# Of several clusters each is waited for in turn, for so long.
_TURN_SECONDS = 0.05

_current: Cluster | None = None


def up(
    config: str | Path | ClusterConfig | None = None,
    *,
    name: str | None = None,
    progress: Callable[[str], None] | None = None,
    **options: Any,
) -> Cluster:
    """Start a cluster, or take the one that runs already; it becomes the cluster at hand.

    Parameters
    ----------
    config
        Path of a cluster YAML, or a `ClusterConfig`; None for a cluster on this machine.
    name
        Name of the cluster on this machine; ``local`` where none is given.
    progress
        Takes what is done next. Left out: on other hosts it is written to stderr.
    **options
        For a cluster on this machine: cpus, cpus_per_node, memory_bytes, max_workers,
        idle_timeout_minutes (see `jupyter_cluster.config.local_config`).

    Raises
    ------
    ConfigError
        The YAML has problems; all of them are named.
    RegistryError
        A cluster of this name runs with another configuration, or elsewhere, or the file has
        started one by another name that runs.
    ClusterError
        It did not start.
    """
    arguments.callback("progress", progress)
    chosen = _configuration(config, name, options)
    launch.check_first(chosen)
    return use(Cluster(launch.start(chosen, progress or _teller(chosen))))


def _teller(config: ClusterConfig) -> Callable[[str], None]:
    """On other hosts it takes a minute or more: say what is done, each thing once."""
    if config.provider.type == "local":
        return lambda _step: None
    last = ""

    def tell(step: str) -> None:
        nonlocal last
        if step != last:
            print(printable(f"{config.cluster_name}: {step}"), file=sys.stderr, flush=True)
            last = step

    return tell


def _configuration(
    config: str | Path | ClusterConfig | None, name: str | None, options: dict[str, Any]
) -> ClusterConfig:
    if config is None:
        return local_config("local" if name is None else name, **_local_options(options))
    if name is not None or options:
        raise UsageError("name and sizes are for a cluster without a file; write them into it")
    return config if isinstance(config, ClusterConfig) else load(config)


def _local_options(options: dict[str, Any]) -> dict[str, Any]:
    allowed = [name for name in signature(local_config).parameters if name != "cluster_name"]
    arguments.known(options, allowed)
    return options


def connect(name: str | None = None) -> Cluster:
    """The running cluster of this name, or the only one; it becomes the cluster at hand.

    The head of a cluster on other hosts is looked for where it does not answer, and started again
    where its machine has stopped.
    """
    return use(Cluster(launch.reach(find(name))))


def use(cluster: Cluster) -> Cluster:
    """Make this the cluster at hand; one that stands for the same cluster stays."""
    global _current
    if _current is None or not _is_same(_current, cluster) or _current.has_ended:
        _current = cluster
    return _current


def _is_same(one: Cluster, other: Cluster) -> bool:
    """Whether both stand for the same cluster, and not for two of one name."""
    return (one.name, one.started) == (other.name, other.started)


def at_hand() -> Cluster | None:
    """The cluster at hand, if there is one; starts none."""
    return _current


def current(start: bool = True, cpus: int | None = None) -> Cluster:
    """The cluster at hand; where there is none, the only one that runs, or a new local one.

    Raises
    ------
    RegistryError
        Several run, or none does and none is to be started.
    """
    global _current
    if _current is None or _current.has_ended:
        _current = Cluster(_found_or_started(cpus) if start else find())
    return _current


def _found_or_started(cpus: int | None) -> Entry:
    try:
        return find()
    except NoClusterError:
        return launch.start(local_config(cpus=cpus))


def init(address: str | None = None, num_cpus: int | None = None, **_ignored: Any) -> Cluster:
    """As `ray.init`: connect to the only cluster that runs, or start a local one.

    Parameters
    ----------
    address
        ``auto`` or None as above; otherwise the name of a cluster.
    num_cpus
        Cores to share, of a cluster that is started.
    """
    if num_cpus is not None:
        arguments.whole("num_cpus", num_cpus, 1)
    if address in (None, "auto", "local"):
        return current(cpus=num_cpus)
    return connect(address)


def is_initialized() -> bool:
    """As `ray.is_initialized`: whether there is a cluster at hand; starts and connects to none."""
    return _current is not None and not _current.has_ended


def shutdown() -> None:
    """As `ray.shutdown`: leave the cluster at hand; a cluster that others use goes on."""
    global _current
    if _current is not None:
        _current.disconnect()
        _current = None
    pool.close()


def down(name: str | None = None) -> None:
    """End a cluster, running or stopped, with all it has kept: the one of this name, or the one at
    hand.

    Raises
    ------
    NoClusterError
        No name was given and no cluster is at hand, or that one has ended: another one that runs
        is not what was meant.
    RegistryError
        There is no cluster of this name.
    """
    global _current
    if name is None:
        name = _name_at_hand()
    place = entry(name)
    if not place.exists:
        find(name)  # says which there are
    if _current is not None and _current.name == name:
        _current.disconnect()
    launch.end(place)
    if _current is not None and _current.name == name:
        _current = None


def _name_at_hand() -> str:
    # One that was started since then under the same name is another one.
    if _current is not None and entry(_current.name).created == _current.started:
        return _current.name
    what = "no cluster is at hand" if _current is None else f"{_current.name!r} has ended"
    named = [f'jc.down("{one.name}")' for one in entries()]
    ways = f"; {' or '.join(named[:3])} ends one of those that there are" if named else ""
    raise NoClusterError(what + ways)


def remote(*args: Any, **options: Any) -> Any:
    """Decorator: calls of the function run on the cluster at hand.

    ``@remote`` or ``@remote(num_cpus=1, num_gpus=0, memory=None, resources=None, max_retries=3,
    retry_exceptions=False, timeout=None)``. ``f.remote(x)`` returns a `Ref` at once.
    """
    return make_remote(current, args, options)


@overload
def get(refs: Ref, timeout: float | None = None) -> Any: ...
@overload
def get(refs: Sequence[Ref], timeout: float | None = None) -> list[Any]: ...
def get(refs: Ref | Sequence[Ref], timeout: float | None = None) -> Any:
    """The value of a ref, or the values of a list of refs, waited for.

    A list may be empty, may name a ref more than once (its value then stands in each place, a copy
    of its own) and may hold refs of several clusters. A result can be read as often as one likes
    while a ref to it is kept.

    Parameters
    ----------
    timeout
        Seconds for all of them together; None waits for as long as it takes, 0 looks only.

    Raises
    ------
    GetTimeoutError
        They were not there after `timeout` seconds; the tasks go on.
    JobError, ConnectionLostError
        They will never be there: the job was deleted or refused, or the cluster has ended.
    Exception
        What the task raised, with the node's traceback as its cause; of a list, the first in it
        that raised one, once all have ended.
    """
    patience = arguments.patience(timeout)
    listed = arguments.refs("get", refs)
    deadline = None if patience is None else time.monotonic() + patience
    values: list[Any] = []
    for first, count in _runs(listed):
        left = None if deadline is None else max(0.0, deadline - time.monotonic())
        values += values_of(
            first._connection, first.job, first.index, first.index + count, first.name, left
        )
    raise_first(values)
    return values[0] if isinstance(refs, Ref) else values


def _runs(refs: list[Ref]) -> Iterator[tuple[Ref, int]]:
    """Refs of one job that follow one another, as the first and how many: read at once."""
    at = 0
    while at < len(refs):
        first, count = refs[at], 1
        for ref in itertools.islice(refs, at + 1, None):
            if ref.index != first.index + count or ref.job != first.job:
                break
            count += 1
        yield first, count
        at += count


def wait(
    refs: Sequence[Ref],
    *,
    num_returns: int = 1,
    timeout: float | None = None,
    fetch_local: bool = True,
) -> tuple[list[Ref], list[Ref]]:
    """Wait until some of the refs are ready: their calls have returned, raised, or never will end.

    The list may be empty, may hold refs that have ended long ago, refs of several clusters, and a
    ref more than once: then it counts as often, and comes back as often.

    Parameters
    ----------
    num_returns
        How many to wait for; of a shorter list all.
    timeout
        Seconds; None waits for as long as it takes, 0 looks only.
    fetch_local
        As in Ray; it changes nothing, since `get` fetches what it reads.

    Returns
    -------
    tuple
        At most `num_returns` refs that are ready, and the others, both in the order given. After
        `timeout` seconds it returns with what is ready by then.

    Raises
    ------
    UsageError
        These are no refs, or a number is none.
    ConnectionLostError
        The cluster of one has ended.
    """
    count = arguments.whole("num_returns", num_returns, 1, most=2**62)
    patience = arguments.patience(timeout)
    arguments.flag("fetch_local", fetch_local)
    if isinstance(refs, Ref):
        raise WrongTypeError("wait takes a list of refs, not a single one: wait([ref])")
    listed = arguments.refs("wait", refs)
    return _wait(listed, min(count, len(listed)), patience)


def _wait(refs: list[Ref], count: int, timeout: float | None) -> tuple[list[Ref], list[Ref]]:
    deadline = None if timeout is None else time.monotonic() + timeout
    connections = list({id(ref._connection): ref._connection for ref in refs}.values())
    found: list[int] = []
    for connection in itertools.cycle(connections):
        left = None if deadline is None else deadline - time.monotonic()
        is_last = left is not None and left <= _TURN_SECONDS
        pause = left if len(connections) == 1 or is_last else _TURN_SECONDS
        _wait_on(connection, refs, count, pause, found)
        if len(found) >= count or pause == left:
            break
    return _split(refs, found)


def _wait_on(
    connection: Connection, refs: list[Ref], count: int, timeout: float | None, found: list[int]
) -> None:
    """Wait for news of one cluster until enough of the refs are ready; `found` has those that are.

    Raises
    ------
    ConnectionLostError
        Its head is gone.
    """
    looked_at = -1

    def enough() -> bool:
        # Looking through a hundred thousand refs takes 10 ms: only when there may be enough.
        nonlocal looked_at
        if looked_at < 0 or connection.arrived - looked_at >= count - len(found):
            looked_at = connection.arrived
            found[:] = _ready(refs, count)
        return len(found) >= count

    with connection.changed:
        try:
            connection.wait_until(enough, timeout, "")
        except GetTimeoutError:
            found[:] = _ready(refs, count)


def _ready(refs: list[Ref], count: int) -> list[int]:
    """Positions of the first refs that are ready, at most `count`."""
    found: list[int] = []
    job, states, is_over = "", bytearray(), False
    for position, ref in enumerate(refs):
        if ref.job != job:
            job = ref.job
            channel = ref._connection.channels.get(job)
            is_over = channel is None or bool(channel.problem)
            states = channel.outcomes.states if channel else bytearray()
        if is_over or (ref.index < len(states) and states[ref.index]):
            found.append(position)
            if len(found) == count:
                break
    return found


def _split(refs: list[Ref], positions: list[int]) -> tuple[list[Ref], list[Ref]]:
    """The refs at these positions and the others; slices, since lists of refs are long."""
    ready, rest, at = [], [], 0
    for position in positions:
        ready.append(refs[position])
        rest += refs[at:position]
        at = position + 1
    return ready, rest + refs[at:]


def cancel(refs: Ref | Sequence[Ref], *, force: bool = False, recursive: bool = True) -> None:
    """End the calls of refs that have not ended; one that runs stops within a second.

    Takes a ref or a list, which may be empty, may name a ref more than once and may hold refs of
    several clusters. A call that has ended keeps its result. `get` of one that was cancelled raises
    `TaskCancelledError`; one that has not begun never will, however soon it is cancelled.

    Parameters
    ----------
    force, recursive
        As of `ray.cancel`; both are so in any case: a call that does not stop by itself is ended,
        with what it has started.

    Raises
    ------
    UsageError
        These are no refs.
    ConnectionLostError
        The cluster has ended.
    """
    arguments.flag("force", force)
    arguments.flag("recursive", recursive)
    for first, count in _runs(arguments.refs("cancel", refs)):
        ranges = [[first.index, first.index + count]]
        first._connection.send(op="cancel", job=first.job, ranges=ranges)


def put(value: Any) -> Ref:
    """Send a value once, to be an argument of many calls."""
    return current().put(value)
