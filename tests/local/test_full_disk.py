"""A journal whose disk is full: nothing is lost, it is said, and it goes on when there is room."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from helpers import eventually

import jupyter_cluster as jc

pytestmark = pytest.mark.local


@pytest.fixture
def small_disk(home: Path) -> Iterator[Path]:
    """The registry on a file system of 4 MB."""
    mount = ["mount", "-t", "tmpfs", "-o", "size=4m,mode=0700", "tmpfs", str(home)]
    if subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("a small file system can only be mounted by root")
    yield home
    subprocess.run(["umount", "--lazy", str(home)], check=True)


def test_a_full_disk_loses_no_result(small_disk: Path) -> None:
    cluster = jc.up(name="full", cpus=2)

    def work(x: int) -> bytes:
        return bytes([x]) * 300_000

    try:
        wanted = [bytes([x]) * 300_000 for x in range(40)]
        assert cluster.map(work, range(40), name="much").results(timeout=60) == wanted
        eventually(lambda: "cannot be written" in cluster.status()["problem"])
        assert any("results wait on their nodes" in e["text"] for e in cluster.events())
        grow = ["mount", "-o", "remount,size=200m", str(small_disk)]
        subprocess.run(grow, check=True)
        eventually(lambda: not cluster.status()["problem"])
        other = jc.Cluster(cluster._entry)
        assert other.job("much").results(timeout=60) == wanted
        other.disconnect()
    finally:
        cluster.down()
