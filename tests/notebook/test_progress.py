"""Steps in a notebook: a bar while they run, a line of text when they have ended."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import pytest

pytestmark = pytest.mark.notebooks

BEFORE = """
import json
from IPython.core.interactiveshell import InteractiveShell
from IPython.utils.capture import capture_output
from jupyter_cluster.commands.tables import Table
from jupyter_cluster.notebook.progress import NotebookConsole
InteractiveShell.instance()
console = NotebookConsole()
with capture_output() as captured:
    try:
"""
AFTER = """
    except RuntimeError:
        pass
outputs = [(bool(o.get("update")), o["data"]) for o in captured._outputs]
print(json.dumps([captured.stdout, outputs]))
"""


def shown(*lines: str) -> tuple[str, list[tuple[bool, dict[str, str]]]]:
    """What lines of code print, and what they display, with whether it changes an output."""
    body = "".join(f"        {line}\n" for line in lines)
    done = subprocess.run(
        [sys.executable, "-c", BEFORE + body + AFTER], capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
    printed, outputs = json.loads(done.stdout)
    return printed, [(update, data) for update, data in outputs]


def forms(outputs: list[tuple[bool, dict[str, str]]]) -> list[tuple[bool, Any]]:
    """Of each output, whether it changes the one before, and whether it has a bar."""
    return [(update, "<progress" in data["text/html"]) for update, data in outputs]


def test_a_step_changes_its_one_output_and_leaves_text() -> None:
    _printed, outputs = shown(
        "with console.step('work') as step:",
        "    step.update('nodes', 1, 4)",
        "    step.update('done')",
    )
    assert forms(outputs) == [(False, True), (True, True), (True, True), (True, False)]
    texts = [data["text/plain"] for _update, data in outputs]
    assert texts[:3] == ["work", "work: nodes 1 of 4", "work: done"]
    assert texts[3].startswith("✓ work: done (")
    assert 'value="1" max="4"' in outputs[1][1]["text/html"]


def test_a_step_that_fails_says_so_and_has_no_bar_left() -> None:
    _printed, outputs = shown("with console.step('work'):", "    raise RuntimeError")
    assert forms(outputs) == [(False, True), (True, False)]
    assert outputs[-1][1]["text/plain"].startswith("✗ work (")


def test_lines_are_printed_and_tables_are_displayed() -> None:
    printed, outputs = shown(
        "console.show('one', 'two')",
        "console.show('above', Table('t', ('a',), [('<b>',)]))",
    )
    assert printed == "one\ntwo\n"
    ((_update, data),) = outputs
    assert data["text/plain"].splitlines() == ["above", "a", "<b>"]
    assert "&lt;b&gt;" in data["text/html"]
