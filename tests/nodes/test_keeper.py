"""What is kept running is started again when it dies, and ends when it is told to."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest
from helpers import eventually

from jupyter_cluster.nodes.remote.stop import is_kept, stop

pytestmark = pytest.mark.local

KEPT = """
import os, signal, sys, time
from pathlib import Path

folder = Path(sys.argv[1])
signal.signal(signal.SIGTERM, lambda *_: (folder / "ended").touch() or sys.exit(0))
if (folder / "deaf").exists():
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
(folder / "pid.part").write_text(str(os.getpid()))
os.rename(folder / "pid.part", folder / "pid")
if (folder / "ill").exists():
    sys.exit(3)
while True:
    time.sleep(0.05)
"""
# As the command does, with another idea of how long something may take to end.
RUN = """
import sys
from pathlib import Path
from jupyter_cluster.nodes import keeper

keeper.END_SECONDS = int(sys.argv[1])
keeper.LONGEST_PAUSE = 0.2
sys.path.insert(0, sys.argv[2])
sys.exit(keeper.keep(Path(sys.argv[2]), "kept", [sys.argv[2]]))
"""


@contextmanager
def keeping(folder: Path, end_seconds: int = 1000) -> Iterator[subprocess.Popen[bytes]]:
    """A keeper with what it keeps, of which neither is left behind."""
    (folder / "logs").mkdir()
    (folder / "kept.py").write_text(KEPT)
    environment = {"PYTHONPATH": str(folder), "PATH": "/usr/bin:/bin"}
    words = [sys.executable, "-c", RUN, str(end_seconds), str(folder)]
    with subprocess.Popen(words, env=environment, stdout=subprocess.DEVNULL) as process:
        try:
            yield process
        finally:
            process.kill()
            if psutil.pid_exists(pid := kept_pid(folder)):
                psutil.Process(pid).kill()


def kept_pid(folder: Path) -> int:
    """The process that is kept; 0 where it has not started."""
    try:
        return int((folder / "pid").read_text())
    except FileNotFoundError:
        return 0


def test_it_ends_as_soon_as_what_it_keeps_has_ended(tmp_path: Path) -> None:
    with keeping(tmp_path) as process:
        eventually(lambda: kept_pid(tmp_path))
        assert stop(str(tmp_path), signal.SIGTERM, 20)
        assert process.wait(20) == 0
        assert (tmp_path / "ended").exists()


def test_what_does_not_listen_is_killed(tmp_path: Path) -> None:
    (tmp_path / "deaf").touch()
    with keeping(tmp_path, end_seconds=1) as process:
        eventually(lambda: kept_pid(tmp_path))
        assert stop(str(tmp_path), signal.SIGTERM, 20)
        assert process.wait(20) != 0
        assert not psutil.pid_exists(kept_pid(tmp_path))


def test_what_dies_is_started_again_however_often(tmp_path: Path) -> None:
    with keeping(tmp_path) as process:
        eventually(lambda: kept_pid(tmp_path))
        first = kept_pid(tmp_path)
        (tmp_path / "ill").touch()
        psutil.Process(first).kill()
        met = {first}
        eventually(lambda: met.add(kept_pid(tmp_path)) or len(met) > 7, 60)
        (tmp_path / "ill").unlink()
        eventually(lambda: psutil.pid_exists(kept_pid(tmp_path)), 60)
        assert stop(str(tmp_path), signal.SIGTERM, 20)
        assert process.wait(20) == 0


def test_nothing_to_stop_is_no_error(tmp_path: Path) -> None:
    assert stop(str(tmp_path), signal.SIGTERM, 20)


def test_a_stranger_with_the_number_of_a_keeper_that_died_is_left_alone(tmp_path: Path) -> None:
    with keeping(tmp_path) as process:
        eventually(lambda: kept_pid(tmp_path))
        process.kill()
        process.wait()
        psutil.Process(kept_pid(tmp_path)).kill()
    with subprocess.Popen(["sleep", "600"]) as stranger:
        (tmp_path / "keeper.pid").write_text(str(stranger.pid))
        assert not is_kept(str(tmp_path))
        assert stop(str(tmp_path), signal.SIGTERM, 20)
        assert stranger.poll() is None
        stranger.kill()


def test_one_that_does_not_end_in_time_is_told_and_said(tmp_path: Path) -> None:
    (tmp_path / "deaf").touch()
    with keeping(tmp_path):
        eventually(lambda: kept_pid(tmp_path))
        assert not stop(str(tmp_path), signal.SIGTERM, 0.2)
        assert is_kept(str(tmp_path))
