"""A cluster as a notebook or script holds it."""

from __future__ import annotations

import atexit
import hashlib
import os
import uuid
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from jupyter_cluster.client import arguments, cell_job, launch
from jupyter_cluster.client.calls import CallStream
from jupyter_cluster.client.channel import JobChannel
from jupyter_cluster.client.connection import Connection
from jupyter_cluster.client.endpoint import Endpoint
from jupyter_cluster.client.environment import Environment, Surroundings, modules_messages
from jupyter_cluster.client.feeder import Feeder
from jupyter_cluster.client.job import Job
from jupyter_cluster.client.refs import Ref
from jupyter_cluster.client.registry import Entry
from jupyter_cluster.client.remote import (
    RemoteFunction,
    TaskOptions,
    checked_callable,
    checked_options,
    make_remote,
)
from jupyter_cluster.client.streams import Stream, Streams
from jupyter_cluster.codec import dumps
from jupyter_cluster.errors import UsageError, WrongTypeError
from jupyter_cluster.wire import IN_TASK, Retried

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

    from jupyter_cluster.client.dask_lease import LeaseClient

# Of nodes, and of CPUs that are held: more than any cluster has.
_MOST = 100_000


class Cluster:
    """A running cluster; made by `up` and `connect`.

    Attributes
    ----------
    endpoint : Endpoint
        Status and control over HTTPS.
    started : float
        When it was created (Unix time): two of one name differ in it.
    """

    def __init__(self, entry: Entry) -> None:
        self.name = entry.name
        self.started = entry.created  # now: another one may have its place later
        self.endpoint = Endpoint(entry)
        self._entry = entry
        self._connection: Connection | None = None
        self._surroundings = Surroundings()
        self._streams = Streams(self._begin)
        self._puts: tuple[JobChannel, CallStream] | None = None

    @property
    def connection(self) -> Connection:
        """The stream to the head, made when it is first needed."""
        if os.environ.get(IN_TASK):
            raise UsageError("a task cannot use the cluster that it runs on yet")
        if (connection := self._own) is None:
            connection = self._connection = Connection(self._entry)
            atexit.register(connection.close)
        return connection

    @property
    def _own(self) -> Connection | None:
        """The connection of this process, not of the one that it was forked from."""
        if self._connection is not None and self._connection.is_of_parent:
            self._forget_connection()
        return self._connection

    @property
    def is_alive(self) -> bool:
        """Whether it runs."""
        return self._entry.is_alive

    @property
    def has_ended(self) -> bool:
        """Whether it cannot be used any more; asked before each call, so it is cheap."""
        if (connection := self._own) is not None:
            return connection.is_lost
        return not self.is_alive

    def __repr__(self) -> str:
        return f"<Cluster {self.name!r}>"

    # -- work ---------------------------------------------------------------------------------

    def remote(self, *args: Any, **options: Any) -> Any:
        """Decorator: calls of the function run on this cluster; options as `jc.remote`."""
        return make_remote(lambda: self, args, options)

    def map(
        self,
        function: Callable[[Any], Any] | RemoteFunction,
        items: Iterable[Any],
        *,
        name: str | None = None,
        unit: str = "task",
        **options: Any,
    ) -> Job:
        """Run a function on every item, as one job.

        Parameters
        ----------
        items
            A list is sent as a whole, after which the job needs this process no more. Of a
            generator at most 10,000 items are read ahead of the work.
        name
            Names the job, to find it again; by default the function's name.
        unit
            What an item is, e.g. ``image``: the rate is shown in it.
        **options
            As for `jc.remote`: num_cpus, num_gpus, memory, resources, max_retries,
            retry_exceptions, timeout.

        Raises
        ------
        UsageError
            An option is of the wrong type or out of bounds.
        SerializationError
            The function or one of the first items cannot be sent.
        """
        callee = checked_callable(function, "map")
        if not isinstance(items, Iterable):
            raise WrongTypeError(f"map takes items to iterate over, not a {type(items).__name__}")
        if isinstance(function, RemoteFunction):
            chosen = function.options(**options).options_
        else:
            chosen = TaskOptions(**checked_options(options))
        title = arguments.title(callee) if name is None else arguments.text("name", name)
        channel = self._open("map", title, callee, chosen, arguments.text("unit", unit, 40))
        job = Job(self, channel, title)
        feeder = Feeder(self.connection, channel, items, lambda error: _set_error(job, error))
        try:
            feeder.start()
        except BaseException:
            job.delete()  # nobody would ever seal it
            raise
        return job

    def dask_client(
        self,
        num_cpus: int = 4,
        *,
        min_cpus: int | None = None,
        threads_per_worker: int = 1,
        memory: float | None = None,
        wait: bool = True,
        timeout: float | None = 300,
    ) -> LeaseClient:
        """Lease slots for Dask: a client of a private Dask cluster; closing it ends the lease.

        Parameters
        ----------
        num_cpus
            CPUs of all workers together; a multiple of `threads_per_worker`.
        min_cpus
            Where given, the lease begins with so many, grows to `num_cpus` while its Dask tasks
            are worth it, and shrinks again.
        threads_per_worker
            Threads of a worker, and the CPUs it takes on its node.
        memory
            Bytes of each worker: Dask spills to disk below them, and a worker that takes more is
            ended. None for no limit.
        wait
            Whether to wait until all workers have joined.
        timeout
            Seconds to wait for them.

        Raises
        ------
        UsageError
            The numbers do not fit, or the cluster is not on this machine.
        GetTimeoutError
            Not all workers have joined in time; the lease has ended again.
        InfeasibleError
            No node of the cluster can ever hold one of the workers.
        """
        from jupyter_cluster.client import dask_lease  # a second of imports: only who needs it pays

        return dask_lease.dask_client(
            self, num_cpus, min_cpus, threads_per_worker, memory, wait, timeout
        )

    def environment(self) -> Environment:
        """Where and with which modules tasks run, as it is at this moment."""
        return self._surroundings.now(fresh=True)

    def call(self, remote: RemoteFunction, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Ref:
        """One call of a remote function; what `.remote()` does."""
        _ = self.connection  # in a forked process streams are of the parent's
        stream = self._streams.of(remote, self._surroundings.now().digest)
        name = remote.name
        index = stream.calls.add([(args, kwargs)], lambda _index: f"an argument of {name}")
        held = (args, kwargs) if _has_refs(args, kwargs) else None
        return Ref(self.connection, stream.job, index, name, held)

    def put(self, value: Any) -> Ref:
        """Send a value once, to be an argument of many calls.

        Raises
        ------
        SerializationError
            It cannot be sent, or holds a ref.
        """
        if self._own is None or self._puts is None or self._puts[0].problem:
            channel = self._open_raw({"kind": "put", "name": "put"}, [])
            self._puts = (channel, CallStream(self.connection, channel, takes_refs=False))
        channel, calls = self._puts
        return Ref(
            self.connection, channel.job, calls.add([value], lambda _index: "the value"), "put"
        )

    def _begin(self, remote: RemoteFunction) -> Stream:
        channel = self._open("calls", remote.name, remote.function, remote.options_, "task")
        return Stream(self.connection, channel, self._surroundings.now().digest)

    def _open(
        self,
        kind: str,
        name: str,
        function: Callable[..., Any],
        options: TaskOptions,
        unit: str,
    ) -> JobChannel:
        sent = function if options.retried is None else Retried(function, options.retried)
        code = dumps(sent, f"function {arguments.title(function)}")
        digest = hashlib.sha256(code).hexdigest()
        environment = self._surroundings.now()
        needed = [{"op": "code", "fn": digest, "code": code}, *modules_messages(environment)]
        spec = {
            "kind": kind,
            "name": name,
            "unit": unit,
            "fn": digest,
            "environment": environment.spec,
            **options.spec(),
        }
        return self._open_raw(spec, needed)

    def _open_raw(self, spec: dict[str, Any], needed: list[dict[str, Any]]) -> JobChannel:
        job = uuid.uuid4().hex[:12]
        full = {"id": job, "client": self.connection.client, **spec}
        channel = JobChannel(job, [*needed, {"op": "job", "spec": full}])
        self.connection.open(channel)
        return channel

    # -- status and control -------------------------------------------------------------------

    def status(self) -> dict[str, Any]:
        """The cluster at a glance, as plain values."""
        return self.endpoint.get("status")  # type: ignore[no-any-return]

    def nodes(self) -> list[dict[str, Any]]:
        """A row for each worker node: id, type, state, age, resources, what it does."""
        return self.endpoint.get("nodes")  # type: ignore[no-any-return]

    def jobs(self) -> list[dict[str, Any]]:
        """A row for each job, whoever submitted it."""
        return self.endpoint.get("jobs")  # type: ignore[no-any-return]

    def cost(self) -> dict[str, Any]:
        """USD so far and per hour, and the hours of each node type."""
        return self.endpoint.get("cost")  # type: ignore[no-any-return]

    def events(self, since: int = 0) -> list[dict[str, Any]]:
        """The diary: scaling decisions with their reasons, nodes, failures."""
        number = arguments.whole("since", since, 0)
        return self.endpoint.get("events", since=number)  # type: ignore[no-any-return]

    def setup_log(self, node: str) -> str:
        """What setting up a node has written, also of one that has failed and is gone.

        Raises
        ------
        ClusterError
            The cluster never had such a node.
        """
        name = quote(arguments.text("node", node), safe="")
        return str(self.endpoint.get(f"nodes/{name}/log")["text"])

    def plot(self, *parts: str) -> Figure:
        """The cluster so far as a figure that stands alone; parts as for `Job.plot`."""
        from jupyter_cluster.charts.history_figure import checked_parts, history_figure
        from jupyter_cluster.client.history import of_cluster

        chosen = checked_parts(parts)
        return history_figure(of_cluster(self.endpoint, self.name), chosen)

    def job(self, name: str) -> Job:
        """A job by its name or id, whoever submitted it: its progress and its results.

        Raises
        ------
        JobError
            There is none.
        """
        row = self.endpoint.get(self.endpoint.job(arguments.text("name", name)))
        channel = self.connection.channels.get(row["id"])
        if channel is None:
            channel = JobChannel(row["id"], [])
            self.connection.open(channel)
        if row["kind"] == "cell":
            return cell_job.found(self, channel, row)
        return Job(self, channel, row["name"])

    def sessions(self) -> list[dict[str, Any]]:
        """A row for each session of cells: name, node, resources, whether a cell runs in it."""
        return self.endpoint.get("sessions")  # type: ignore[no-any-return]

    def end_session(self, name: str) -> None:
        """End a session of cells and forget its variables."""
        self.endpoint.delete(f"sessions/{quote(arguments.text('name', name), safe='')}")

    def request_resources(
        self,
        num_cpus: int | None = None,
        bundles: Iterable[Mapping[str, float]] = (),
    ) -> None:
        """Hold this much capacity whether or not tasks use it, until called again.

        Parameters
        ----------
        num_cpus
            CPUs in all, one by one.
        bundles
            Shapes that are to fit at the same time, e.g. ``[{"CPU": 4, "GPU": 1}] * 2``. Without
            either, nothing is held any more.
        """
        if not isinstance(bundles, Iterable) or isinstance(bundles, (str, bytes, Mapping)):
            raise UsageError(f"bundles must be a list of dicts, not {arguments.shown(bundles)}")
        request: list[list[Any]] = [[arguments.amounts("a bundle", one), 1] for one in bundles]
        if num_cpus is not None and arguments.whole("num_cpus", num_cpus, 0, _MOST):
            request.append([{"CPU": 1}, int(num_cpus)])
        self.endpoint.post("scale", {"request": request})

    def scale(
        self, max_workers: int | None = None, min_workers: Mapping[str, int] | None = None
    ) -> dict[str, Any]:
        """Change the limits while the cluster runs; `min_workers` is by node type."""
        wanted: dict[str, Any] = {}
        if max_workers is not None:
            wanted["max_workers"] = arguments.whole("max_workers", max_workers, 0, _MOST)
        if min_workers is not None:
            wanted["min_workers"] = arguments.counts("min_workers", min_workers, _MOST)
        return self.endpoint.post("scale", wanted)  # type: ignore[no-any-return]

    # -- ending -------------------------------------------------------------------------------

    def disconnect(self) -> None:
        """Take leave; the cluster and its jobs go on, refs of this process end."""
        if (connection := self._own) is not None:
            atexit.unregister(connection.close)
            connection.close()
            self._forget_connection()

    def _forget_connection(self) -> None:
        self._connection, self._puts = None, None
        self._streams.clear()

    def down(self, progress: Callable[[str], None] = lambda _step: None) -> None:
        """End the cluster: every process, verified, and all it has kept."""
        self.disconnect()
        launch.end(self._entry, progress)

    def __enter__(self) -> Cluster:
        return self

    def __exit__(self, *_exc: object) -> None:
        self.down()


def _set_error(job: Job, error: BaseException) -> None:
    job.feed_error = error


def _has_refs(args: tuple[Any, ...], kwargs: dict[str, Any]) -> bool:
    """Whether the arguments may hold refs: plain numbers and texts cannot."""
    plain = (int, float, str, bytes, bool, type(None))
    return not all(type(value) in plain for value in (*args, *kwargs.values()))
