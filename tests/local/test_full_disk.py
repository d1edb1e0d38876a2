"""A journal whose disk is full: nothing is lost, it is said, and it goes on when there is room."""

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
        # The nodes' folders lie there too: one that comes later could not be given the code.
        cluster.scale(min_workers={"local": 2})
        eventually(lambda: [row["state"] for row in cluster.nodes()] == ["ready", "ready"])
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
