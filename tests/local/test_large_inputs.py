"""Inputs that are large together go into rows of the journal that stay small."""

from __future__ import annotations

import contextlib
import os
import signal
import sqlite3
from pathlib import Path

import pytest
from helpers import eventually

import jupyter_cluster as jc
from jupyter_cluster.client import registry

pytestmark = pytest.mark.local

SIZE = 10_000_000


def row_sizes(journal: Path) -> list[int]:
    with contextlib.closing(sqlite3.connect(journal)) as connection:
        return [size for (size,) in connection.execute("SELECT length(data) FROM inputs")]


def test_large_items_survive_the_head_that_acknowledged_them(home: Path, tmp_path: Path) -> None:
    cluster = jc.up(name="large", cpus=1)
    go_on = tmp_path / "go-on"

    def work(data: bytes) -> int:
        import time

        while not go_on.exists():
            time.sleep(0.02)
        return len(data)

    place = registry.entry("large")
    job = cluster.map(work, [bytes(SIZE)] * 6)
    eventually(lambda: job._channel.sealed and not job._channel.untaken, 60)
    sizes = row_sizes(place.folder / "journal.sqlite")
    assert sum(sizes) > 6 * SIZE
    assert max(sizes) < 20_000_000
    os.kill(place.read("processes.json")["head"], signal.SIGKILL)
    go_on.touch()
    assert job.results(timeout=60) == [SIZE] * 6
    cluster.down()
