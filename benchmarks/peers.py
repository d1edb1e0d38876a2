"""The systems that are compared, each behind the same few calls.

Each gets as many workers of one core as there are cores, its user interface switched off where it
can be, and chunks where it offers them. Nothing of a peer is imported before it is started: the
import is part of a start.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from importlib import import_module
from typing import Any

from benchmarks.cases import CASES, ONE_PROCESS, OURS

Function = Callable[[Any], Any]

# How long a started cluster may take until all its workers are up.
_READY_SECONDS = 60.0


class Peer:
    """A system that runs functions in other processes.

    Attributes
    ----------
    package : str
        What must be installed; empty where Python has it.
    cases : frozenset of str
        What it can be measured in.
    """

    package = ""
    cases = frozenset(CASES)

    def __init__(self, cores: int) -> None:
        self.cores = cores

    def start(self) -> None:
        """Make it take calls."""

    def make_ready(self) -> None:
        """Wait until all its workers are up, where `start` does not."""

    def map(self, function: Function, items: Sequence[Any], chunk: int) -> list[Any]:
        """All results in order; `chunk` items may travel together."""
        raise NotImplementedError

    def calls(self, function: Function, items: Sequence[Any]) -> list[Any]:
        """Submit one call after the other, then gather all results."""
        raise NotImplementedError

    def call(self, function: Function, item: Any) -> Any:
        """Make one call and wait for its result."""
        return self.calls(function, [item])[0]

    def stop(self) -> None:
        """End all its processes."""


class Ours(Peer):
    """This project, on its local provider as `up()` starts it."""

    package = "jupyter_cluster"

    def start(self) -> None:
        """Start a cluster."""
        self._jc: Any = import_module("jupyter_cluster")
        self._cluster = self._jc.up()
        self._remotes: dict[Function, Any] = {}

    def make_ready(self) -> None:
        """Let it grow to all cores: the peers have all their workers from the start."""
        self._cluster.request_resources(num_cpus=self.cores)
        deadline = time.monotonic() + _READY_SECONDS
        while self._ready_cores() < self.cores:
            if time.monotonic() > deadline:
                raise TimeoutError(f"its nodes are not ready after {_READY_SECONDS:.0f} s")
            time.sleep(0.02)

    def _ready_cores(self) -> float:
        nodes = self._cluster.nodes()
        cores: float = sum(n["resources"]["CPU"] for n in nodes if n["state"] == "ready")
        return cores

    def map(self, function: Function, items: Sequence[Any], chunk: int) -> list[Any]:
        """One job; the head chooses the size of bundles."""
        results: list[Any] = self._cluster.map(function, items).results()
        return results

    def calls(self, function: Function, items: Sequence[Any]) -> list[Any]:
        """`.remote()` in a loop, then `get`."""
        remote = self._remotes.get(function)
        if remote is None:
            remote = self._remotes[function] = self._cluster.remote(function)
        results: list[Any] = self._jc.get([remote.remote(item) for item in items])
        return results

    def stop(self) -> None:
        """End the cluster."""
        self._cluster.down()


class Ray(Peer):
    """Ray on this machine, without its dashboard."""

    package = "ray"

    def start(self) -> None:
        """Start its processes."""
        self._ray: Any = import_module("ray")
        self._ray.init(
            num_cpus=self.cores, include_dashboard=False, log_to_driver=False, logging_level="error"
        )
        self._remotes: dict[Function, Any] = {}
        self._pool: Any = None

    def map(self, function: Function, items: Sequence[Any], chunk: int) -> list[Any]:
        """Chunks go through its Pool, single items are tasks: the faster way for each."""
        if chunk == 1:
            return self.calls(function, items)
        if self._pool is None:
            self._pool = import_module("ray.util.multiprocessing").Pool(self.cores)
        results: list[Any] = self._pool.map(function, items, chunksize=chunk)
        return results

    def calls(self, function: Function, items: Sequence[Any]) -> list[Any]:
        """`.remote()` in a loop, then `get`."""
        remote = self._remotes.get(function)
        if remote is None:
            remote = self._remotes[function] = self._ray.remote(function)
        results: list[Any] = self._ray.get([remote.remote(item) for item in items])
        return results

    def stop(self) -> None:
        """End its processes."""
        self._ray.shutdown()


class Dask(Peer):
    """Dask's scheduler with worker processes of one thread; a task for each item."""

    package = "distributed"

    def start(self) -> None:
        """Start a local cluster and a client."""
        distributed: Any = import_module("distributed")
        self._cluster = distributed.LocalCluster(
            n_workers=self.cores, threads_per_worker=1, processes=True, dashboard_address=None
        )
        self._client = distributed.Client(self._cluster)

    def map(self, function: Function, items: Sequence[Any], chunk: int) -> list[Any]:
        """`Client.map`; it has no chunks that would run as one task."""
        results: list[Any] = self._client.gather(self._client.map(function, items, pure=False))
        return results

    def calls(self, function: Function, items: Sequence[Any]) -> list[Any]:
        """`Client.submit` in a loop, then `gather`."""
        submit = self._client.submit
        results: list[Any] = self._client.gather([submit(function, i, pure=False) for i in items])
        return results

    def stop(self) -> None:
        """End its processes."""
        self._client.close()
        self._cluster.close()


class IPyParallel(Peer):
    """ipyparallel's engines behind a load-balanced view."""

    package = "ipyparallel"

    def start(self) -> None:
        """Start a controller and engines."""
        self._cluster: Any = import_module("ipyparallel").Cluster(n=self.cores)
        self._client = self._cluster.start_and_connect_sync()
        self._view = self._client.load_balanced_view()

    def map(self, function: Function, items: Sequence[Any], chunk: int) -> list[Any]:
        """The view's map."""
        return list(self._view.map_sync(function, items, chunksize=chunk))

    def calls(self, function: Function, items: Sequence[Any]) -> list[Any]:
        """`apply_async` in a loop, then `get`."""
        return [call.get() for call in [self._view.apply_async(function, i) for i in items]]

    def stop(self) -> None:
        """End its processes."""
        self._client.close()
        self._cluster.stop_cluster_sync()


class Joblib(Peer):
    """joblib's processes with its own sizes of batches; it has no single calls to gather."""

    package = "joblib"
    cases = frozenset(CASES) - {"calls"}

    def start(self) -> None:
        """Its processes start with the first tasks and stay."""
        self._joblib: Any = import_module("joblib")
        self._parallel = self._joblib.Parallel(n_jobs=self.cores)

    def map(self, function: Function, items: Sequence[Any], chunk: int) -> list[Any]:
        """`Parallel()(delayed(f)(x) for x in items)`."""
        delayed = self._joblib.delayed(function)
        results: list[Any] = self._parallel(delayed(item) for item in items)
        return results

    def call(self, function: Function, item: Any) -> Any:
        """`Parallel` over one item."""
        return self.map(function, [item], 1)[0]

    def stop(self) -> None:
        """End its processes."""
        import_module("joblib.externals.loky").get_reusable_executor().shutdown(kill_workers=True)


class ProcessPool(Peer):
    """The standard library's ProcessPoolExecutor."""

    def start(self) -> None:
        """Its processes start with the first tasks and stay."""
        self._pool: Any = import_module("concurrent.futures").ProcessPoolExecutor(self.cores)

    def map(self, function: Function, items: Sequence[Any], chunk: int) -> list[Any]:
        """The executor's map."""
        return list(self._pool.map(function, items, chunksize=chunk))

    def calls(self, function: Function, items: Sequence[Any]) -> list[Any]:
        """`submit` in a loop, then `result`."""
        return [f.result() for f in [self._pool.submit(function, item) for item in items]]

    def stop(self) -> None:
        """End its processes."""
        self._pool.shutdown()


class OneProcess(Peer):
    """A plain loop; what the palette job would do on one core without any cluster."""

    cases = frozenset({"palettes"})

    def map(self, function: Function, items: Sequence[Any], chunk: int) -> list[Any]:
        """A loop."""
        return [function(item) for item in items]


PEERS: dict[str, type[Peer]] = {
    OURS: Ours,
    "ray": Ray,
    "dask": Dask,
    "ipyparallel": IPyParallel,
    "joblib": Joblib,
    "processpool": ProcessPool,
    ONE_PROCESS: OneProcess,
}
