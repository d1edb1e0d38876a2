"""What tests share: a registry of their own, clusters that are taken down, processes counted."""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

import jupyter_cluster as jc
from jupyter_cluster.client import launch, registry

PARTS = ("unit", "local", "notebooks")


def pytest_configure() -> None:
    """Kernels of the tests neither read nor write the user's own IPython folder."""
    os.environ["IPYTHONDIR"] = tempfile.mkdtemp(prefix="ipython-")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Fast parts first; a test without a part would run in none of them."""
    for item in items:
        if not any(item.get_closest_marker(part) for part in PARTS):
            raise pytest.UsageError(f"{item.nodeid} is marked with none of {', '.join(PARTS)}")
    items.sort(key=lambda item: next(i for i, p in enumerate(PARTS) if item.get_closest_marker(p)))


def eventually(condition: Callable[[], object], seconds: float = 20.0) -> None:
    """Await a condition."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "what was awaited did not come"
        time.sleep(0.02)


def processes_of(folder: Path) -> list[psutil.Process]:
    """Every process that belongs to a cluster below this folder."""
    found = []
    for process in psutil.process_iter():
        try:
            if any(str(folder) in argument for argument in process.cmdline()):
                found.append(process)
        except psutil.Error:
            continue
    return [process for process in found if process.pid != os.getpid()]


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A registry for one test module; in the end nothing of it runs."""
    folder = tmp_path_factory.mktemp("registry")
    before = os.environ.get("JUPYTER_CLUSTER_HOME")
    os.environ["JUPYTER_CLUSTER_HOME"] = str(folder)
    yield folder
    jc.shutdown()
    for entry in registry.entries():
        launch.end(entry)
    left = processes_of(folder)
    if before is None:
        del os.environ["JUPYTER_CLUSTER_HOME"]
    else:
        os.environ["JUPYTER_CLUSTER_HOME"] = before
    assert not left


@pytest.fixture(scope="module")
def cluster(home: Path) -> Iterator[jc.Cluster]:
    """A local cluster of two nodes with one CPU each, for one test module."""
    with jc.up(name="shared", cpus=2) as running:
        yield running
