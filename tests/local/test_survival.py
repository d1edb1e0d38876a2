"""Processes are killed for real: every result comes once, none is lost, nothing is left behind."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from helpers import eventually, processes_of

import jupyter_cluster as jc
from jupyter_cluster import errors
from jupyter_cluster.client import launch, registry
from jupyter_cluster.client.connection import Connection
from jupyter_cluster.client.endpoint import Endpoint

pytestmark = pytest.mark.local


def pid_of(cluster: jc.Cluster, name: str) -> int:
    """The process id of the host, the head or a node."""
    return int(registry.entry(cluster.name).read("processes.json")[name])


def slowly(x: int) -> int:
    time.sleep(0.02)
    return x * x


def counted(folder: Path, x: int) -> int:
    """Leave a mark for each run."""
    (folder / f"{x}-{time.monotonic_ns()}").touch()
    time.sleep(0.02)
    return x


def test_a_slot_that_is_killed_costs_a_retry_of_its_task_alone(cluster: jc.Cluster) -> None:
    def fragile(x: int) -> int:
        marker = Path(os.environ["MARKERS"]) / "killed"
        if x == 17 and not marker.exists():
            marker.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        return x

    folder = registry.entry(cluster.name).folder
    body = fragile.__code__
    assert body

    def work(x: int) -> int:
        os.environ["MARKERS"] = str(folder)
        return fragile(x)

    assert cluster.map(work, range(100)).results(timeout=60) == list(range(100))
    assert any("task 17" in e["text"] and "retry 1 of 3" in e["text"] for e in cluster.events())


def test_five_poison_tasks_of_300_are_named_and_the_others_done(cluster: jc.Cluster) -> None:
    poison = {3, 77, 150, 151, 299}

    def work(x: int) -> int:
        if x in poison:
            sys.stderr.write(f"about to crash on {x}\n")
            os._exit(9)
        return x

    results = cluster.map(work, range(300), name="poison").results(timeout=100, errors="return")
    for index, result in enumerate(results):
        if index in poison:
            assert isinstance(result, errors.TaskCrashedError)
            assert f"task {index} of job 'poison' failed on node local-" in str(result)
            assert "given up as poison: its process exited with code 9" in str(result)
            assert f"about to crash on {index}" in str(result)
        else:
            assert result == index


def test_a_segfault_is_named_with_its_signal(cluster: jc.Cluster) -> None:
    @cluster.remote(max_retries=0)
    def crash() -> None:
        import ctypes

        ctypes.string_at(0)

    with pytest.raises(errors.TaskCrashedError, match=r"signal 11 \(SIGSEGV\)"):
        jc.get(crash.remote(), timeout=60)


def test_an_endless_loop_is_ended_by_its_timeout(cluster: jc.Cluster) -> None:
    def work(x: int) -> int:
        while x == 2:
            pass
        return x

    results = cluster.map(work, range(5), timeout=0.5).results(timeout=60, errors="return")
    assert isinstance(results[2], errors.TaskTimeoutError)
    assert "longer than its timeout of 0.5 s" in str(results[2])
    assert [r for i, r in enumerate(results) if i != 2] == [0, 1, 3, 4]


def test_a_task_over_its_memory_is_ended(cluster: jc.Cluster) -> None:
    @cluster.remote(memory=300e6, max_retries=0)
    def hungry(size: int) -> int:
        data = b"x" * size
        time.sleep(20 if size > 300_000_000 else 0)
        return len(data)

    assert jc.get(hungry.remote(1000)) == 1000
    with pytest.raises(errors.TaskMemoryError, match="more than its memory of 300 MB"):
        jc.get(hungry.remote(500_000_000), timeout=60)


def test_cancelling_stops_what_takes_no_interrupt(cluster: jc.Cluster, tmp_path: Path) -> None:
    def stubborn(x: int) -> None:
        Path(tmp_path, f"{os.getpid()}").touch()
        while True:
            try:
                time.sleep(60)
            except KeyboardInterrupt:
                pass

    job = cluster.map(stubborn, range(4))
    eventually(lambda: len(list(tmp_path.iterdir())) == 2)
    job.cancel()
    pids = [int(path.name) for path in tmp_path.iterdir()]
    eventually(lambda: not any(psutil.pid_exists(pid) for pid in pids))
    assert cluster.map(lambda x: x, range(10)).results(timeout=60) == list(range(10))


def test_a_cancelled_task_may_clean_up(cluster: jc.Cluster, tmp_path: Path) -> None:
    def tidy() -> None:
        Path(tmp_path, "began").touch()
        try:
            time.sleep(60)
        finally:
            Path(tmp_path, "tidied").touch()

    ref = cluster.remote(tidy).remote()
    eventually(Path(tmp_path, "began").exists)
    jc.cancel(ref)
    eventually(Path(tmp_path, "tidied").exists)


def test_an_agent_that_is_killed_loses_nothing(cluster: jc.Cluster) -> None:
    job = cluster.map(slowly, range(300))
    eventually(lambda: job.done > 20)
    victim = next(node["id"] for node in cluster.nodes() if node["state"] == "ready")
    os.kill(pid_of(cluster, victim), signal.SIGKILL)
    assert job.results(timeout=60) == [x * x for x in range(300)]
    failures = [e["text"] for e in cluster.events() if "has failed" in e["text"]]
    assert any(f"{victim} has failed: its agent was ended by signal 9" in f for f in failures)


def test_an_agent_that_hangs_is_out_of_contact_until_it_goes_on(cluster: jc.Cluster) -> None:
    job = cluster.map(slowly, range(200))
    eventually(lambda: job.done > 5)
    [name, *_] = [row["id"] for row in cluster.nodes() if row["state"] == "ready"]

    def state() -> str:
        return next(row["state"] for row in cluster.nodes() if row["id"] == name)

    agent = psutil.Process(pid_of(cluster, name))
    agent.suspend()
    try:
        eventually(lambda: state() == "lost contact")
    finally:
        agent.resume()
    eventually(lambda: state() == "ready")
    assert job.results(timeout=60) == [x * x for x in range(200)]


def test_the_head_killed_in_a_job_of_500_comes_back_and_finishes_it(
    cluster: jc.Cluster, tmp_path: Path
) -> None:
    job = cluster.map(lambda x: counted(tmp_path, x), range(500), name="headless")
    eventually(lambda: job.done > 50)
    head = pid_of(cluster, "head")
    os.kill(head, signal.SIGKILL)
    seen = [outcome.index for outcome in job.as_completed()]
    assert sorted(seen) == list(range(500))
    assert job.results(timeout=60) == list(range(500))
    assert pid_of(cluster, "head") != head
    runs = len(list(tmp_path.iterdir()))
    assert runs < 520  # what the nodes held went on; next to nothing was run twice


def test_a_client_that_is_away_for_long_goes_on_feeding_its_job(
    cluster: jc.Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    back = threading.Event()
    connect = Connection._connect

    async def away(self: Connection) -> Any:
        if not back.is_set():
            raise OSError("the laptop is asleep")
        return await connect(self)

    def inputs() -> Iterator[int]:
        yield from range(19)
        time.sleep(0.1)  # the first that come in a moment are sent by `map` itself
        yield 19
        back.wait()
        yield from range(20, 40)

    job = cluster.map(slowly, inputs(), name="fed")
    eventually(lambda: job.done == 20)
    monkeypatch.setattr(Connection, "_connect", away)
    os.kill(pid_of(cluster, "head"), signal.SIGKILL)  # which ends the client's connection
    endpoint = Endpoint(registry.entry(cluster.name))

    def is_sealed() -> bool:
        with contextlib.suppress(errors.ConnectionLostError):
            return "client went away" in endpoint.get(endpoint.job(job.id))["note"]
        return False

    try:
        eventually(is_sealed, 60)
    finally:
        back.set()
    assert job.results(timeout=60) == [x * x for x in range(40)]
    assert job.row()["note"] == ""


def test_a_client_that_is_killed_leaves_its_job_to_another(cluster: jc.Cluster) -> None:
    script = textwrap.dedent(
        f"""
        import time, jupyter_cluster as jc
        def work(x):
            time.sleep(0.02)
            return x * 3
        cluster = jc.connect({cluster.name!r})
        job = cluster.map(work, list(range(200)), name="orphan")
        while job.done < 20:
            time.sleep(0.01)
        print("enough", flush=True)
        time.sleep(60)
        """
    )
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE) as client:
        assert client.stdout is not None
        assert client.stdout.readline() == b"enough\n"
        client.kill()
    assert cluster.job("orphan").results(timeout=60) == [x * 3 for x in range(200)]


def test_a_killed_host_takes_everything_with_it(home: Path) -> None:
    cluster = jc.up(name="hostless", cpus=1)
    folder = registry.entry("hostless").folder
    marker = folder / "runs"

    def busy() -> None:
        marker.touch()
        time.sleep(60)

    cluster.remote(busy).remote()
    eventually(marker.exists)
    os.kill(pid_of(cluster, "host"), signal.SIGKILL)
    eventually(lambda: not processes_of(folder))
    cluster.disconnect()
    with pytest.raises(errors.RegistryError, match="has stopped; its results are kept"):
        jc.connect("hostless")
    launch.end(registry.entry("hostless"))


def test_a_stale_entry_is_started_again_with_its_results(home: Path) -> None:
    cluster = jc.up(name="stale", cpus=1)
    assert cluster.map(lambda x: x + 1, range(50), name="kept").results() == list(range(1, 51))
    os.kill(pid_of(cluster, "host"), signal.SIGKILL)
    eventually(lambda: not registry.entry("stale").is_alive)
    cluster.disconnect()
    again = jc.up(name="stale", cpus=1)
    assert again.job("kept").results() == list(range(1, 51))
    again.down()
    assert not registry.entry("stale").exists


def test_up_twice_is_the_same_cluster_and_down_twice_says_so(home: Path) -> None:
    cluster = jc.up(name="twice", cpus=1)
    assert jc.up(name="twice", cpus=1) is cluster
    with pytest.raises(errors.RegistryError, match="another configuration; different are"):
        jc.up(name="twice", cpus=2, cpus_per_node=2)
    cluster.down()
    with pytest.raises(errors.RegistryError, match="there is no cluster 'twice'"):
        cluster.down()


def test_slots_go_on_while_the_head_is_away(cluster: jc.Cluster, tmp_path: Path) -> None:
    def work(x: int) -> int:
        time.sleep(1.0)
        Path(tmp_path, f"{x}-{time.monotonic_ns()}").touch()
        return x

    job = cluster.map(work, range(2))
    eventually(lambda: sum(n["slots_busy"] for n in cluster.nodes()) >= 1)
    os.kill(pid_of(cluster, "head"), signal.SIGKILL)
    assert job.results(timeout=60) == [0, 1]
    assert len(list(tmp_path.iterdir())) == 2  # each was run once
