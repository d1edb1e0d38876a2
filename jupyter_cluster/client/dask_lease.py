"""Dask collections on leased slots: a private Dask cluster for one client.

The head runs no user code, so collections do not run on the head's own scheduler. A lease is a
Dask cluster of its own: its scheduler runs in this process, each of its workers in a slot, as a
task of an ordinary job. So workers count in demand, make the cluster grow, never exceed a node,
and go with this process, whatever becomes of it.
"""

from __future__ import annotations

import contextlib
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from distributed import Client, Scheduler
from distributed.security import Security
from distributed.utils import LoopRunner, sync

from jupyter_cluster.client.dask_worker import WorkerSpec, run_worker
from jupyter_cluster.errors import ClusterError, GetTimeoutError, UsageError
from jupyter_cluster.trust import Role, make_certificates

if TYPE_CHECKING:
    from jupyter_cluster.client.cluster import Cluster

# Local nodes are on this machine, and nobody else is to reach the lease.
HOST = "127.0.0.1"
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

    Attributes
    ----------
    address : str
        Where the scheduler listens.
    """

    def __init__(
        self, cluster: Cluster, workers: int, threads_per_worker: int, memory: float | None
    ) -> None:
        self._workers = workers
        self._runner = LoopRunner()
        self._runner.start()
        self.loop = self._runner.loop
        authority, identities = _certificates(cluster.name)
        self.security = _security(authority, identities)
        self._scheduler = sync(self.loop, _start_scheduler, self.security)
        self.address = str(self._scheduler.address)
        certificate, key = identities[Role.AGENT]
        spec = WorkerSpec(
            scheduler=self.address,
            host=HOST,
            nthreads=threads_per_worker,
            memory_limit=int(memory or 0),
            authority=authority,
            certificate=certificate,
            key=key,
        )
        try:
            self._job = cluster.map(
                run_worker,
                [spec] * workers,
                name="dask",
                unit="worker",
                num_cpus=threads_per_worker,
                memory=memory,
            )
        except BaseException:
            self._stop_scheduler()
            raise

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
            if self._job.done:
                _ = next(self._job.as_completed()).value  # raises why it ended
            if deadline is not None and time.monotonic() > deadline:
                raise GetTimeoutError(
                    f"{joined} of {self._workers} Dask workers have joined after {timeout:.3g} s:"
                    " ask for fewer CPUs, wait longer, or use wait=False to start with those that"
                    " are there"
                )
            time.sleep(_LOOK_SECONDS)

    def end(self) -> None:
        """End the workers and the scheduler; does nothing the second time."""
        if not self._runner.is_started():
            return
        with contextlib.suppress(ClusterError):  # without a cluster there are no workers either
            self._job.delete()
        self._stop_scheduler()

    def _stop_scheduler(self) -> None:
        sync(self.loop, self._scheduler.close)
        self._runner.stop()


def dask_client(
    cluster: Cluster,
    num_cpus: int,
    threads_per_worker: int,
    memory: float | None,
    wait: bool,
    timeout: float | None,
) -> LeaseClient:
    """What `Cluster.dask_client` does."""
    workers = _count_workers(num_cpus, threads_per_worker)
    _require_local(cluster)
    client = LeaseClient(Lease(cluster, workers, threads_per_worker, memory))
    try:
        if wait:
            client.lease.wait_for_workers(timeout)
    except BaseException:
        client.close()
        raise
    return client


def _count_workers(num_cpus: int, threads_per_worker: int) -> int:
    if threads_per_worker < 1 or threads_per_worker != int(threads_per_worker):
        raise UsageError(
            f"threads_per_worker must be a whole number above 0, not {threads_per_worker!r}"
        )
    if num_cpus < 1 or num_cpus % threads_per_worker:
        raise UsageError(
            f"num_cpus must be a multiple of threads_per_worker ({threads_per_worker}) above 0,"
            f" not {num_cpus!r}"
        )
    return int(num_cpus // threads_per_worker)


def _require_local(cluster: Cluster) -> None:
    if (provider := cluster.status()["provider"]) != "local":
        raise UsageError(
            f"dask_client works on local clusters only so far: the nodes of {cluster.name!r}"
            f" (provider {provider!r}) cannot reach a scheduler in this process; use map or"
            " remote there"
        )


def _certificates(cluster: str) -> tuple[str, dict[Role, tuple[str, str]]]:
    """A new authority's certificate, and a certificate and key for each role, as PEM texts.

    The authority's own key is forgotten at once: nobody else can ever join.
    """
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        make_certificates(folder, f"{cluster} dask lease")
        identities = {
            role: ((folder / f"{role}.pem").read_text(), (folder / f"{role}.key").read_text())
            for role in Role
        }
        return (folder / "ca.pem").read_text(), identities


def _security(authority: str, identities: dict[Role, tuple[str, str]]) -> Any:
    """For the scheduler and the client, which are both in this process."""
    scheduler, client = identities[Role.HEAD], identities[Role.CLIENT]
    return Security(
        require_encryption=True,
        tls_ca_file=authority,
        tls_scheduler_cert=scheduler[0],
        tls_scheduler_key=scheduler[1],
        tls_client_cert=client[0],
        tls_client_key=client[1],
    )


async def _start_scheduler(security: Any) -> Any:
    return await LeaseScheduler(host=HOST, port=0, security=security, dashboard=False)
