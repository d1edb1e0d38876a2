"""The tutorials run from top to bottom in a real kernel, and say what their saved outputs say."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import nbclient
import nbformat
import pytest
from helpers import processes_of

from jupyter_cluster.client import launch, registry

pytestmark = pytest.mark.notebooks

ROOT = Path(__file__).resolve().parent.parent
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
WIDGET = "application/vnd.jupyter.widget-view+json"
SANITIZE = ROOT / "tests" / "nbval_sanitize.cfg"


# A cell that takes long says what it waits for. On a busy machine that would be another output than
# the saved one.
PATIENT = """
from jupyter_cluster.notebook import cell_output
cell_output.PATIENCE_SECONDS = 100.0
"""


def patient_ipython(folder: Path) -> Path:
    """A folder for IPython whose kernels wait longer before they say so."""
    startup = folder / "profile_default" / "startup"
    startup.mkdir(parents=True)
    (startup / "patient.py").write_text(PATIENT)
    return folder


def check(notebook: Path, home: Path) -> subprocess.CompletedProcess[str]:
    """Run a notebook by nbval, in its own folder and with a registry of its own."""
    return subprocess.run(
        [
            *(sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-c", os.devnull),
            *("--nbval-lax", "--nbval-current-env", "--nbval-sanitize-with", str(SANITIZE)),
            *("--rootdir", str(notebook.parent), str(notebook)),
        ],
        cwd=notebook.parent,
        env={
            **os.environ,
            "JUPYTER_CLUSTER_HOME": str(home),
            "IPYTHONDIR": str(patient_ipython(notebook.parent / "ipython")),
        },
        capture_output=True,
        text=True,
        timeout=110,
    )


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_tutorial_runs_and_its_checked_outputs_are_those_that_were_saved(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = tmp_path / "registry"
    monkeypatch.setenv("JUPYTER_CLUSTER_HOME", str(home))
    done = check(Path(shutil.copy(path, tmp_path)), home)
    left = [entry.name for entry in registry.entries()]
    for entry in registry.entries():
        launch.end(entry)
    assert done.returncode == 0, done.stdout + done.stderr
    assert not left
    assert not processes_of(home)


def test_a_saved_output_that_is_not_what_comes_is_noticed(tmp_path: Path) -> None:
    """The check above would be worth nothing if nbval compared nothing."""
    cell = nbformat.v4.new_code_cell("print('3 palettes')")
    cell.metadata.tags = ["nbval-check-output"]
    cell.execution_count = 1
    cell.outputs = [nbformat.v4.new_output("stream", name="stdout", text="4 palettes\n")]
    notebook = nbformat.v4.new_notebook(cells=[cell])
    notebook.metadata.kernelspec = {"name": "python3", "display_name": "", "language": "python"}
    path = tmp_path / "wrong.ipynb"
    nbformat.write(notebook, path)
    done = check(path, tmp_path / "registry")
    assert done.returncode == 1, done.stdout
    assert "4 palettes" in done.stdout


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_saved_outputs_can_be_read_without_a_kernel(path: Path) -> None:
    notebook = nbformat.read(path, as_version=4)
    outputs = [out for cell in notebook.cells for out in cell.get("outputs", ())]
    assert outputs
    for cell in notebook.cells:
        if "raises-exception" not in cell.metadata.get("tags", ()):
            assert not [out for out in cell.get("outputs", ()) if out.output_type == "error"]
    assert not [out for out in outputs if WIDGET in out.get("data", {})]
    charts = [
        out.data for out in outputs if "application/vnd.plotly.v1+json" in out.get("data", {})
    ]
    assert all("image/png" in data for data in charts)
    assert path.stat().st_size < 800_000
    assert str(Path.home()) not in path.read_text()


def test_there_is_a_tutorial() -> None:
    assert NOTEBOOKS


def test_a_simulation_shows_its_chart_in_the_cell(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("JUPYTER_CLUSTER_HOME", str(tmp_path))
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path / "ipython"))
    source = "%load_ext jupyter_cluster\n%cluster simulate --tasks 20x1s"
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(source)])
    nbclient.NotebookClient(notebook, kernel_name="python3").execute()
    table, chart = (set(output.data) for output in notebook.cells[0].outputs)
    assert "text/html" in table
    assert "application/vnd.plotly.v1+json" in chart
