"""What is kept running is started again when it dies, and ends when it is told to."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest
from helpers import eventually

from jupyter_cluster.nodes.remote import stop as script
from jupyter_cluster.nodes.remote.stop import is_kept, stop, sweep
from jupyter_cluster.wire import NODE_MARK

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
(folder / "well").touch()
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
        assert process.wait(60) == 0
        assert (tmp_path / "ended").exists()


def test_what_does_not_listen_is_killed(tmp_path: Path) -> None:
    (tmp_path / "deaf").touch()
    with keeping(tmp_path, end_seconds=1) as process:
        eventually(lambda: kept_pid(tmp_path))
        assert stop(str(tmp_path), signal.SIGTERM, 20)
        assert process.wait(60) != 0
        assert not psutil.pid_exists(kept_pid(tmp_path))


def test_what_dies_is_started_again_however_often(tmp_path: Path) -> None:
    with keeping(tmp_path) as process:
        eventually((tmp_path / "well").exists)
        first = kept_pid(tmp_path)
        (tmp_path / "ill").touch()
        (tmp_path / "well").unlink()
        psutil.Process(first).kill()
        met = {first}
        eventually(lambda: met.add(kept_pid(tmp_path)) or len(met) > 7, 60)
        (tmp_path / "ill").unlink()
        eventually((tmp_path / "well").exists, 60)
        assert stop(str(tmp_path), signal.SIGTERM, 20)
        assert process.wait(60) == 0


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


@contextmanager
def marked(
    folder: Path, shell: str = "sleep 600", mark: str = NODE_MARK
) -> Iterator[subprocess.Popen[bytes]]:
    """What a task has started: in a session of its own, with the node's mark."""
    environment = {**os.environ, mark: str(folder)}
    words = ["sh", "-c", shell]
    with subprocess.Popen(words, env=environment, start_new_session=True) as process:
        try:
            yield process
        finally:
            process.kill()


@pytest.mark.skipif(sys.platform != "linux", reason="finds marks in /proc")
def test_what_tasks_have_left_ends_with_their_host_and_nobody_elses_does(tmp_path: Path) -> None:
    assert script.MARK.decode() == f"{NODE_MARK}="
    mine, other = tmp_path / "mine", tmp_path / "mine-too"
    (mine / "agent").mkdir(parents=True)
    (tmp_path / "link").symlink_to(mine)
    with (
        marked(mine / "agent") as left,
        marked(tmp_path / "link" / "agent") as linked,
        marked(other / "agent") as stranger,
    ):
        words = [sys.executable, script.__file__, ".", str(int(signal.SIGTERM)), "20"]
        done = subprocess.run(words, cwd=mine, capture_output=True, text=True, timeout=60)
        assert (done.returncode, done.stderr) == (0, "")
        assert left.wait(20) == linked.wait(20) == -signal.SIGKILL
        assert stranger.poll() is None


@pytest.mark.skipif(sys.platform != "linux", reason="finds marks in /proc")
def test_what_its_set_up_runs_or_has_left_ends_with_a_node_and_not_with_its_agent(
    tmp_path: Path,
) -> None:
    with marked(tmp_path / "registry", mark="JUPYTER_CLUSTER_HOME") as left:
        assert sweep(str(tmp_path)) == 0
        assert left.poll() is None
        words = [sys.executable, script.__file__, ".", str(int(signal.SIGTERM)), "20"]
        assert subprocess.run(words, cwd=tmp_path, timeout=60, check=False).returncode == 0
        assert left.wait(20) == -signal.SIGKILL


@pytest.mark.skipif(sys.platform != "linux", reason="finds marks in /proc")
def test_what_goes_on_forking_is_caught(tmp_path: Path) -> None:
    fork = "trap '' HUP; while :; do sleep 600 & sleep 0.001; done"
    with marked(tmp_path, fork) as process:
        eventually(lambda: len(psutil.Process(process.pid).children()) > 5)
        assert sweep(str(tmp_path)) == 0
        assert process.wait(60) == -signal.SIGKILL


@pytest.mark.skipif(sys.platform != "linux", reason="finds marks in /proc")
def test_what_a_killed_node_has_left_ends_before_another_begins(tmp_path: Path) -> None:
    with keeping(tmp_path) as process, marked(tmp_path / "agent") as left:
        eventually(lambda: kept_pid(tmp_path))
        assert left.poll() is None
        first = kept_pid(tmp_path)
        psutil.Process(first).kill()
        assert left.wait(20) == -signal.SIGKILL
        eventually(lambda: kept_pid(tmp_path) != first)
        assert stop(str(tmp_path), signal.SIGTERM, 20)
        assert process.wait(60) == 0
