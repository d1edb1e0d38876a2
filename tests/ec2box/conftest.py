"""A box for all tests in it, and for each test an account that must be empty in the end."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

import jupyter_cluster as jc
from ec2box.bench import Bench
from ec2box.rig import Rig
from jupyter_cluster.client import launch, registry


@pytest.fixture(scope="session")
def rig() -> Iterator[Rig]:
    """The box; it is there inside of `scripts/test ec2box` only."""
    if "EC2BOX_WHEELS" not in os.environ:
        pytest.skip("the hosts of the box are made by root: scripts/test ec2box")
    made = Rig(Path(os.environ["EC2BOX_WHEELS"]))
    yield made
    made.close()


@pytest.fixture
def bench(rig: Rig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bench]:
    """A user with a registry of their own; what they leave in their account fails the test."""
    monkeypatch.setenv("JUPYTER_CLUSTER_HOME", str(tmp_path / "registry"))
    for name, value in rig.environment.items():
        monkeypatch.setenv(name, value)
    made = Bench(rig, tmp_path)
    log = rig.log.stat().st_size
    yield made
    with rig.log.open() as file:
        file.seek(log)
        print("the box:", file.read()[-8000:])  # shown where the test has failed
    rig.no_faults()
    jc.shutdown()
    for entry in registry.entries():
        launch.end(entry)
    left = made.left_over()
    rig.clear()
    assert not left
