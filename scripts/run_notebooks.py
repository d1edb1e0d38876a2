"""Run the tutorials and save their outputs, so that they can be read without a kernel.

    python scripts/run_notebooks.py [NOTEBOOK ...]

Charts of plotly are interactive where a kernel or an extension draws them and blank elsewhere, e.g.
on GitHub: each gets a picture beside it, drawn by kaleido, which needs a Chrome or Chromium.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from base64 import b64encode
from pathlib import Path
from typing import Any

import nbformat
from nbclient import NotebookClient
from plotly.graph_objects import Figure

NOTEBOOKS = Path(__file__).resolve().parent.parent / "notebooks"
PLOTLY = "application/vnd.plotly.v1+json"
WIDGET = "application/vnd.jupyter.widget-view+json"
WIDTH, HEIGHT = 760, 420


def main(names: list[str]) -> None:
    """Run those that are named, or all."""
    for path in map(Path, names) if names else sorted(NOTEBOOKS.glob("*.ipynb")):
        print(f"running {path.name}")
        run(path)


def run(path: Path) -> None:
    """Run a notebook in a scratch folder, with a registry of its own, and save it."""
    notebook = nbformat.read(path, as_version=4)
    with tempfile.TemporaryDirectory() as folder:
        environment = {**os.environ, "JUPYTER_CLUSTER_HOME": f"{folder}/registry"}
        client = NotebookClient(
            notebook,
            timeout=120,
            kernel_name="python3",
            coalesce_streams=True,  # a progress bar leaves its last state
            resources={"metadata": {"path": folder}},
        )
        try:
            client.execute(env=environment)
        finally:
            end_clusters(environment)
    for cell in notebook.cells:
        cell.metadata.pop("execution", None)  # times of day
        for output in cell.get("outputs", []):
            add_picture(output)
    notebook.metadata.pop("widgets", None)
    notebook.metadata.language_info = {"name": "python"}
    nbformat.write(notebook, path)


def end_clusters(environment: dict[str, str]) -> None:
    """A notebook that failed half-way leaves its cluster."""
    script = (
        "from jupyter_cluster.client import launch, registry\n"
        "for entry in registry.entries(): launch.end(entry)"
    )
    subprocess.run([sys.executable, "-c", script], env=environment, check=True)


def add_picture(output: Any) -> None:
    """Put a picture beside a chart, and take out the HTML that brings plotly's 5 MB along."""
    data = output.get("data", {})
    if PLOTLY in data:
        data.pop("text/html", None)
        data["image/png"] = b64encode(draw(data[PLOTLY])).decode()
    data.pop(WIDGET, None)  # without its kernel it is nothing; the HTML beside it is


def draw(chart: dict[str, Any]) -> bytes:
    """A chart as PNG, on white."""
    figure = Figure(data=chart["data"], layout=chart["layout"])
    height = figure.layout.height or HEIGHT
    figure.update_layout(paper_bgcolor="white")
    return figure.to_image("png", width=WIDTH, height=height)  # type: ignore[no-any-return]


if __name__ == "__main__":
    main(sys.argv[1:])
