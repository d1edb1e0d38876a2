"""The node's side of a Dask lease: a task that keeps a Dask Worker going in its slot.

The Worker is a process of its own, started from scratch: it shares no threads and no settings
with what ran in the slot before, and nothing of it is left there afterwards.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
from dataclasses import asdict, dataclass, field
from typing import Any

from jupyter_cluster.errors import ConnectionLostError

# The lease's scheduler runs already when a worker looks for it: one that does not answer is gone.
CONNECT_SECONDS = 5.0
# What the worker's process exits with when there is no scheduler; any number that Python itself
# does not exit with.
_NO_SCHEDULER = 64


@dataclass(frozen=True)
class WorkerSpec:
    """What a worker of a lease is started with.

    Attributes
    ----------
    scheduler : str
        Address of the lease's scheduler.
    host : str
        Address of the interface on which the worker listens.
    nthreads : int
        How many Dask tasks it runs at a time.
    name : str
        What the scheduler calls it; Dask's own names where empty.
    memory_limit : int
        Bytes, from which Dask takes when to spill to disk and when to pause; 0 for no limit.
    authority, certificate, key : str
        PEM texts: the lease's certificate authority, and what the worker shows of itself.
    """

    scheduler: str
    host: str
    nthreads: int
    memory_limit: int
    authority: str = field(repr=False)
    certificate: str = field(repr=False)
    key: str = field(repr=False)
    name: str = ""


def run_worker(spec: WorkerSpec) -> None:
    """Keep a Dask Worker running until the lease ends; the task that a lease consists of.

    A worker that its scheduler has closed (`Client.restart` does so) is started again. One that
    crashed takes the slot with it in the same way: a crash of a task is what the cluster names,
    counts and retries.

    Raises
    ------
    ConnectionLostError
        The lease's scheduler is gone, or cannot be reached from this node.
    """
    while (code := _run_once(spec)) != _NO_SCHEDULER:
        if code < 0:
            signal.raise_signal(-code)
        if code:
            os._exit(code)
    raise ConnectionLostError(
        f"the scheduler of this Dask lease, in the client's process at {spec.scheduler}, has ended"
        " or cannot be reached from this node; the worker ends with it"
    )


def _run_once(spec: WorkerSpec) -> int:
    """One life of the worker's process; returns its exit code, or minus its signal."""
    process = subprocess.Popen(
        [sys.executable, "-m", __name__],
        stdin=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
    )
    try:
        _tell(process, spec)
        return process.wait()
    finally:  # also when the task is cancelled
        process.kill()
        process.wait()


def _tell(process: subprocess.Popen[bytes], spec: WorkerSpec) -> None:
    """Over a pipe, since everybody may read arguments and the spec holds a key."""
    assert process.stdin is not None
    try:
        process.stdin.write(json.dumps(asdict(spec)).encode() + b"\n")
        process.stdin.flush()
    except BrokenPipeError:
        pass  # it has ended already; its exit code says how


def _worker_class() -> Any:
    """The Worker of a lease; made where it is run, since only there Dask is needed."""
    from distributed import Worker

    class LeaseWorker(Worker):  # type: ignore[misc]
        def start_http_server(self, *_args: Any, **_kwargs: Any) -> None:
            """Dask would serve plain HTTP on all interfaces, even without a dashboard."""

        async def close(self, *args: Any, **kwargs: Any) -> Any:
            """Without waiting for what still computes: it ends with the process."""
            return await super().close(*args, **{**kwargs, "executor_wait": False})

    return LeaseWorker


async def _serve(spec: WorkerSpec) -> int:
    """Be a Dask Worker until it is closed; returns the exit code."""
    from distributed.comm import connect

    # The pipe stays open for as long as the slot lives: its end is ours.
    asyncio.get_running_loop().add_reader(0, os._exit, 1)
    security = _security(spec)
    try:
        # Asked first: a Worker that finds no scheduler goes on trying by itself for ever.
        arguments = security.get_connection_args("worker")
        comm = await connect(spec.scheduler, timeout=CONNECT_SECONDS, **arguments)
    except OSError:
        return _NO_SCHEDULER
    await comm.close()
    worker = _worker_class()(
        spec.scheduler,
        nthreads=spec.nthreads,
        memory_limit=spec.memory_limit,
        name=spec.name or None,
        host=spec.host,
        security=security,
        dashboard=False,
    )
    async with worker:
        await worker.finished()
    return 0


def _security(spec: WorkerSpec) -> Any:
    from distributed.security import Security

    return Security(
        require_encryption=True,
        tls_ca_file=spec.authority,
        tls_worker_cert=spec.certificate,
        tls_worker_key=spec.key,
    )


def main() -> None:
    """The worker's process: the spec is the first line of its standard input."""
    spec = WorkerSpec(**json.loads(sys.stdin.buffer.readline()))
    code = asyncio.run(_serve(spec))
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)  # Python would wait for what still computes in the worker's threads


if __name__ == "__main__":
    main()
