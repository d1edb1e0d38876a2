"""The chart of the panel in every view of it, on a slow page and beside a kernel that is busy.

What is looked at is what a person sees: curves with their points, axes that hold them, words. An
empty chart has none of it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import pytest
from helpers import eventually
from lab import IS_LAYOUT_SAVED, Notebook

import jupyter_cluster as jc

pytestmark = [pytest.mark.browser, pytest.mark.timeout(400)]

Opener = Callable[[str, Sequence[str]], Notebook]

LOAD = "%load_ext jupyter_cluster\nimport jupyter_cluster as jc"
# Four threads that never wait: what draws the panel gets a fifth of one core.
LOADED = """import threading
def burn():
    while True: sum(range(1000))
for _ in range(4): threading.Thread(target=burn, daemon=True).start()"""
SHOWN = """plots => plots.filter(plot => plot.checkVisibility()).map(plot => {
    const line = of => {
        const found = plot.querySelector(`polyline.jc-of-${of}`);
        const points = found ? found.getAttribute('points').split(' ') : [];
        return points.map(point => point.split(',').map(Number));
    };
    const words = side => [...plot.querySelectorAll(`.jc-${side}`)].map(e => e.innerText);
    const box = plot.querySelector('polyline.jc-of-rate').getBoundingClientRect();
    const panel = plot.closest('.jc-panel');
    return {
        rate: line('rate'), nodes: line('nodes'),
        left: words('left'), right: words('right'), times: words('time'),
        span: Number(plot.dataset.end) - Number(plot.dataset.begin),
        width: box.width, height: box.height,
        legend: panel.querySelector('.jc-legend').innerText,
        text: panel.innerText,
    };
})"""
SLOWER = 8


def charts(notebook: Notebook) -> list[dict[str, Any]]:
    """What the visible charts of a page show."""
    found: list[dict[str, Any]] = notebook.page.locator(".jc-plot").evaluate_all(SHOWN)
    return found


def is_whole(chart: dict[str, Any], samples: int, most_nodes: int) -> bool:
    """Whether a chart shows the present state of a cluster that has worked for a while."""
    assert "The chart begins with" not in chart["text"]
    assert "images per second" in chart["legend"]
    assert "nodes ready" in chart["legend"]
    assert "nodes added" in chart["legend"]
    assert all(0 <= y <= 100 for _x, y in [*chart["rate"], *chart["nodes"]])
    assert float(chart["right"][-1]) == most_nodes
    assert chart["right"] == [str(count) for count in range(most_nodes + 1)]
    return (
        len(chart["rate"]) >= samples
        and chart["span"] >= 10
        and len(chart["times"]) >= 2
        and float(chart["left"][-1]) > 0
        and min(y for _x, y in chart["rate"]) < 100
        and {0.0, 100.0} <= {y for _x, y in chart["nodes"]}
        and chart["width"] > 100
        and chart["height"] > 20
    )


@pytest.fixture
def worked(cluster: jc.Cluster) -> int:
    """A cluster that has worked on images; how many samples there are of it at least."""
    cluster.map(abs, range(40), name="posters", unit="image").wait(60)
    eventually(lambda: len(cluster.endpoint.get("series", since=0)) >= 5, 60)
    return len(cluster.endpoint.get("series", since=0))


def test_every_view_that_appears_at_any_time_shows_the_whole_chart(
    open_notebook: Opener, worked: int, page: Any
) -> None:
    notebook = open_notebook("views.ipynb", [LOAD, "%cluster panel shared", LOADED])
    session = page.context.new_cdp_session(page)
    session.send("Emulation.setCPUThrottlingRate", {"rate": SLOWER})

    def shows(views: int) -> None:
        found: list[dict[str, Any]] = []

        def are_whole() -> bool:
            found[:] = charts(notebook)
            return len(found) == views and all(is_whole(chart, worked, 2) for chart in found)

        try:
            eventually(are_whole, 90)
        except AssertionError as error:
            cells = page.locator(".jp-Notebook").all_inner_texts()
            raise AssertionError(f"{error}; charts: {found}; notebooks: {cells}") from error

    notebook.run_to_end(0)
    notebook.run_to_end(2)
    notebook.run_to_end(1)
    shows(1)
    notebook.screenshot("chart-first")
    notebook.activate(1)
    notebook.execute("notebook:create-output-view")
    shows(2)
    notebook.screenshot("chart-output-view")
    eventually(lambda: page.evaluate(IS_LAYOUT_SAVED))  # or the old one may pass for the new one
    notebook.execute("application:close")
    notebook.run_to_end(1)
    shows(1)
    notebook.save()
    notebook.reload()
    shows(1)
    notebook.screenshot("chart-reloaded")
    notebook.restart()
    notebook.run_to_end(0)
    notebook.run_to_end(1)
    shows(1)
    notebook.screenshot("chart-restarted")


def test_the_pointer_finds_the_figures_of_a_moment(
    open_notebook: Opener, worked: int, page: Any
) -> None:
    notebook = open_notebook("pointer.ipynb", [LOAD, "%cluster panel shared"])
    notebook.run_to_end(0)
    notebook.run_to_end(1)
    page.locator(".jc-plot svg").hover()
    tip = page.locator(".jc-tip")
    tip.wait_for()
    said = tip.inner_text()
    clock, rate, nodes = said.split(" · ")
    assert clock.count(":") == 2
    assert rate.endswith(" images/s")
    assert nodes in ("0 ready", "1 ready", "2 ready")
    notebook.screenshot("chart-pointer")
    page.locator(".jc-tiles").hover()
    page.mouse.move(5, 5)
    tip.wait_for(state="hidden")
