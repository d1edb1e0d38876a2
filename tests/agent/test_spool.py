"""A spool whose disk is full loses nothing."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from jupyter_cluster.agent.spool import Spool

pytestmark = pytest.mark.unit

FULL = Path("/dev/full")  # every write to it fails for lack of room


@pytest.mark.skipif(not FULL.exists(), reason="a full disk as a device is of Linux")
def test_what_a_full_disk_does_not_take_stays_in_memory(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    spool = Spool(tmp_path, memory_bytes=1000)
    for number in (2, 3):
        (tmp_path / str(number)).symlink_to(FULL)
    sizes = (900, 5000, 5000, 5000)
    with caplog.at_level(logging.WARNING):
        added = [spool.add({"data": bytes(size)}, size) for size in sizes]
    assert spool.unacknowledged() == added
    assert [path.name for path in tmp_path.iterdir()] == ["4"]  # by then there was room again
    assert len(caplog.records) == 1
    assert "No space left on device" in caplog.records[0].getMessage()
    spool.acknowledge([1, 2, 3, 4])
    spool.add({"data": b""}, 1000)  # all the memory is free again
    assert not list(tmp_path.iterdir())
