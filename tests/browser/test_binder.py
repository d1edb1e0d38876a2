"""What somebody sees who opens the repository on Binder."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import lab
import pytest

pytestmark = pytest.mark.browser

ROOT = Path(__file__).parents[2]
POST_BUILD = (ROOT / "binder" / "postBuild").read_text()
IMPORT = "jupyter lab workspaces import binder/workspace.json"


def test_it_opens_with_the_side_bar_beside_a_notebook(
    page: Any, address: str, folder: Path
) -> None:
    assert f"\n{IMPORT}\n" in POST_BUILD
    environment = {**os.environ, "JUPYTERLAB_WORKSPACES_DIR": str(folder / "workspaces")}
    words = [sys.executable, "-m", *IMPORT.split()]
    subprocess.run(words, cwd=ROOT, env=environment, check=True, capture_output=True)
    shutil.copytree(ROOT / "notebooks", folder / "notebooks" / "notebooks")

    page.goto(f"{address}/lab", wait_until="domcontentloaded")
    page.wait_for_selector("#jupyterlab-splash", state="detached", timeout=60_000)
    page.locator("#jupyter-cluster-sidebar").wait_for()
    notebook = page.locator(".jp-NotebookPanel")
    notebook.get_by_text("%load_ext jupyter_cluster").first.wait_for()
    assert not page.locator(".jp-Dialog").count()
    lab.Notebook(page, folder).screenshot("binder")
    lab.end_kernels(page)
