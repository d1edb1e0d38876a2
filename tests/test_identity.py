"""A process is told from every other, and its end from a connection that was lost."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest
from helpers import eventually

from jupyter_cluster.identity import has_ended, identity

pytestmark = [
    pytest.mark.unit,
    pytest.mark.skipif(sys.platform != "linux", reason="there is no /proc"),
]

SAY = "from jupyter_cluster.identity import identity; print(identity(), flush=True); input()"


def test_a_process_has_ended_when_it_runs_no_more_waited_for_or_not() -> None:
    command = [sys.executable, "-c", SAY]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout
        other = process.stdout.readline().strip()
        assert not has_ended(other)
        process.kill()
        eventually(lambda: has_ended(other))  # nobody has waited for it: a zombie
    assert has_ended(other)
    assert not has_ended(identity())


def test_another_process_of_the_same_number_is_another() -> None:
    where, _, start = identity().rpartition(" ")
    assert where.endswith(f" {os.getpid()}")
    assert has_ended(f"{where} {int(start) + 1}")


@pytest.mark.parametrize("odd", ["", " ", "x", "a b c d", "elsewhere pid:[1] 5 7", "\ud800 1 2 3"])
def test_of_another_machine_nobody_can_tell(odd: str) -> None:
    assert not has_ended(odd)
    boot, room, number, start = identity().split(" ")
    assert not has_ended(f"{boot[::-1]} {room} {number} {int(start) + 1}")
    assert not has_ended(f"{boot} {room} x {start}")
