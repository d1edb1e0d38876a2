"""The demo's options."""

from __future__ import annotations

import argparse
import subprocess
import sys
from pathlib import Path

import pytest

from jupyter_cluster.demo.options import add_arguments

pytestmark = pytest.mark.unit


def parse(*words: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    add_arguments(parser)
    return parser.parse_args(words)


def test_by_default_300_posters_are_made() -> None:
    options = parse()
    assert (options.images, options.count, options.out) == (None, 300, Path("demo-out"))
    assert options.resume is False


@pytest.mark.parametrize("count", ["0", "-3", "many", "1.5"])
def test_a_count_that_cannot_be_is_refused(count: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        parse("--count", count)
    assert f"must be a whole number from 1 on, not '{count}'" in capsys.readouterr().err


def test_images_and_count_exclude_each_other(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        parse("--images", "here", "--count", "3")
    assert "not allowed with" in capsys.readouterr().err


def test_asking_for_the_options_imports_nothing_heavy() -> None:
    script = (
        "import sys, jupyter_cluster.demo.options;"
        "print([m for m in ('distributed', 'rich', 'numpy', 'PIL', 'plotly') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.stdout.strip() == "[]"
