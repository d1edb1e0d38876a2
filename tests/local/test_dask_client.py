"""Dask collections in leased slots: they count, grow the cluster, and leave nothing behind."""

from __future__ import annotations

import asyncio
import inspect
import os
import signal
import socket
import subprocess
import sys
import textwrap
import time
from pathlib import Path
from typing import Any

import dask
import psutil
import pytest
from helpers import eventually

import jupyter_cluster as jc
from jupyter_cluster import errors
from jupyter_cluster.client import registry
from jupyter_cluster.trust import Role, dask_security

pytestmark = pytest.mark.local


def square(x: int) -> int:
    return x * x


def slow_square(x: int) -> int:
    time.sleep(0.1)
    return x * x


def worker_pids(client: Any) -> list[int]:
    """The processes of the lease's workers; one that leaves meanwhile is none."""
    return sorted(client.run(os.getpid, on_error="ignore").values())


def node_of(pid: int) -> int:
    """The node of a slot, by the zygote that forks all of that node's."""
    return psutil.Process(pid).ppid()


def dask_jobs(cluster: jc.Cluster) -> list[dict[str, Any]]:
    return [job for job in cluster.jobs() if job["name"] == "dask"]


def is_running(pid: int) -> bool:
    """Whether a process runs; one that only waits to be reaped by init does not."""
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def all_gone(pids: list[int]) -> bool:
    return not any(is_running(pid) for pid in pids)


def is_free(cluster: jc.Cluster) -> bool:
    return not any(node["slots_busy"] for node in cluster.nodes())


def ports_of(pid: int) -> set[tuple[str, int]]:
    """Every address on which a process listens."""
    connections = psutil.Process(pid).net_connections(kind="inet")
    return {(c.laddr.ip, c.laddr.port) for c in connections if c.status == psutil.CONN_LISTEN}


def says_in_plain(address: str, port: int) -> bytes:
    """What a server says to somebody who speaks HTTP without TLS."""
    try:
        with socket.create_connection((address, port), timeout=5) as plain:
            plain.sendall(b"GET /info/main/workers.html HTTP/1.0\r\n\r\n")
            return plain.recv(1)
    except OSError:
        return b""


def test_a_lease_makes_the_cluster_grow_and_works_on_several_nodes(home: Path) -> None:
    with jc.up(name="growing", cpus=2) as cluster:
        assert cluster.nodes() == []
        with cluster.dask_client(num_cpus=2) as client:
            total = dask.delayed(sum)([dask.delayed(square)(i) for i in range(20)])
            assert total.compute() == sum(i * i for i in range(20))
            assert client.gather(client.map(square, range(50))) == [i * i for i in range(50)]
            nodes = {node_of(pid) for pid in worker_pids(client)}
        assert len(nodes) == 2
        assert any("launch 2" in event["text"] for event in cluster.events())


def test_a_lease_grows_with_its_tasks_and_shrinks_again(cluster: jc.Cluster) -> None:
    with cluster.dask_client(num_cpus=2, min_cpus=0) as client:
        assert worker_pids(client) == []
        work = client.map(slow_square, range(60), pure=False)
        eventually(lambda: len(worker_pids(client)) == 2, 60)
        assert client.gather(work) == [i * i for i in range(60)]
        del work
        eventually(lambda: worker_pids(client) == [], 60)
        eventually(lambda: is_free(cluster), 60)
        assert client.submit(square, 3).result(timeout=60) == 9  # and grows anew


def test_the_client_shows_its_workers_and_threads(cluster: jc.Cluster) -> None:
    with cluster.dask_client(num_cpus=2) as client:
        assert "processes=2 threads=2" in repr(client)
        assert client.id in client._repr_html_()


def test_another_job_waits_while_a_lease_holds_all_cpus(cluster: jc.Cluster) -> None:
    with cluster.dask_client(num_cpus=2) as client:
        job = cluster.map(square, [7], name="waiting")
        assert client.gather(client.map(square, range(100))) == [i * i for i in range(100)]
        assert (job.info.queued, job.info.running, job.done) == (1, 0, 0)
        (lease,) = dask_jobs(cluster)
        assert (lease["running"], lease["unit"], lease["shape"]) == (2, "worker", {"CPU": 1})
    assert job.results(timeout=60) == [49]


def test_closing_frees_the_slots_and_leaves_no_process_and_no_key(cluster: jc.Cluster) -> None:
    client = cluster.dask_client(num_cpus=2)
    pids = worker_pids(client)
    endless = client.map(lambda _x: [None for _ in iter(int, 1)], range(2))
    eventually(lambda: len(client.processing()) == 2)
    client.close()
    del endless
    eventually(lambda: all_gone(pids) and is_free(cluster))
    assert dask_jobs(cluster) == []
    client.close()
    assert cluster.map(square, range(10)).results(timeout=60) == [i * i for i in range(10)]


def test_a_lease_can_be_had_where_an_event_loop_runs(cluster: jc.Cluster) -> None:
    async def cell() -> int:
        with cluster.dask_client(num_cpus=1) as client:
            return int(client.submit(square, 5).result())

    assert asyncio.run(cell()) == 25


def test_threads_and_memory_are_those_of_the_slot(home: Path) -> None:
    with (
        jc.up(name="wide", cpus=2, cpus_per_node=2) as cluster,
        cluster.dask_client(2, threads_per_worker=2, memory=1e9) as client,
    ):
        (worker,) = client.scheduler_info()["workers"].values()
        assert (worker["nthreads"], worker["memory_limit"]) == (2, 1_000_000_000)
        (lease,) = dask_jobs(cluster)
        assert lease["shape"] == {"CPU": 2, "memory": 1_000_000_000}


def test_every_port_is_on_loopback_and_speaks_no_plain_http(cluster: jc.Cluster) -> None:
    before = ports_of(os.getpid())
    with cluster.dask_client(num_cpus=2) as client:
        own = ports_of(os.getpid()) - before
        assert own == {("127.0.0.1", int(client.lease.address.rpartition(":")[2]))}
        for pid in worker_pids(client):
            ports = ports_of(pid)
            assert len(ports) == 1
            own |= ports
        assert len(own) == 3
        for address, port in own:
            assert address == "127.0.0.1"
            assert says_in_plain(address, port) in (b"", b"\x15")  # a TLS alert
    assert ports_of(os.getpid()) == before


def test_a_certificate_of_the_cluster_does_not_open_a_lease(cluster: jc.Cluster) -> None:
    from distributed.comm import connect

    async def knock(address: str) -> None:
        security = dask_security(registry.entry(cluster.name).credentials, Role.CLIENT)
        comm = await connect(address, timeout=30, **security.get_connection_args("client"))
        comm.abort()

    with cluster.dask_client(num_cpus=1) as client, pytest.raises(OSError, match="certificate"):
        asyncio.run(knock(client.lease.address))


def test_restart_gives_new_worker_processes(cluster: jc.Cluster) -> None:
    with cluster.dask_client(num_cpus=1) as client:
        before = worker_pids(client)
        client.restart(timeout=30)
        assert worker_pids(client) != before
        assert client.submit(square, 3).result(timeout=30) == 9


def test_a_worker_that_crashes_is_named_and_started_again(
    cluster: jc.Cluster, tmp_path: Path
) -> None:
    marker = tmp_path / "crashed"

    def crash_once() -> str:
        if not marker.exists():
            marker.touch()
            os.kill(os.getpid(), signal.SIGSEGV)
        return "second time"

    with cluster.dask_client(num_cpus=1) as client:
        assert client.submit(crash_once).result(timeout=60) == "second time"
    texts = [event["text"] for event in cluster.events()]
    assert any("of 'dask'" in t and "SIGSEGV" in t and "retry 1 of 3" in t for t in texts)


def test_a_worker_over_its_memory_is_ended(cluster: jc.Cluster) -> None:
    def hungry() -> int:
        data = b"x" * 800_000_000
        time.sleep(20)
        return len(data)

    def is_named() -> bool:
        texts = [event["text"] for event in cluster.events()]
        return any("of 'dask'" in t and "more than its memory of 500 MB" in t for t in texts)

    with cluster.dask_client(num_cpus=1, memory=500e6) as client:
        (pid,) = worker_pids(client)
        future = client.submit(hungry)
        eventually(is_named)
        eventually(lambda: all_gone([pid]))
        future.cancel()


def test_a_lease_goes_on_while_the_head_is_away(cluster: jc.Cluster) -> None:
    def head() -> int:
        return int(registry.entry(cluster.name).read("processes.json")["head"])

    with cluster.dask_client(num_cpus=2) as client:
        pids, old = worker_pids(client), head()
        os.kill(old, signal.SIGKILL)
        assert client.gather(client.map(square, range(20))) == [i * i for i in range(20)]
        eventually(lambda: head() != old and cluster.status()["state"] == "running")
        assert worker_pids(client) == pids
    eventually(lambda: all_gone(pids))


def lease_in_a_script(cluster: jc.Cluster, then: str) -> subprocess.Popen[str]:
    """Another process that leases both CPUs and waits for a third, keeps its workers busy for
    ever, prints their process ids, and goes on with `then`."""
    script = f"""
        import os, sys, time, jupyter_cluster as jc
        def endless(_x):
            while True:
                pass
        client = jc.connect({cluster.name!r}).dask_client(num_cpus=3, wait=False)
        client.wait_for_workers(2)
        pids = client.run(os.getpid).values()
        futures = client.map(endless, range(2))
        while len(client.processing()) < 2:
            time.sleep(0.01)
        print(*pids, flush=True)
        {then}
        """
    command = [sys.executable, "-c", textwrap.dedent(script)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def test_a_client_that_is_killed_ends_its_lease(cluster: jc.Cluster) -> None:
    with lease_in_a_script(cluster, "time.sleep(60)") as script:
        assert script.stdout is not None
        pids = [int(pid) for pid in script.stdout.readline().split()]
        assert len(pids) == 2
        script.kill()
    # One that was queued begins when the others have ended, and ends as they did.
    eventually(lambda: all_gone(pids) and dask_jobs(cluster)[0]["finished"])
    (lease,) = dask_jobs(cluster)
    assert (lease["state"], lease["failed"]) == ("failed", 3)
    with pytest.raises(errors.ConnectionLostError, match="in the client's process at tls://"):
        cluster.job("dask").results()
    cluster.job("dask").delete()


def test_a_program_that_ends_without_closing_ends_its_lease(cluster: jc.Cluster) -> None:
    with lease_in_a_script(cluster, "") as script:
        assert script.stdout is not None
        pids = [int(pid) for pid in script.stdout.readline().split()]
        assert script.wait(60) == 0
    eventually(lambda: all_gone(pids) and is_free(cluster))
    assert dask_jobs(cluster) == []


def test_modules_beside_the_program_travel_to_the_workers(
    cluster: jc.Cluster, tmp_path: Path
) -> None:
    folder = tmp_path / "project"
    folder.mkdir()
    (folder / "beside.py").write_text("def triple(x):\n    return 3 * x\n")
    program = folder / "program.py"
    program.write_text(
        "import beside, jupyter_cluster as jc\n"
        f"with jc.connect({cluster.name!r}).dask_client(num_cpus=1) as client:\n"
        "    print(client.submit(beside.triple, 14).result(timeout=30))\n"
    )
    command = [sys.executable, str(program)]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
    assert done.stdout == "42\n"
    assert done.stderr == ""


def test_a_cluster_that_ends_takes_its_leases_with_it(home: Path) -> None:
    with jc.up(name="ending", cpus=1) as cluster:
        client = cluster.dask_client(num_cpus=1)
        pids = worker_pids(client)
    assert all_gone(pids)
    client.close()


def test_a_lease_that_does_not_fit_in_time_says_so_and_ends(cluster: jc.Cluster) -> None:
    with pytest.raises(errors.GetTimeoutError, match="2 of 3 Dask workers have joined after 25 s"):
        cluster.dask_client(num_cpus=3, timeout=25)
    eventually(lambda: is_free(cluster))
    assert dask_jobs(cluster) == []


def test_a_worker_that_no_node_can_hold_is_infeasible(cluster: jc.Cluster) -> None:
    with pytest.raises(errors.InfeasibleError):
        cluster.dask_client(num_cpus=64, threads_per_worker=64, timeout=60)
    assert dask_jobs(cluster) == []


def test_without_waiting_it_starts_with_the_workers_that_are_there(cluster: jc.Cluster) -> None:
    with cluster.dask_client(num_cpus=3, wait=False) as client:
        assert client.submit(square, 4).result(timeout=60) == 16


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"num_cpus": 0}, "num_cpus must be at least 1, not 0"),
        ({"num_cpus": 2, "min_cpus": -1}, "min_cpus must be at least 0, not -1"),
        ({"num_cpus": 3, "threads_per_worker": 2}, r"multiple of threads_per_worker \(2\)"),
        ({"threads_per_worker": 0}, "threads_per_worker must be at least 1, not 0"),
        ({"num_cpus": 10**30}, "num_cpus must be at most 10000, not 10"),
        *(
            ({option: odd}, f"{option} must be ")
            for option in inspect.signature(jc.Cluster.dask_client).parameters
            if option != "self"
            for odd in ("2", float("nan"), [2])
        ),
        ({"num_cpus": True}, "num_cpus must be a whole number, not True"),
        ({"wait": None}, "wait must be True or False"),
    ],
)
def test_numbers_that_do_not_fit_are_refused(
    cluster: jc.Cluster, arguments: dict[str, Any], message: str
) -> None:
    with pytest.raises(errors.UsageError, match=message):
        cluster.dask_client(**arguments)


def test_a_dask_task_cannot_use_the_cluster_it_runs_on(cluster: jc.Cluster) -> None:
    name = cluster.name

    def nested() -> None:
        jc.connect(name).map(square, [1])

    with (
        cluster.dask_client(num_cpus=1) as client,
        pytest.raises(errors.UsageError, match="a task cannot use the cluster that it runs on"),
    ):
        client.submit(nested).result(timeout=30)


def test_the_spec_shows_no_key() -> None:
    from jupyter_cluster.client.dask_worker import WorkerSpec

    shown = repr(WorkerSpec("tls://127.0.0.1:1", "127.0.0.1", 1, 0, "an ca", "a cert", "secret"))
    assert "tls://127.0.0.1:1" in shown
    assert "secret" not in shown
