"""Full disks, of the head and of a node: nothing is lost, it is said, and work goes on."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from helpers import eventually, small_disk

import jupyter_cluster as jc

pytestmark = pytest.mark.local


@pytest.fixture
def on_small_disk(home: Path) -> Iterator[Path]:
    """The registry on a file system of 8 MB: a journal of the results of these tests fills it."""
    with small_disk(home, "8m"):
        yield home


def test_a_full_disk_loses_no_result(on_small_disk: Path) -> None:
    cluster = jc.up(name="full", cpus=2)

    def work(x: int) -> bytes:
        return bytes([x]) * 300_000

    try:
        wanted = [bytes([x]) * 300_000 for x in range(40)]
        assert cluster.map(work, range(40), name="much").results(timeout=60) == wanted
        eventually(lambda: "cannot be written" in cluster.status()["problem"])
        assert any("results wait on their nodes" in e["text"] for e in cluster.events())
        grow = ["mount", "-o", "remount,size=200m", str(on_small_disk)]
        subprocess.run(grow, check=True)
        eventually(lambda: not cluster.status()["problem"])
        other = jc.Cluster(cluster._entry)
        assert other.job("much").results(timeout=60) == wanted
        other.disconnect()
    finally:
        cluster.down()


def test_tasks_of_a_node_whose_disk_is_full_go_to_another(home: Path) -> None:
    cluster = jc.up(name="pressed", cpus=2)

    @cluster.remote
    def size(value: bytes, _index: int) -> int:
        return len(value)

    try:
        cluster.scale(min_workers={"local": 2})
        eventually(lambda: [row["state"] for row in cluster.nodes()] == ["ready", "ready"])
        first = str(cluster.nodes()[0]["id"])
        values = next(home.rglob(f"{first}/values"))
        with small_disk(values, "64k"):
            shared = cluster.put(b"x" * 1_000_000)
            refs = [size.remote(shared, index) for index in range(40)]
            assert jc.get(refs, timeout=60) == [1_000_000] * 40
            [event] = [e["text"] for e in cluster.events() if "gets no work" in e["text"]]
            assert event == f"{first} gets no work: its disk refuses files: No space left on device"
            row = next(row for row in cluster.nodes() if row["id"] == first)
            assert row["why"] == "its disk refuses files: No space left on device"
            assert row["resources"]["CPU"] == 1
            grow = ["mount", "-o", "remount,size=20m", str(values)]
            subprocess.run(grow, check=True)
            again = f"{first} gets work again: its disk takes files"
            eventually(lambda: again in [e["text"] for e in cluster.events()])
    finally:
        cluster.down()
