"""The side bar of clusters, in a real JupyterLab with real clusters."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from helpers import eventually
from lab import Notebook

import jupyter_cluster as jc
from jupyter_cluster.client.registry import entries

pytestmark = [pytest.mark.browser, pytest.mark.timeout(300)]

Opener = Callable[[str, Sequence[str]], Notebook]

SOURCES = """() => [...window.jupyterapp.shell.currentWidget.content.model.sharedModel.cells]
    .map(cell => cell.getSource())"""
SHOW = "() => window.jupyterapp.commands.execute('jupyter-cluster:show').then(() => null)"
READY = "() => window.jupyterapp.shell.currentWidget.sessionContext.ready.then(() => null)"


@pytest.fixture(autouse=True)
def _nothing_is_left(home: Path) -> Iterator[None]:
    yield
    for place in entries():
        jc.connect(place.name).down()


@pytest.fixture
def sidebar(page: Any, address: str) -> Any:
    """The side bar of an empty JupyterLab."""
    page.goto(f"{address}/lab/workspaces/sidebar-{time.time_ns()}", wait_until="domcontentloaded")
    page.wait_for_function("() => window.jupyterapp", timeout=60_000)
    page.evaluate("async () => { await window.jupyterapp.restored; }")
    page.wait_for_selector("#jupyterlab-splash", state="detached", timeout=60_000)
    page.evaluate(SHOW)
    return page.locator(".jc-Sidebar")


def rate_of(card: Any) -> float:
    return float(card.locator(".jc-Tile-value").first.inner_text().replace(",", ""))


def test_a_newcomer_comes_to_images_per_second_and_down_without_typing(
    sidebar: Any, page: Any
) -> None:
    sidebar.get_by_role("button", name="Start a cluster on this machine").click()
    card = sidebar.locator(".jc-Card[data-name=local]")
    card.get_by_role("button", name="Try cluster local in the notebook").click(timeout=60_000)
    page.locator(".jp-Notebook .jp-Cell").wait_for()
    page.evaluate(READY)
    page.keyboard.press("Shift+Enter")
    card.locator(".jc-Card-job").wait_for(timeout=60_000)
    eventually(lambda: rate_of(card) > 0, 60)
    assert "images/s" in card.inner_text()
    card.get_by_role("button", name="cancel job first pictures").click()
    card.locator(".jc-Card-job").wait_for(state="detached")
    card.get_by_role("button", name="down cluster local").click()
    page.locator(".jp-Dialog .jp-mod-accept").click()
    sidebar.get_by_text("A cluster runs the functions").wait_for(timeout=60_000)
    assert not entries()


def test_code_goes_into_a_new_cell_of_the_notebook_at_hand(
    open_notebook: Opener, page: Any, home: Path
) -> None:
    cluster = jc.up(name="handed", cpus=1)
    notebook = open_notebook("handed.ipynb", ["x = 1", "y = 2"])
    notebook.activate(0)
    page.evaluate(SHOW)
    card = page.locator(".jc-Card[data-name=handed]")
    card.get_by_role("button", name="Insert a new cell that connects").click()
    eventually(lambda: len(page.evaluate(SOURCES)) == 3, 20)
    sources = page.evaluate(SOURCES)
    assert [sources[0], sources[2]] == ["x = 1", "y = 2"]
    assert f"jc.connect({cluster.name!r})" in sources[1]


def test_a_cluster_of_a_terminal_appears_and_its_end_asks(sidebar: Any, page: Any) -> None:
    jc.up(name="elsewhere", cpus=1)
    begun = time.monotonic()
    card = sidebar.locator(".jc-Card[data-name=elsewhere]")
    card.wait_for()
    assert time.monotonic() - begun < 5
    card.locator(".jc-Tiles").wait_for()
    card.get_by_role("button", name="More that can be done").focus()
    page.keyboard.press("Enter")
    page.get_by_role("menuitem", name="End Cluster").click()
    page.get_by_text("End the cluster?").wait_for()
    page.keyboard.press("Escape")
    page.locator(".jp-Dialog").wait_for(state="detached")
    card.locator(".jc-Card-name").press("Enter")
    page.locator("#jupyter-cluster-elsewhere").wait_for()
    assert [place.name for place in entries()] == ["elsewhere"]
