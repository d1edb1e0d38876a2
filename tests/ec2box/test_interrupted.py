"""An `up` that is cut off at any stage: the next one goes on, and `down` leaves nothing."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

import jupyter_cluster as jc
from ec2box.bench import Bench, tags_of

pytestmark = [pytest.mark.ec2box, pytest.mark.timeout(480)]

# What `up` says before each step, in their order.
STAGES = (
    "security group",
    "key pair",
    "role of the head",
    "launching its head",
    "its head is booting",
    "waiting for SSH",
    "the cluster's own files",
    "file mounts",
    "Python 3",
    "sleep 0.1",
    "starting jupyter_cluster.head",
)
_UNTIL = """
import os, signal, sys
from jupyter_cluster.client import launch
from jupyter_cluster.config import load

def said(text):
    if text.startswith(sys.argv[2]):
        os.kill(os.getpid(), int(sys.argv[3]))

launch.start(load(sys.argv[1]), said)
"""


def cut_off(path: Path, stage: str, how: signal.Signals) -> None:
    """Run `up` until it says that it begins a stage."""
    done = subprocess.run(
        [sys.executable, "-c", _UNTIL, str(path), stage, str(int(how))],
        env=dict(os.environ),
        capture_output=True,
        timeout=100,
        check=False,
        # Whoever starts the tests in the background has had them ignore it.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )
    assert done.returncode, f"`up` never said {stage!r}"


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT])
def test_the_next_up_goes_on_wherever_it_was_cut_off(bench: Bench, how: signal.Signals):
    (bench.folder / "data").mkdir()
    (bench.folder / "data" / "a").write_text("a")
    path = bench.file(
        file_mounts={"~/data": str(bench.folder / "data")}, head_setup_commands=["sleep 0.1"]
    )
    for stage in STAGES:
        cut_off(path, stage, how)
    bench.start(path)
    heads = bench.instances()
    assert [tags_of(row)["kind"] for row in heads] == ["head"]
    assert list(jc.connect("posters").map(abs, [-1, -2])) == [1, 2]


@pytest.mark.parametrize("stage", STAGES)
def test_down_after_an_up_that_was_cut_off_leaves_nothing(bench: Bench, stage: str):
    bench.rig.behave(hidden_seconds=2)
    cut_off(bench.file(head_setup_commands=["sleep 0.1"]), stage, signal.SIGKILL)
    bench.end()
    assert not bench.left_over()


def test_credentials_that_expire_in_the_middle_say_so_and_up_goes_on_later(bench: Bench):
    path = bench.file()
    bench.rig.fault("RunInstances", "RequestExpired")
    with pytest.raises(Exception, match=r"credentials have expired.*sso login"):
        bench.start(path)
    bench.start(path)
    assert len(bench.instances()) == 1
