"""The registry on disk: what is alive is told by a lock, not by process ids."""

from __future__ import annotations

import fcntl
from pathlib import Path
from typing import TextIO

import pytest

from jupyter_cluster.client import registry
from jupyter_cluster.errors import RegistryError

pytestmark = pytest.mark.unit


@pytest.fixture(autouse=True)
def own_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JUPYTER_CLUSTER_HOME", str(tmp_path))


def make(name: str) -> registry.Entry:
    entry = registry.entry(name)
    entry.folder.mkdir(parents=True)
    (entry.folder / "cluster.json").write_text("{}")
    return entry


def hold(entry: registry.Entry) -> TextIO:
    lock = (entry.folder / "lock").open("w")
    fcntl.flock(lock, fcntl.LOCK_EX)
    return lock


def test_without_a_name_the_only_running_one_is_found() -> None:
    with pytest.raises(RegistryError, match="no cluster is running; start one with `up`"):
        registry.find()
    make("stopped")
    running = make("running")
    with hold(running):
        assert registry.find() == running
        assert registry.find("running") == running
        with (
            hold(make("second")),
            pytest.raises(RegistryError, match="several clusters are running: running, second"),
        ):
            registry.find()


def test_a_stopped_one_and_an_unknown_one_are_told_apart() -> None:
    make("stopped")
    with pytest.raises(RegistryError, match="'stopped' has stopped; its results are kept"):
        registry.find("stopped")
    with pytest.raises(RegistryError, match="there is no cluster 'other'; none is running"):
        registry.find("other")


@pytest.mark.parametrize("name", ["", "a b", "../x", "-x", "a/b"])
def test_a_name_that_would_leave_the_folder_is_refused(name: str) -> None:
    with pytest.raises(RegistryError, match="is no name for a cluster"):
        registry.entry(name)
