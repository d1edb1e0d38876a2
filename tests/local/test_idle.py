"""A cluster that nobody uses ends itself and keeps its results."""

from __future__ import annotations

from pathlib import Path

import pytest
from helpers import eventually, processes_of

import jupyter_cluster as jc
from jupyter_cluster.client import registry

pytestmark = pytest.mark.local

CLUSTER = """
cluster_name: forgotten
max_workers: 1
cluster_idle_timeout_minutes: 0.03
provider: {type: local}
"""


def test_it_ends_although_an_idle_client_is_connected_and_its_results_are_kept(
    home: Path, tmp_path: Path
) -> None:
    path = tmp_path / "cluster.yaml"
    path.write_text(CLUSTER)
    cluster = jc.up(path)
    assert cluster.map(abs, [-1, -2], name="kept").results(timeout=60) == [1, 2]
    entry = registry.entry("forgotten")
    eventually(lambda: not entry.is_alive)
    eventually(lambda: not processes_of(entry.folder))
    cluster.disconnect()
    again = jc.up(path)
    assert again.job("kept").results(timeout=60) == [1, 2]
    again.down()


def test_one_that_has_stopped_by_itself_is_ended_by_down(home: Path, tmp_path: Path) -> None:
    path = tmp_path / "cluster.yaml"
    path.write_text(CLUSTER)
    for name in ([], ["forgotten"]):
        cluster = jc.up(path)
        cluster.map(abs, [-1]).results()
        eventually(lambda: not registry.entry("forgotten").is_alive)
        assert registry.entry("forgotten").exists
        jc.down(*name)
        assert not registry.entry("forgotten").exists
