"""The panel in a real JupyterLab: while a cell is busy, when contact is lost, with many rows."""

from __future__ import annotations

import json
import os
import re
import signal
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from helpers import eventually
from lab import CONTRASTS, Notebook

import jupyter_cluster as jc
from jupyter_cluster.client import registry

pytestmark = [pytest.mark.browser, pytest.mark.timeout(300)]

Opener = Callable[[str, Sequence[str]], Notebook]

LOAD = "%load_ext jupyter_cluster\nimport jupyter_cluster as jc"
BUSY = "import time, pathlib\nwhile not pathlib.Path('go-on').exists(): time.sleep(0.05)"


def book(page: Any) -> Any:
    """The notebook in a page; the side bar beside it, shown or not, has the same words."""
    return page.locator(".jp-NotebookPanel")


def forever(_number: int) -> None:
    import time

    while True:
        time.sleep(0.05)


def pill(notebook: Notebook) -> Any:
    return notebook.page.locator(".jc-title .jc-pill").first


def tile(notebook: Notebook, name: str) -> str:
    return str(notebook.page.locator(f'.jc-tile[data-key="{name}"] .jc-value').inner_text())


@pytest.fixture
def busy(open_notebook: Opener, folder: Path, cluster: jc.Cluster) -> Any:
    """A notebook with a panel, whose kernel runs a cell that does not end by itself."""
    go_on = folder / "notebooks" / "go-on"
    go_on.unlink(missing_ok=True)
    notebook = open_notebook("busy.ipynb", [LOAD, "%cluster panel shared", BUSY])
    notebook.run_to_end(0)
    notebook.run_to_end(1)
    notebook.page.locator(".jc-plot svg").wait_for()
    notebook.run(2)
    eventually(lambda: notebook.is_running(2))
    yield notebook
    go_on.touch()


def test_its_buttons_work_while_a_cell_is_busy(busy: Notebook, cluster: jc.Cluster) -> None:
    job = cluster.map(forever, range(4), name="endless")
    row = busy.page.locator(".jc-jobs tr", has_text="endless")
    row.get_by_text("running", exact=True).wait_for()
    row.get_by_role("button", name="cancel").click()
    row.get_by_text("cancelled", exact=True).wait_for()
    assert busy.is_running(2)
    assert job.info.state == "cancelled"
    busy.screenshot("busy")

    at_most = busy.page.locator(".jc-controls [data-limit='']")
    at_most.fill("7")
    book(busy.page).get_by_role("button", name="apply").click()
    book(busy.page).get_by_text("From now on at most 7 nodes.").wait_for()
    assert busy.is_running(2)
    assert cluster.status()["max_workers"] == 7
    for told in (7, 2):
        cluster.scale(max_workers=told)
        busy.page.locator(f".jc-controls [data-limit=''][value='{told}']").wait_for()
        assert at_most.input_value() == str(told)


def test_what_somebody_types_is_not_written_over(busy: Notebook, cluster: jc.Cluster) -> None:
    at_most = busy.page.locator(".jc-controls [data-limit='']")
    at_most.fill("5")
    seen = busy.page.locator(".jc-title .jc-faint").inner_text()
    busy.page.wait_for_function(
        "seen => document.querySelector('.jc-title .jc-faint').innerText !== seen", arg=seen
    )
    assert at_most.input_value() == "5"


def test_down_asks_once_and_no_is_no(busy: Notebook, cluster: jc.Cluster) -> None:
    book(busy.page).get_by_role("button", name="down cluster ").click()
    book(busy.page).get_by_text("End the cluster?").wait_for()
    busy.screenshot("asking")
    book(busy.page).get_by_role("button", name="no", exact=True).click()
    book(busy.page).get_by_role("button", name="down cluster ").wait_for()
    assert cluster.is_alive


def test_a_lost_contact_is_said_and_comes_back_by_itself(
    busy: Notebook, cluster: jc.Cluster
) -> None:
    head = int(registry.entry("shared").read("processes.json")["head"])
    os.kill(head, signal.SIGSTOP)
    try:
        busy.page.locator(".jc-panel").get_by_text(
            re.compile("lost contact .* trying again, work goes on")
        ).wait_for()
        assert busy.is_running(2)
        busy.screenshot("lost")
    finally:
        os.kill(head, signal.SIGCONT)
    busy.page.locator(".jc-title .jc-pill", has_text=re.compile("^running$")).wait_for()


def test_after_a_kernel_restart_it_goes_on(open_notebook: Opener, cluster: jc.Cluster) -> None:
    notebook = open_notebook("again.ipynb", [LOAD, "%cluster panel shared"])
    for _ in range(2):
        notebook.run_to_end(0)
        notebook.run_to_end(1)
        notebook.page.locator(".jc-plot svg").wait_for()
        assert pill(notebook).inner_text() == "running"
        notebook.restart()


def test_down_ends_the_cluster_and_leaves_a_panel_that_says_so(
    open_notebook: Opener, home: Path, page: Any
) -> None:
    notebook = open_notebook(
        "down.ipynb", [LOAD, "cluster = jc.up(name='doomed', cpus=1)", "%cluster panel doomed"]
    )
    for at in range(3):
        notebook.run_to_end(at)
    book(page).get_by_role("button", name="down cluster ").click()
    book(page).get_by_role("button", name="yes", exact=True).click()
    page.locator(".jc-static .jc-pill", has_text="ended").wait_for()
    book(page).get_by_text("has ended: nothing of it runs any more.").wait_for()
    eventually(lambda: not registry.entry("doomed").exists)
    notebook.save()
    saved = json.loads(notebook.path.read_text())
    [output] = saved["cells"][2]["outputs"]
    assert "jc-static" in "".join(output["data"]["text/html"])
    assert "application/vnd.jupyter.widget-view+json" not in output["data"]


def test_fifty_jobs_are_fifty_rows(open_notebook: Opener, cluster: jc.Cluster) -> None:
    jobs = [cluster.map(abs, range(n + 1), name=f"job {n}", unit="tile") for n in range(50)]
    for job in jobs:
        job.wait()
    notebook = open_notebook("jobs.ipynb", [LOAD, "%cluster panel shared"])
    notebook.run_to_end(0)
    notebook.run_to_end(1)
    rows = notebook.page.locator(".jc-jobs tbody tr")
    rows.nth(49).wait_for(state="attached")
    assert {f"job {n}" for n in range(50)} <= set(
        notebook.page.locator(".jc-jobs tbody td:first-child").all_inner_texts()
    )
    box = notebook.page.locator(".jc-jobs .jc-scroll").bounding_box()
    notebook.screenshot("jobs")
    assert box["height"] < 320  # the table scrolls; the page does not grow with it
    for job in jobs:
        job.delete()


def test_a_hundred_nodes(open_notebook: Opener, home: Path) -> None:
    with jc.up(name="large", cpus=100) as large:
        large.scale(max_workers=100, min_workers={"local": 100})
        notebook = open_notebook("nodes.ipynb", [LOAD, "%cluster panel large"])
        notebook.run_to_end(0)
        notebook.run_to_end(1)
        eventually(lambda: tile(notebook, "nodes ready") == "100", 90)
        assert notebook.page.locator(".jc-nodes tbody tr").count() == 100
        notebook.page.locator(".jc-plot svg").wait_for()
        # The newest rows can be reached, and the page answers meanwhile.
        notebook.page.locator('.jc-nodes tr[data-key="local-100"]').scroll_into_view_if_needed()
        notebook.screenshot("nodes")


@pytest.mark.parametrize(
    ("theme", "is_dark"), [("JupyterLab Light", False), ("JupyterLab Dark", True)]
)
def test_text_can_be_read_on_either_theme(
    open_notebook: Opener, cluster: jc.Cluster, theme: str, is_dark: bool
) -> None:
    notebook = open_notebook("theme.ipynb", [LOAD, "%cluster panel shared"])
    notebook.set_theme(theme)
    notebook.run_to_end(0)
    notebook.run_to_end(1)
    notebook.page.locator(".jc-plot svg").wait_for()
    # In one step, since the panel takes away what is not its own with its next figures.
    contrasts = notebook.page.evaluate(
        f"kinds => {{ ({EACH_KIND})(kinds); return ({CONTRASTS})('.jc-panel *'); }}", KINDS
    )
    assert len(contrasts) > 20
    assert all(any(f"jc-kind {kind}" in text for text in contrasts) for kind in KINDS)
    assert min(contrasts.values()) >= 4.5, contrasts  # WCAG 2.1, 1.4.3
    assert notebook.page.evaluate("() => document.body.dataset.jpThemeLight") == (
        "false" if is_dark else "true"
    )
    notebook.screenshot("dark" if is_dark else "light")


# Whatever has happened so far, an event of each kind is shown.
KINDS = ["scale-up", "scale-down", "node", "job", "warning", "error"]
EACH_KIND = """kinds => {
    for (const kind of kinds)
        document.querySelector('.jc-events').insertAdjacentHTML('beforeend',
            `<div class="jc-event jc-${kind}"><span class="jc-kind">${kind}</span></div>`);
}"""


def test_it_is_readable_from_narrow_to_wide(open_notebook: Opener, cluster: jc.Cluster) -> None:
    notebook = open_notebook("widths.ipynb", [LOAD, "%cluster panel shared"])
    notebook.run_to_end(0)
    notebook.run_to_end(1)
    notebook.page.locator(".jc-plot svg").wait_for()
    notebook.execute("application:toggle-left-area")

    def columns() -> int:
        tops: list[float] = notebook.page.locator(".jc-tile").evaluate_all(
            "tiles => tiles.map(tile => tile.getBoundingClientRect().top)"
        )
        return tops.count(tops[0])

    for width, expected in ((500, 2), (800, 4), (1900, 7)):
        notebook.page.set_viewport_size({"width": width, "height": 1000})
        eventually(lambda expected=expected: columns() == expected)
        cut = notebook.page.locator(".jc-value, .jc-below").evaluate_all(
            "all => all.filter(e => e.scrollWidth > e.clientWidth + 1).map(e => e.innerText)"
        )
        assert not cut
        notebook.screenshot(f"width-{width}")
