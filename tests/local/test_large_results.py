"""Large results stay on their node: they are moved, computed again, and never mixed up."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import pytest
from helpers import eventually

import jupyter_cluster as jc
from jupyter_cluster.client import registry

pytestmark = pytest.mark.local


def kill_nodes(cluster: jc.Cluster) -> None:
    """All agents die; returns when the cluster has noticed."""
    pids = registry.entry(cluster.name).read("processes.json")
    before = {node["id"] for node in cluster.nodes()}
    for name in before:
        os.kill(pids[name], signal.SIGKILL)
    eventually(lambda: not before & {node["id"] for node in cluster.nodes()})


def test_a_large_result_is_moved_before_its_node_goes(home: Path) -> None:
    cluster = jc.up(name="moved", cpus=1, idle_timeout_minutes=0.01)
    ref = cluster.remote(lambda: bytes(5_000_000)).remote()
    jc.wait([ref])
    eventually(lambda: not cluster.nodes())
    assert jc.get(ref, timeout=60) == bytes(5_000_000)
    assert len(cluster.events()) < 20  # and no node was launched to compute it again
    assert not cluster.nodes()
    cluster.down()


def test_a_lost_large_result_is_computed_again_with_the_refs_it_had(cluster: jc.Cluster) -> None:
    size = cluster.put(2_000_000)
    ref = cluster.remote(lambda n: bytes(n)).remote(size)
    jc.wait([ref])
    kill_nodes(cluster)
    assert jc.get(ref, timeout=60) == bytes(2_000_000)


@pytest.mark.parametrize("left", [None, 1_000_000], ids=["gone", "cut short"])
def test_a_result_whose_file_is_not_whole_any_more_is_computed_again(
    cluster: jc.Cluster, left: int | None
) -> None:
    read, needed = (cluster.remote(lambda: bytes(2_100_000)).remote() for _ in range(2))
    jc.wait([read, needed], num_returns=2)
    folder = registry.entry(cluster.name).folder
    files = [p for p in folder.rglob("results/*") if 2_100_000 < p.stat().st_size < 2_100_100]
    assert len(files) == 2
    for path in files:
        path.unlink() if left is None else os.truncate(path, left)
    assert jc.get(read, timeout=60) == bytes(2_100_000)
    assert jc.get(cluster.remote(len).remote(needed), timeout=60) == 2_100_000


@pytest.mark.parametrize("size", [2_000_000, 100])
def test_what_is_computed_again_may_have_another_size(
    cluster: jc.Cluster, tmp_path: Path, size: int
) -> None:
    marker = tmp_path / "again"

    def work() -> bytes:
        return bytes(size if marker.exists() else 3_000_000)

    ref = cluster.remote(work).remote()
    jc.wait([ref])
    marker.touch()
    kill_nodes(cluster)
    assert len(jc.get(ref, timeout=60)) == size


def test_a_task_waits_for_an_argument_that_went_with_its_node(cluster: jc.Cluster) -> None:
    ref = cluster.remote(lambda: bytes(3_000_000)).remote()
    jc.wait([ref])
    pids = registry.entry(cluster.name).read("processes.json")
    for node in cluster.nodes():
        os.kill(pids[node["id"]], signal.SIGKILL)
    assert jc.get(cluster.remote(len).remote(ref), timeout=60) == 3_000_000


def test_a_loss_is_remembered_by_a_head_that_is_started_again(cluster: jc.Cluster) -> None:
    ref = cluster.remote(lambda: bytes(2_500_000)).remote()
    jc.wait([ref])

    def block() -> None:
        time.sleep(2)

    blockers = cluster.map(block, range(4))
    kill_nodes(cluster)
    os.kill(registry.entry(cluster.name).read("processes.json")["head"], signal.SIGKILL)
    assert len(jc.get(ref, timeout=40)) == 2_500_000
    blockers.cancel()


def test_refs_of_one_function_go_to_another_that_was_used_before(cluster: jc.Cluster) -> None:
    @cluster.remote
    def later(x: int) -> int:
        return x + 1

    @cluster.remote
    def first(x: int) -> int:
        return x

    assert jc.get(later.remote(0)) == 1  # its stream to the head is the older one
    refs = [later.remote(first.remote(i)) for i in range(100)]
    assert jc.get(refs, timeout=60) == list(range(1, 101))


def test_a_node_that_dies_while_it_drains_loses_nothing(home: Path) -> None:
    cluster = jc.up(name="drained", cpus=2)

    def work(x: int) -> int:
        time.sleep(1)
        return x

    job = cluster.map(work, range(6))
    eventually(lambda: sum(node["slots_busy"] for node in cluster.nodes()) == 2)
    cluster.scale(max_workers=1)

    def draining() -> list[str]:
        return [node["id"] for node in cluster.nodes() if node["state"] == "draining"]

    eventually(draining)
    os.kill(registry.entry("drained").read("processes.json")[draining()[0]], signal.SIGKILL)
    assert job.results(timeout=40) == list(range(6))
    cluster.down()


def test_results_larger_than_memory_allows_at_once_are_read_in_windows(
    cluster: jc.Cluster,
) -> None:
    job = cluster.map(lambda x: bytes([x]) * 500_000, range(200), name="windows").wait()
    other = jc.Cluster(cluster._entry)
    found = other.job("windows")
    for index, value in enumerate(found):
        assert value == bytes([index]) * 500_000
    kept = sum(len(b.block.data) for b in found._channel.outcomes._batches.values())
    assert kept < 70_000_000
    other.disconnect()
    job.delete()
