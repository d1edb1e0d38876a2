"""The real loop with a thousand nodes in memory: all come, all go, by few calls."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest

pytestmark = [pytest.mark.local, pytest.mark.timeout(120)]


def test_a_thousand_nodes_are_launched_met_drained_and_ended() -> None:
    # In a process of its own: a head makes its process one that loads no pickles.
    words = [sys.executable, "-m", "benchmarks.thousand", "1000"]
    done = subprocess.run(words, capture_output=True, text=True, timeout=100, check=False)
    assert done.returncode == 0, done.stderr
    line = done.stdout.splitlines()[-1].removeprefix("calls: ")
    calls = {name: int(count) for count, name in re.findall(r"(\d+) (\w+)", line)}
    assert calls["created"] == calls["ended"] == 1000
    assert calls["create"] <= 10
    assert calls["terminate"] <= 20
