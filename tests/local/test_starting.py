"""Starts at the same time, and a host that outlives its head."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psutil
import pytest
from helpers import eventually, processes_of, small_disk

import jupyter_cluster as jc
from jupyter_cluster.client import launch, launch_local, registry
from jupyter_cluster.config import local_config
from jupyter_cluster.errors import ClusterError, ConnectionLostError

pytestmark = pytest.mark.local

COMMAND = [sys.executable, "-m", "jupyter_cluster.cli"]


def hosts_of(folder: Path) -> list[psutil.Process]:
    """The processes of a cluster that were not forked by another one of it."""
    found = processes_of(folder)
    return [process for process in found if process.ppid() not in {one.pid for one in found}]


def test_two_starts_at_once_are_one_cluster(home: Path) -> None:
    said: list[str] = []
    with ThreadPoolExecutor(2) as pool:
        config = local_config("race", cpus=1)
        starts = [pool.submit(launch.start, config, said.append) for _ in range(2)]
        first, second = (start.result() for start in starts)
    assert first == second
    assert any(text.endswith("waiting for that") for text in said)
    assert len(hosts_of(first.folder)) == 1
    cluster = jc.Cluster(first)
    assert cluster.map(abs, [-1]).results(timeout=60) == [1]
    cluster.down()


def test_a_cluster_that_takes_the_place_of_one_of_its_name_is_another(home: Path) -> None:
    first = jc.up(name="again", cpus=1)
    assert jc.connect("again") is first
    launch.end(registry.entry("again"))  # as from a terminal
    with jc.up(name="again", cpus=1) as second:
        assert second is not first
        assert second.map(abs, [-1]).results(timeout=60) == [1]
        assert second.jobs()
        with pytest.raises(ConnectionLostError, match=r"`connect\('again'\)` takes that"):
            first.jobs()


def test_nobody_is_ended_for_a_process_id_that_was_written_down(home: Path) -> None:
    stranger = subprocess.Popen(["sleep", "600"], start_new_session=True)
    place = registry.entry("stale")
    place.folder.mkdir(mode=0o700, parents=True)
    place.identity()
    place.write("processes.json", {"host": stranger.pid, "head": stranger.pid})
    up = subprocess.Popen([*COMMAND, "up", "--name", "stale", "--cpus", "1"], text=True)
    eventually(lambda: place.is_alive, 60)
    launch.end(place)  # waits for its turn
    assert up.wait(60) in (0, 1)  # it may have lost the cluster just before it could say so
    assert stranger.poll() is None
    assert not processes_of(place.folder)
    for content in ("[1]", '{"host": "x"}', "null", '{"host": 99999999999}'):
        place.folder.mkdir(mode=0o700)
        place.identity()
        (place.folder / "processes.json").write_text(content)
        launch.end(place)
    stranger.kill()
    stranger.wait()


def test_a_cluster_that_is_just_ending_is_awaited_and_started_anew(home: Path) -> None:
    first = jc.up(name="again", cpus=1)
    host = psutil.Process(registry.entry("again").read("processes.json")["host"])
    host.terminate()
    second = jc.up(name="again", cpus=1)
    assert second.map(abs, [-1]).results(timeout=60) == [1]
    assert not host.is_running() or host.status() == psutil.STATUS_ZOMBIE
    second.down()
    first.disconnect()


def test_a_stopped_cluster_with_damaged_files_is_started_again(home: Path) -> None:
    place = jc.up(name="damaged", cpus=1)._entry
    launch_local._signal_all(launch_local._hosts_of(place), signal.SIGKILL)
    eventually(lambda: not processes_of(place.folder))
    (place.folder / "cluster.json").write_text("[")
    shutil.rmtree(place.credentials)
    cluster = jc.up(name="damaged", cpus=1)
    assert cluster.map(abs, [-1]).results(timeout=60) == [1]
    cluster.down()


def test_a_cluster_that_cannot_start_says_why_in_a_line(home: Path) -> None:
    place = jc.up(name="broken", cpus=1)._entry
    launch_local._signal_all(launch_local._hosts_of(place), signal.SIGKILL)
    eventually(lambda: not processes_of(place.folder))
    for path in place.folder.glob("journal*"):
        path.write_bytes(b"no database" * 1000)
    with pytest.raises(ClusterError, match="did not start: ") as caught:
        jc.up(name="broken", cpus=1)
    assert "\n" not in str(caught.value)
    assert "head.log" in str(caught.value)
    launch.end(place)


def test_a_full_disk_is_a_sentence(home: Path) -> None:
    with small_disk(home, "16k"), pytest.raises(ClusterError, match="No space left on device"):
        jc.up(name="full", cpus=1)


def test_the_host_outlives_a_head_that_dies_before_it_was_answered(home: Path) -> None:
    cluster = jc.up(name="unanswered", cpus=1)
    pids = registry.entry("unanswered").read("processes.json")
    host = psutil.Process(pids["host"])
    host.suspend()
    job = cluster.map(abs, [-1, -2])
    # Written just before the host is asked to start the node; then one more round trip.
    eventually(lambda: list(registry.entry("unanswered").folder.glob("nodes/*/agent.json")))
    assert cluster.nodes()
    os.kill(pids["head"], signal.SIGKILL)
    host.resume()
    assert job.results(timeout=50) == [1, 2]
    assert host.is_running()
    cluster.down()


def test_a_users_module_does_not_stand_in_for_one_that_the_cluster_imports(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "random.py").write_text("raise ImportError('not the module you look for')")
    monkeypatch.chdir(tmp_path)
    cluster = jc.up(name="shadowed", cpus=1)
    assert cluster.map(abs, [-1]).results(timeout=60) == [1]
    cluster.down()
