"""`%cluster` through a real kernel, and the extension in a plain IPython shell."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import nbformat
import pytest
from helpers import processes_of
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError

from jupyter_cluster.client import registry

pytestmark = pytest.mark.notebooks

Cell = Any


def run(folder: Path, *sources: str, allow_errors: bool = True) -> list[Cell]:
    """Run cells in a kernel of their own; returns them with their outputs."""
    cells = [nbformat.v4.new_code_cell(source) for source in sources]
    notebook = nbformat.v4.new_notebook(cells=cells)
    resources = {"metadata": {"path": str(folder)}}
    NotebookClient(
        notebook, timeout=60, allow_errors=allow_errors, resources=resources, kernel_name="python3"
    ).execute()
    return list(notebook.cells)


def printed(cell: Cell, name: str = "stdout") -> str:
    """What a cell has printed."""
    return "".join(o.text for o in cell.outputs if o.output_type == "stream" and o.name == name)


def displayed(cell: Cell) -> list[dict[str, str]]:
    """The bundles that a cell has displayed, as they are in the end."""
    return [o.data for o in cell.outputs if o.output_type == "display_data"]


def raised(cell: Cell) -> Cell:
    """The error that a cell shows."""
    (error,) = (o for o in cell.outputs if o.output_type == "error")
    return error


def test_a_cluster_from_the_first_cell_to_the_last(home: Path, tmp_path: Path) -> None:
    load, up, again, mapped, status, down, gone, listed = run(
        tmp_path,
        "%load_ext jupyter_cluster",
        "%cluster up --name book --cpus 2",
        "%cluster up --name book --cpus 2",
        "import jupyter_cluster as jc\n"
        "cluster = jc.init()\n"
        "cluster.name, cluster.map(lambda x: x * x, range(5), name='squares').results()",
        "%cluster",
        "%cluster down",
        "%cluster",
        "%cluster list",
    )
    assert load.outputs == []
    plan, step = displayed(up)
    assert "It costs nothing." in plan["text/plain"]
    assert plan["text/html"].count("<table>") == 1
    assert step["text/plain"].startswith("✓ cluster 'book': it is up (")
    assert "<progress" not in step["text/html"]
    assert "%cluster down book" in printed(up)
    assert not [o for o in up.outputs if o.output_type == "execute_result"]
    assert displayed(again)[0]["text/plain"].startswith("✓ cluster 'book': it was running already")
    assert mapped.outputs[0].data["text/plain"] == "('book', [0, 1, 4, 9, 16])"
    (shown,) = displayed(status)
    assert "Cluster 'book' on this machine: running" in shown["text/plain"]
    assert "squares" in shown["text/html"]
    assert displayed(down)[0]["text/plain"].startswith("✓ cluster 'book': it has ended")
    assert raised(gone).ename == "NoClusterError"
    assert raised(gone).traceback == ["NoClusterError: no cluster is running; start one with `up`"]
    assert printed(listed) == "There is no cluster; `%cluster up` starts one.\n"
    assert not processes_of(home / "clusters" / "book")


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("stauts", "did you mean 'status'?"),
        ("status --jsno", "did you mean '--json'?"),
        ("up --cpus many", "--cpus: 'many' is not a whole number"),
        ("up 'a", "No closing quotation"),
    ],
)
def test_a_wrong_line_is_a_usage_error_that_stops_the_notebook(
    home: Path, tmp_path: Path, line: str, says: str
) -> None:
    sources = ("%load_ext jupyter_cluster", f"%cluster {line}", "print('alive')")
    _load, wrong, after = run(tmp_path, *sources)
    assert printed(wrong, "stderr").startswith("UsageError: ")
    assert says in printed(wrong, "stderr")
    assert "Traceback" not in str(wrong.outputs)
    assert printed(after) == "alive\n"
    with pytest.raises(CellExecutionError):
        run(tmp_path, *sources, allow_errors=False)


def test_a_question_that_nobody_can_answer_asks_for_the_option(home: Path, tmp_path: Path) -> None:
    _load, _up, refused, down = run(
        tmp_path,
        "%load_ext jupyter_cluster",
        "%cluster up --name asking --cpus 1",
        "import time, jupyter_cluster as jc\n"
        "cluster = jc.init()\n"
        "job = cluster.map(time.sleep, [600], name='sleeper')\n"
        "%cluster down",  # in the same cell: the head may not know of the job yet
        "%cluster down -y",
    )
    assert "works on 1 job: sleeper" in printed(refused, "stderr")
    assert "add -y" in printed(refused, "stderr")
    assert "it has ended" in displayed(down)[0]["text/plain"]
    assert not registry.entry("asking").exists


PRESS_CTRL_C_ONCE_ALL_IS_SHOWN = """
import os, signal, sys, threading, time, traceback
import jupyter_cluster as jc
cluster = jc.init()
cluster.scale(max_workers=7)
newest = cluster.events()[-1]["number"]
def waits_for_news():
    frames = list(traceback.walk_stack(sys._current_frames()[threading.main_thread().ident]))
    names = [frame.f_code.co_name for frame, _line in frames]
    seen = [f.f_locals.get("since") for f, _line in frames if f.f_code.co_name == "_following"]
    return "_ask" in names and seen == [newest]
def press():
    while not waits_for_news():
        time.sleep(0.02)
    os.kill(os.getpid(), signal.SIGINT)
threading.Thread(target=press).start()
"""


def test_following_ends_with_an_interrupt_and_the_notebook_goes_on(
    home: Path, tmp_path: Path
) -> None:
    _load, _up, _press, follow, after, _down = run(
        tmp_path,
        "%load_ext jupyter_cluster",
        "%cluster up --name followed --cpus 1",
        PRESS_CTRL_C_ONCE_ALL_IS_SHOWN,
        "%cluster monitor -f",
        "print('alive')",
        "%cluster down",
    )
    assert "max_workers is 7" in printed(follow)
    assert not [o for o in follow.outputs if o.output_type == "error"]
    assert printed(after) == "alive\n"


SHELL = """
import sys
from IPython.core.interactiveshell import InteractiveShell
shell = InteractiveShell.instance()
shell.run_line_magic("load_ext", "jupyter_cluster")
"""


def in_shell(code: str) -> str:
    """Run code beside a fresh IPython shell that has the extension; returns what it prints."""
    done = subprocess.run(
        [sys.executable, "-c", SHELL + code], capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_loading_is_silent_and_imports_nothing_heavy() -> None:
    said = in_shell(
        "heavy = {'distributed', 'plotly', 'rich', 'pydantic', 'psutil', 'PIL', 'numpy'}\n"
        "assert not heavy & sys.modules.keys(), heavy & sys.modules.keys()\n"
    )
    assert said == ""


def test_verbs_and_options_are_completed() -> None:
    said = in_shell(
        "for line in ('%cluster st', 'cluster st', '%cluster scale --ma'):\n"
        "    print(shell.complete(None, line, len(line))[1])\n"
    )
    assert said.splitlines() == ["['status']", "['status']", "['--max-workers']"]


def test_help_has_examples_and_every_verb() -> None:
    said = in_shell("print(shell.find_line_magic('cluster').__doc__)")
    assert "%cluster up cluster.yaml" in said
    assert "%cluster monitor -f" in said
    assert "demo" in said


def test_unloading_takes_everything_away() -> None:
    said = in_shell(
        "shell.run_line_magic('unload_ext', 'jupyter_cluster')\n"
        "print(shell.find_line_magic('cluster'), shell.complete(None, '%cluster st', 11)[1])\n"
        "shell.run_line_magic('load_ext', 'jupyter_cluster')\n"
        "print(shell.find_line_magic('cluster') is not None)\n"
    )
    assert said.splitlines() == ["None []", "True"]
