"""Dask collections on leased slots: a private Dask cluster for one client.

The head runs no user code, so collections do not run on the head's own scheduler. A lease is a
Dask cluster of its own: its scheduler runs in this process, each of its workers in a slot, as a
task of an ordinary job. So workers count in demand, make the cluster grow, never exceed a node,
and go with this process, whatever becomes of it.
"""

from __future__ import annotations

import atexit
import contextlib
import logging
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from distributed import Client, Scheduler
from distributed.security import Security
from distributed.utils import LoopRunner, silence_logging_cmgr, sync

from jupyter_cluster.client import arguments
from jupyter_cluster.client.dask_adapt import LeaseAdaption
from jupyter_cluster.client.dask_worker import WorkerSpec, run_worker
from jupyter_cluster.client.session import cancel
from jupyter_cluster.errors import ClusterError, GetTimeoutError, UsageError
from jupyter_cluster.trust import make_certificates

if TYPE_CHECKING:
    from jupyter_cluster.client.cluster import Cluster

# Local nodes are on this machine, and nobody else is to reach the lease.
HOST = "127.0.0.1"
# More than any machine has.
MOST_CPUS = 10_000
_LOOK_SECONDS = 0.05


class LeaseScheduler(Scheduler):  # type: ignore[misc]
    """A Dask Scheduler without an HTTP server."""

    def start_http_server(self, *_args: Any, **_kwargs: Any) -> None:
        """Dask would serve plain HTTP on all interfaces, even without a dashboard."""


class LeaseClient(Client):  # type: ignore[misc]
    """A Dask client whose workers run in leased slots.

    A `distributed.Client` like any other, except that closing it ends the lease.
    """

    def __init__(self, lease: Lease) -> None:
        self.lease = lease
        super().__init__(lease.address, security=lease.security, loop=lease.loop)

    @property
    def dashboard_link(self) -> None:
        """There is no dashboard; Dask's own property fails then, and with it the client's HTML."""

    def close(self, *args: Any, **kwargs: Any) -> None:
        """Close the client and end the lease: its workers' slots are free within a second."""
        try:
            super().close(*args, **kwargs)
        finally:
            self.lease.end()

    def shutdown(self) -> None:
        """As `close`: nobody else uses this scheduler."""
        self.close()


class Lease:
    """A scheduler in this process, and a job whose tasks are its workers.

    Parameters
    ----------
    workers : int
        There from the beginning until the end.
    most : int
        To how many the lease grows while its tasks are worth it.

    Attributes
    ----------
    address : str
        Where the scheduler listens.
    """

    def __init__(
        self,
        cluster: Cluster,
        workers: int,
        most: int,
        threads_per_worker: int,
        memory: float | None,
    ) -> None:
        self._workers = workers
        self.security, identity = _make_security(cluster.name)
        with contextlib.ExitStack() as stack:
            self._start_scheduler(stack)
            spec = WorkerSpec(
                scheduler=self.address,
                host=HOST,
                nthreads=threads_per_worker,
                memory_limit=int(memory or 0),
                **identity,
            )
            names = [f"worker-{number}" for number in range(workers)]
            self._job = cluster.map(
                run_worker,
                [replace(spec, name=name) for name in names],
                name="dask",
                unit="worker",
                num_cpus=threads_per_worker,
                memory=memory,
            )
            stack.callback(self._end_workers)
            # At the program's end the connection goes before Dask closes its clients.
            atexit.register(self._end_workers)
            stack.callback(atexit.unregister, self._end_workers)
            if most > workers:
                hired = cluster.remote(num_cpus=threads_per_worker, memory=memory)(run_worker)
                adaption = LeaseAdaption(
                    self._scheduler,
                    lambda name: hired.remote(replace(spec, name=name)),
                    cancel,
                    names,
                    most,
                )
                sync(self.loop, adaption.start)
                stack.callback(sync, self.loop, adaption.stop)
            self._ending = stack.pop_all()

    def _start_scheduler(self, stack: contextlib.ExitStack) -> None:
        # As Dask's own local cluster does: its scheduler would tell of each connection.
        stack.enter_context(silence_logging_cmgr(logging.WARNING))
        runner = LoopRunner()
        runner.start()
        stack.callback(runner.stop)
        self.loop = runner.loop
        self._scheduler = sync(self.loop, _scheduler, self.security)
        stack.callback(sync, self.loop, self._scheduler.close)
        self.address = str(self._scheduler.address)

    def wait_for_workers(self, timeout: float | None) -> None:
        """Wait until all workers have joined.

        Raises
        ------
        GetTimeoutError
            They have not in time.
        TaskError, ConnectionLostError
            One cannot run, or cannot reach the scheduler; the error says which and why.
        """
        deadline = None if timeout is None else time.monotonic() + timeout
        while (joined := len(self._scheduler.workers)) < self._workers:
            if self._job.has_ended or self._job.done:  # says so where it was refused or deleted
                _ = next(self._job.as_completed()).value  # raises why it ended
            if deadline is not None and time.monotonic() > deadline:
                raise GetTimeoutError(
                    f"{joined} of {self._workers} Dask workers have joined after {timeout:.3g} s:"
                    " ask for fewer CPUs, close other Dask clients, wait longer, or use wait=False"
                    " to start with those that are there"
                )
            time.sleep(_LOOK_SECONDS)

    def end(self) -> None:
        """End the workers and the scheduler; does nothing the second time."""
        self._ending.close()

    def _end_workers(self) -> None:
        with contextlib.suppress(ClusterError):  # without a cluster there are no workers either
            self._job.delete()


def dask_client(
    cluster: Cluster,
    num_cpus: int,
    min_cpus: int | None,
    threads_per_worker: int,
    memory: float | None,
    wait: bool,
    timeout: float | None,
) -> LeaseClient:
    """What `Cluster.dask_client` does."""
    threads = arguments.whole("threads_per_worker", threads_per_worker, 1, most=MOST_CPUS)
    most = _count_workers("num_cpus", num_cpus, threads, least=1)
    workers = most
    if min_cpus is not None:
        workers = min(most, _count_workers("min_cpus", min_cpus, threads, least=0))
    if memory is not None:
        memory = arguments.number("memory", memory)
    arguments.flag("wait", wait)
    patience = arguments.patience(timeout)
    _require_local(cluster)
    with contextlib.ExitStack() as stack:
        lease = Lease(cluster, workers, most, threads, memory)
        stack.callback(lease.end)
        client = LeaseClient(lease)
        stack.callback(client.close)
        if wait:
            lease.wait_for_workers(patience)
            client.scheduler_info()  # its repr counts the workers that it last heard of
        stack.pop_all()
    return client


def _count_workers(option: str, num_cpus: int, threads_per_worker: int, least: int) -> int:
    given = arguments.whole(option, num_cpus, least, most=MOST_CPUS)
    if given % threads_per_worker:
        raise UsageError(
            f"{option} must be a multiple of threads_per_worker ({threads_per_worker}), not {given}"
        )
    return given // threads_per_worker


def _require_local(cluster: Cluster) -> None:
    if (provider := cluster.status()["provider"]) != "local":
        raise UsageError(
            f"dask_client works on local clusters only so far: the nodes of {cluster.name!r}"
            f" (provider {provider!r}) cannot reach a scheduler in this process; use map or"
            " remote there"
        )


def _make_security(cluster: str) -> tuple[Any, dict[str, str]]:
    """What the scheduler and the client show of themselves, and the PEM texts for the workers.

    All are of a new certificate authority, whose key is forgotten at once: nobody else can ever
    join.
    """
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        make_certificates(folder, f"{cluster} dask lease")
        pem = {path.name: path.read_text() for path in folder.iterdir()}
    security = Security(
        require_encryption=True,
        tls_ca_file=pem["ca.pem"],
        tls_scheduler_cert=pem["head.pem"],
        tls_scheduler_key=pem["head.key"],
        tls_client_cert=pem["client.pem"],
        tls_client_key=pem["client.key"],
    )
    workers = {
        "authority": pem["ca.pem"],
        "certificate": pem["agent.pem"],
        "key": pem["agent.key"],
    }
    return security, workers


async def _scheduler(security: Any) -> Any:
    return await LeaseScheduler(host=HOST, port=0, security=security, dashboard=False)
