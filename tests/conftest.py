"""What tests share: a registry of their own, clusters that are taken down, processes counted."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from helpers import processes_of

import jupyter_cluster as jc
from jupyter_cluster.client import launch, registry

try:
    from hypothesis import settings
except ModuleNotFoundError:  # in the box, where tests have what nodes get: little
    pass
else:  # no test fails because its machine was busy
    settings.register_profile("patient", deadline=None)
    settings.load_profile("patient")

PARTS = ("unit", "fuzz", "local", "ec2box", "notebooks", "browser")


def pytest_addoption(parser: pytest.Parser) -> None:
    """The fuzz part is seeded, the same every time; these make it longer or another."""
    parser.addoption("--fuzz-seed", type=int, default=12, help="seed of all mutations")
    parser.addoption("--fuzz-times", type=float, default=1, help="how many times as many mutations")


def pytest_configure() -> None:
    """Kernels of the tests neither read nor write the user's own IPython folder."""
    os.environ["IPYTHONDIR"] = tempfile.mkdtemp(prefix="ipython-")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Fast parts first; a test without a part would run in none of them."""
    for item in items:
        if not any(item.get_closest_marker(part) for part in PARTS):
            raise pytest.UsageError(f"{item.nodeid} is marked with none of {', '.join(PARTS)}")
    items.sort(key=lambda item: next(i for i, p in enumerate(PARTS) if item.get_closest_marker(p)))


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
