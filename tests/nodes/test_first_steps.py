"""A host that has just booted: its own upgrades are waited for, and not for ever."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from helpers import eventually

from jupyter_cluster.nodes.bring_up import _NAMES_APT
from jupyter_cluster.nodes.remote import first_steps

pytestmark = pytest.mark.local

# As apt and dpkg do it: a POSIX lock, held until the program ends.
HOLD = (
    "import fcntl, sys; file = open(sys.argv[1], 'w'); fcntl.lockf(file, fcntl.LOCK_EX);"
    " print('held', flush=True); sys.stdin.read()"
)
SCRIPT = str(first_steps.__file__)


@pytest.mark.parametrize("name", first_steps.LOCKS)
def test_who_holds_a_lock_of_apts_is_waited_for(tmp_path: Path, name: str) -> None:
    lock = tmp_path / name
    lock.parent.mkdir(parents=True)
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(lock)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    with holder:
        assert holder.stdout is not None
        holder.stdout.readline()
        assert first_steps.is_busy(str(tmp_path))
        words = [sys.executable, SCRIPT, "60", str(tmp_path)]
        with subprocess.Popen(words) as waiting:
            with pytest.raises(subprocess.TimeoutExpired):
                waiting.wait(1)
            holder.communicate()
            assert waiting.wait(60) == 0
    assert not first_steps.is_busy(str(tmp_path))


def test_the_wait_has_an_end_and_none_where_nothing_is_locked(tmp_path: Path) -> None:
    assert subprocess.call([sys.executable, SCRIPT, "60", str(tmp_path)]) == 0
    lock = tmp_path / first_steps.LOCKS[0]
    lock.parent.mkdir(parents=True)
    words = [sys.executable, "-c", HOLD, str(lock)]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as holder:
        eventually(lambda: first_steps.is_busy(str(tmp_path)))
        assert subprocess.call([sys.executable, SCRIPT, "0.5", str(tmp_path)]) == 0
        assert holder.poll() is None
        holder.communicate()


@pytest.mark.parametrize(
    ("command", "is_one"),
    [
        ("sudo apt-get update && sudo apt-get install -y graphviz", True),
        ("sudo DEBIAN_FRONTEND=noninteractive apt install -y graphviz", True),
        ("curl -fsSL https://get.docker.com | sh", True),
        ("sudo dpkg -i driver.deb", True),
        ("pip install adapt", False),
        ("sudo dnf install -y graphviz", False),
    ],
)
def test_commands_that_need_apt_are_known(command: str, is_one: bool) -> None:
    assert bool(_NAMES_APT.search(command)) is is_one
