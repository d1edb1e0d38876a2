"""A cluster on EC2 beside one on this machine in JupyterLab's side bar, from its own environment.

The Jupyter server is in the environment of all tests, the clusters are made in the slim one: what
the side bar shows, where its terminal leads and what it ends is another environment's.
"""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

import jupyter_cluster as jc
from ec2box.bench import Bench
from jupyter_cluster.client.registry import entry

pytestmark = [pytest.mark.ec2box, pytest.mark.timeout(480)]

VISITOR = Path(__file__).with_name("visitor.py")


def test_it_is_shown_with_its_cost_reached_by_a_terminal_and_ended(bench: Bench) -> None:
    bench.up(max_workers=1).map(abs, [-1]).results()
    jc.up(name="here", cpus=1)
    jc.shutdown()
    tests = VISITOR.parents[1]
    environment = {**os.environ, "PYTHONPATH": f"{tests}:{tests / 'browser'}"}
    words = [os.environ["EC2BOX_PYTHON"], str(VISITOR), str(bench.folder / "lab")]
    done = subprocess.run(
        words, env=environment, capture_output=True, text=True, timeout=200, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert not entry("posters").exists
    assert not bench.instances()
    assert entry("here").is_alive
