"""Cells that run elsewhere, in a real JupyterLab."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import nbconvert
import nbformat
import pytest
from helpers import eventually
from lab import Notebook

import jupyter_cluster as jc

pytestmark = [pytest.mark.browser, pytest.mark.timeout(300)]

Opener = Callable[[str, Sequence[str]], Notebook]

LOAD = "%load_ext jupyter_cluster\nimport jupyter_cluster as jc"
# The longest time between two frames, in ms.
WATCH_FRAMES = """() => {
    window.longest = 0;
    let last = performance.now();
    const look = now => {
        window.longest = Math.max(window.longest, now - last);
        last = now;
        requestAnimationFrame(look);
    };
    requestAnimationFrame(look);
}"""
# A page that stands still for so long is taken for broken by its user and by its browser.
LONGEST_FRAME_MS = 5000


def test_ten_thousand_lines_at_once_all_come_and_the_page_stays_alive(
    open_notebook: Opener, cluster: jc.Cluster
) -> None:
    flood = "%%remote\nfor number in range(10_000): print('line', number)"
    notebook = open_notebook("flood.ipynb", [LOAD, flood])
    notebook.run_to_end(0)
    notebook.page.evaluate(WATCH_FRAMES)
    notebook.run_to_end(1)
    notebook.await_text(1, "line 9999")
    notebook.screenshot("flood")
    lines = notebook.output(1).inner_text().split("\n")
    assert [line for line in lines if line.startswith("line")] == [
        f"line {number}" for number in range(10_000)
    ]
    assert notebook.page.evaluate("() => window.longest") < LONGEST_FRAME_MS


def test_the_stop_button_ends_the_work_over_there(
    open_notebook: Opener, cluster: jc.Cluster, tmp_path: Path
) -> None:
    sign = tmp_path / "began"
    endless = f"%%remote\nimport pathlib\npathlib.Path({str(sign)!r}).touch()\nwhile True: pass"
    notebook = open_notebook("stop.ipynb", [LOAD, endless, "%remote 6 * 7"])
    notebook.run_to_end(0)
    notebook.run(1)
    eventually(sign.exists)
    notebook.page.evaluate("() => window.jupyterapp.commands.execute('notebook:interrupt-kernel')")
    notebook.await_text(1, "KeyboardInterrupt")
    notebook.screenshot("stopped")
    eventually(lambda: not any(node["slots_busy"] for node in cluster.nodes()))
    notebook.run_to_end(2)
    notebook.await_text(2, "42")


def test_pictures_tables_and_charts_appear_as_if_the_cell_ran_here(
    open_notebook: Opener, cluster: jc.Cluster
) -> None:
    notebook = open_notebook(
        "rich.ipynb",
        [
            LOAD,
            "%%remote\nimport matplotlib.pyplot as plt\nplt.plot([1, 2]);",
            "%%remote\nfrom IPython.display import HTML\nHTML('<b id=there>bold</b>')",
            "%%remote\nimport plotly.graph_objects as go\ngo.Figure(go.Bar(y=[1, 2]))",
        ],
    )
    for at in range(4):
        notebook.run_to_end(at)
    notebook.output(1).locator("img").wait_for()
    notebook.output(2).locator("#there").wait_for()
    notebook.output(3).locator(".js-plotly-plot .bars").wait_for()
    notebook.screenshot("rich")


def test_an_async_cell_shows_its_output_while_others_run(
    open_notebook: Opener, cluster: jc.Cluster, tmp_path: Path
) -> None:
    go_on = tmp_path / "go-on"
    cell = (
        "%%remote --async --name slow\nimport pathlib, time\nprint('begun')\n"
        f"while not pathlib.Path({str(go_on)!r}).exists(): time.sleep(0.01)\nprint('ended')"
    )
    notebook = open_notebook("async.ipynb", [LOAD, cell, "print('meanwhile')"])
    notebook.run_to_end(0)
    notebook.run_to_end(1)
    notebook.await_text(1, "begun")
    notebook.run_to_end(2)
    notebook.await_text(2, "meanwhile")
    notebook.screenshot("async")
    go_on.touch()
    notebook.await_text(1, "ended")


def test_a_progress_bar_moves_turns_red_and_leaves_text(
    open_notebook: Opener, cluster: jc.Cluster
) -> None:
    work = (
        "def half(n):\n    import time; time.sleep(0.2)\n    return 1 / (n - 9)\n"
        "job = jc.connect('shared').map(half, range(12), name='halves')\njob.progress()"
    )
    notebook = open_notebook("progress.ipynb", [LOAD, work])
    notebook.run_to_end(0)
    notebook.run(1)
    notebook.output(1).locator("progress").wait_for()
    notebook.screenshot("progress")
    notebook.await_text(1, "✗ halves: 12 of 12 tasks, 1 failed, in ")
    assert notebook.output(1).locator("progress").count() == 0


def test_an_exported_notebook_can_be_read_without_a_kernel(
    open_notebook: Opener, cluster: jc.Cluster, page: Any, tmp_path: Path
) -> None:
    cluster.map(abs, range(20), name="exported", unit="tile").wait()
    cells = [LOAD, "%cluster panel shared", "%%remote\nprint('from there')\n2 + 2"]
    notebook = open_notebook("export.ipynb", cells)
    for at in range(3):
        notebook.run_to_end(at)
    notebook.save()
    html, _ = nbconvert.HTMLExporter().from_notebook_node(nbformat.read(notebook.path, 4))
    exported = tmp_path / "export.html"
    exported.write_text(html)
    page.goto(exported.as_uri(), wait_until="domcontentloaded")
    panel = page.locator(".jc-static")
    panel.locator(".jc-jobs, td", has_text="exported").first.wait_for()
    assert "nodes ready" in panel.inner_text()
    assert panel.locator("button:visible").count() == 0
    page.get_by_text("from there").first.wait_for()
    notebook.screenshot("exported")


def test_a_figure_can_be_written_as_a_picture(
    chromium: Any, cluster: jc.Cluster, tmp_path: Path
) -> None:
    job = cluster.map(abs, range(20), name="pictured", unit="tile").wait()
    job.plot().write_image(tmp_path / "job.png")
    cluster.plot("rate", "nodes").write_image(tmp_path / "cluster.svg")
    assert (tmp_path / "job.png").read_bytes().startswith(b"\x89PNG")
    assert "per second" in (tmp_path / "cluster.svg").read_text()
