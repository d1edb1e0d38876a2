"""Starts at the same time, and a host that outlives its head."""

from __future__ import annotations

import os
import signal
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psutil
import pytest
from helpers import eventually, processes_of

import jupyter_cluster as jc
from jupyter_cluster.client import launch, registry
from jupyter_cluster.config import local_config

pytestmark = pytest.mark.local


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
    assert cluster.map(abs, [-1]).results(timeout=30) == [1]
    cluster.down()


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
    assert cluster.map(abs, [-1]).results(timeout=30) == [1]
    cluster.down()
