"""The clusters in JupyterLab's side bar: a newcomer's way, and all that may happen on the way."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import lab
import pytest
from helpers import eventually
from lab import Notebook

import jupyter_cluster as jc
from jupyter_cluster.client import launch, registry

pytestmark = [pytest.mark.browser, pytest.mark.timeout(300)]

Opener = Callable[[str, Sequence[str]], Notebook]
MARKUP = '<img src=x onerror="document.title = 1">'
MANY = Path(__file__).with_name("many_clusters.py")


# What is the extension's of a page, with its dialogs.
OURS = ":is(.jc-Sidebar-content, .jc-ClusterWidget, .jc-Status, .jp-Dialog-content)"
THEMES = ("JupyterLab Light", "JupyterLab Dark", "JupyterLab Dark High Contrast")


def forever(_number: int) -> None:
    while True:
        time.sleep(0.05)


def failing(number: int) -> None:
    print("about to fail at", number)
    raise ValueError(f"{number} is no picture")


def signal_head(name: str, what: signal.Signals) -> None:
    """Send a signal to the head of a cluster on this machine."""
    notes = (registry.entry(name).folder / "processes.json").read_text()
    os.kill(int(re.search(r'"head"[^0-9]*(\d+)', notes)[1]), what)  # type: ignore[index]


@pytest.fixture(autouse=True)
def nothing_left(home: Path) -> Iterator[None]:
    """Each test begins with an empty registry."""
    yield
    jc.shutdown()
    for one in registry.entries():
        launch.end(one)
    for file in (home / "operations").glob("*"):
        file.unlink()


class SideBar:
    """The side bar in a page."""

    def __init__(self, page: Any) -> None:
        self.page = page
        self.node = page.locator("#jupyter-cluster-sidebar")
        lab.execute(page, "jupyter-cluster:show")
        self.node.wait_for()

    def card(self, name: str) -> Any:
        return self.node.locator(f'.jc-Card[data-name="{name}"]')

    def await_state(self, name: str, text: str) -> Any:
        """Wait until a cluster stands so; its card."""
        card = self.card(name)
        card.locator(".jc-Card-head").get_by_text(text).wait_for(timeout=60_000)
        return card

    def await_none(self, name: str) -> None:
        """Wait until a cluster is no longer listed."""
        self.card(name).wait_for(state="detached", timeout=60_000)

    def end(self, name: str) -> str:
        """End a cluster by its button; returns what was asked."""
        self.card(name).get_by_role("button", name=re.compile("^(down|end) cluster")).click()
        dialog = self.page.get_by_role("dialog")
        asked = str(dialog.inner_text())
        dialog.get_by_role("button", name=re.compile("down|end", re.I)).click()
        return asked

    def open(self, name: str) -> Any:
        """The view of a cluster in the main area."""
        self.card(name).get_by_role("button", name=name, exact=True).click()
        pane = self.page.locator(".jc-ClusterWidget:visible")
        pane.locator(".jc-Header-name").get_by_text(name, exact=True).wait_for()
        return pane


@pytest.fixture
def side_bar(page: Any, address: str) -> SideBar:
    lab.visit(page, address)
    return SideBar(page)


def test_a_newcomer_gets_from_nothing_to_images_a_second_and_back_without_typing(
    side_bar: SideBar,
) -> None:
    page, node = side_bar.page, side_bar.node
    node.get_by_role("button", name="Start a cluster on this machine").click()
    card = side_bar.await_state("local", "running")
    lab.picture(page, "sidebar-first")
    card.get_by_role("button", name="Try cluster local in the notebook").click()
    page.locator(".jp-Notebook:visible .jp-Cell").get_by_text("brightness").first.wait_for()
    page.wait_for_function(KERNEL_IS_IDLE)
    page.locator('.jp-Toolbar:visible [data-jp-item-name="run"] jp-button').first.click()
    card.get_by_text("first pictures").wait_for(timeout=60_000)
    card.get_by_text("images/s", exact=True).wait_for()
    card.locator(".jc-SparkLine-line").first.wait_for()
    lab.picture(page, "sidebar-working")
    assert page.locator(".jc-Status").get_by_text("1 cluster").is_visible()
    asked = side_bar.end("local")
    assert "would be lost" in asked
    side_bar.await_none("local")
    node.get_by_role("button", name="Start a cluster on this machine").wait_for()
    lab.picture(page, "sidebar-empty")


def test_clusters_of_a_notebook_and_of_a_terminal_appear_and_are_the_same_in_two_tabs(
    page: Any, address: str, open_notebook: Opener, chromium: Any
) -> None:
    notebook = open_notebook("maker.ipynb", ["%load_ext jupyter_cluster\n%cluster up --name a"])
    side_bar = SideBar(page)
    other = chromium.new_page()
    try:
        lab.visit(other, address)
        second = SideBar(other)
        notebook.run(0)
        command = [sys.executable, "-m", "jupyter_cluster.cli", "up", "--name", "b", "--cpus", "1"]
        subprocess.run(command, check=True, capture_output=True, timeout=60)
        for one in (side_bar, second):
            one.await_state("a", "running")
            one.await_state("b", "running")
        second.end("b")
        side_bar.await_none("b")
        lab.picture(page, "sidebar-notebook")
    finally:
        other.close()


def test_code_goes_into_a_new_cell_of_the_notebook_at_hand(
    open_notebook: Opener, page: Any
) -> None:
    cluster = jc.up(name="handed", cpus=1)
    notebook = open_notebook("handed.ipynb", ["x = 1", "y = 2"])
    notebook.activate(0)
    card = SideBar(page).await_state("handed", "running")
    card.get_by_role("button", name="Insert a new cell that connects").click()
    eventually(lambda: len(page.evaluate(SOURCES)) == 3)
    sources = page.evaluate(SOURCES)
    assert [sources[0], sources[2]] == ["x = 1", "y = 2"]
    assert f"jc.connect({cluster.name!r})" in sources[1]


def test_by_keyboard_a_cluster_is_opened_and_its_end_asked(side_bar: SideBar) -> None:
    jc.up(name="elsewhere", cpus=1)
    page, card = side_bar.page, side_bar.await_state("elsewhere", "running")
    card.get_by_role("button", name="More that can be done").focus()
    page.keyboard.press("Enter")
    page.get_by_role("menuitem", name="End Cluster").click()
    page.get_by_text("End the cluster?").wait_for()
    page.keyboard.press("Escape")
    page.locator(".jp-Dialog").wait_for(state="detached")
    card.locator(".jc-Card-name").press("Enter")
    page.locator("#jupyter-cluster-elsewhere").wait_for()
    assert [place.name for place in registry.entries()] == ["elsewhere"]


def test_a_hung_kernel_keeps_nobody_from_cancelling_its_job_and_ending_its_cluster(
    page: Any, open_notebook: Opener
) -> None:
    endless = "import time\ndef forever(_):\n    while True: time.sleep(0.05)\n"
    cells = [
        "import jupyter_cluster as jc\ncluster = jc.up(name='hung', cpus=1)",
        f"{endless}job = cluster.map(forever, range(2), name='endless')\nwhile True: pass",
    ]
    notebook = open_notebook("hung.ipynb", cells)
    notebook.run_to_end(0)
    notebook.run(1)
    side_bar = SideBar(page)
    card = side_bar.await_state("hung", "running")
    card.get_by_text("endless").wait_for(timeout=60_000)
    card.get_by_role("button", name="cancel job endless").click()
    card.get_by_text("endless").wait_for(state="detached", timeout=60_000)
    assert notebook.is_running(1)
    side_bar.end("hung")
    side_bar.await_none("hung")
    assert notebook.is_running(1)


def test_a_server_that_is_started_again_is_found_again(
    page: Any, home: Path, tmp_path: Path
) -> None:
    cluster = jc.up(name="kept", cpus=1)
    with lab.server(tmp_path) as address:
        lab.visit(page, address)
        side_bar = SideBar(page)
        side_bar.await_state("kept", "running")
    side_bar.node.get_by_text("It is tried again by itself.").wait_for(timeout=60_000)
    assert side_bar.card("kept").is_visible()
    lab.picture(page, "sidebar-server-away")
    with lab.server(tmp_path, port=int(address.rpartition(":")[2])):
        cluster.scale(max_workers=3)
        side_bar.node.get_by_text("It is tried again by itself.").wait_for(
            state="detached", timeout=60_000
        )
        side_bar.card("kept").get_by_text("at most 3").wait_for()


def test_a_head_that_is_killed_is_said_to_be_away_and_comes_back(side_bar: SideBar) -> None:
    cluster = jc.up(name="killed", cpus=1)
    side_bar.await_state("killed", "running")
    pane = side_bar.open("killed")
    signal_head("killed", signal.SIGSTOP)  # it answers no more, and nobody starts another one
    side_bar.card("killed").get_by_text("lost contact").wait_for(timeout=60_000)
    pane.locator(".jc-Header").get_by_text("lost contact").wait_for()
    lab.picture(side_bar.page, "sidebar-lost")
    signal_head("killed", signal.SIGKILL)
    side_bar.await_state("killed", "running")
    assert cluster.is_alive


def test_every_state_is_there_again_after_a_reload(side_bar: SideBar, address: str) -> None:
    page = side_bar.page

    def reload() -> SideBar:
        eventually(lambda: page.evaluate(lab.IS_LAYOUT_SAVED) and page.evaluate(IS_BAR_SAVED))
        page.reload(wait_until="domcontentloaded")
        page.wait_for_function("() => window.jupyterapp", timeout=60_000)
        page.evaluate("() => window.jupyterapp.restored.then(() => null)")
        assert page.locator("#jupyter-cluster-sidebar").is_visible()  # it was open
        return SideBar(page)

    side_bar = reload()
    side_bar.node.get_by_role("button", name="Start a cluster on this machine").wait_for()
    jc.up(name="reloaded", cpus=1)
    side_bar.await_state("reloaded", "running")
    pane = side_bar.open("reloaded")
    pane.get_by_role("tab", name="nodes").click()
    side_bar = reload()
    side_bar.await_state("reloaded", "running")
    pane = page.locator(".jc-ClusterWidget:visible")
    pane.get_by_role("tab", name="nodes", selected=True).wait_for()
    pane.get_by_text("Nodes come when there is work.").wait_for()
    jc.connect("reloaded").down()
    side_bar.await_none("reloaded")
    pane.locator(".jc-Header").get_by_text("ended").first.wait_for()
    side_bar = reload()
    pane = page.locator(".jc-ClusterWidget:visible")
    pane.get_by_text("there is no cluster 'reloaded'").or_(
        pane.get_by_text("has ended")
    ).first.wait_for()


def test_a_cluster_comes_from_a_file_by_the_plan_and_a_bad_file_says_why(
    side_bar: SideBar, folder: Path
) -> None:
    page = side_bar.page
    files = folder / "notebooks"
    (files / "good.yaml").write_text(
        "cluster_name: planned\nprovider: {type: local}\nmax_workers: 1\n"
    )
    (files / "bad.yaml").write_text("cluster_name: planned\nmax_wrokers: 1\n")
    lab.execute(page, "filebrowser:go-to-path", path="/", dontShowBrowser=False)
    for name, choice in (("bad.yaml", ""), ("good.yaml", "Start")):
        item = page.locator(".jp-DirListing-item", has_text=name)
        lab.execute(page, "filebrowser:refresh")
        item.click(button="right")
        page.get_by_role("menuitem", name=re.compile("cluster", re.I)).click()
        if not choice:
            page.get_by_role("dialog").get_by_text("did you mean max_workers?").wait_for()
            page.get_by_role("dialog").get_by_role("button").last.click()
            continue
        dialog = page.get_by_role("dialog")
        dialog.get_by_text("at most 1 worker node").wait_for()
        lab.picture(page, "sidebar-plan")
        dialog.get_by_role("button", name=choice).click()
    lab.execute(page, "jupyter-cluster:show")
    side_bar.await_state("planned", "running")


def test_names_units_and_lines_with_markup_are_text(side_bar: SideBar) -> None:
    cluster = jc.up(name="marked", cpus=1)

    def said(x: int) -> int:
        print(f'<img src=x onerror="document.title = {x}">')
        return x

    cluster.map(said, range(3), name=MARKUP, unit="<b>image</b>").results(timeout=60)
    cluster.map(forever, range(1), name=MARKUP, unit="<b>image</b>")
    page = side_bar.page
    title = page.title()
    card = side_bar.await_state("marked", "running")
    card.get_by_text(MARKUP).wait_for()
    card.get_by_text("<b>image</b>s/s", exact=True).wait_for()
    pane = side_bar.open("marked")
    pane.get_by_text(MARKUP).first.wait_for()
    pane.get_by_role("tab", name="logs").click()
    pane.get_by_text('<img src=x onerror="document.title = 0">').first.wait_for()
    lab.picture(page, "sidebar-markup")
    assert page.locator("#jupyter-cluster-sidebar img, .jc-ClusterWidget img").count() == 0
    assert page.title().removesuffix(" - JupyterLab") != "1"
    assert title


def change_theme(page: Any, theme: str) -> None:
    """Change the colours, until JupyterLab is done with it: it does not bear two at once."""
    lab.execute(page, "apputils:change-theme", theme=theme)
    page.wait_for_function("name => document.body.dataset.jpThemeName === name", arg=theme)
    page.wait_for_selector("#jupyterlab-splash", state="detached")


def test_every_word_can_be_read_in_every_theme_and_every_button_has_a_name(
    side_bar: SideBar,
) -> None:
    page = side_bar.page

    def look(at: str) -> None:
        assert page.evaluate(lab.NAMELESS, OURS) == []
        for theme in THEMES:
            change_theme(page, theme)
            contrasts = page.evaluate(lab.CONTRASTS, f"{OURS} *")
            assert len(contrasts) >= 3
            low = {text: contrast for text, contrast in contrasts.items() if contrast < 4.5}
            assert not low, (at, theme)  # WCAG 2.1, 1.4.3
            lab.picture(page, f"{at}-{theme.replace(' ', '-').lower()}")

    side_bar.node.get_by_role("button", name="Start a cluster on this machine").wait_for()
    look("empty")
    lost = jc.up(name="away", cpus=1)
    cluster = jc.up(name="shown", cpus=2)
    job = cluster.map(failing, range(5), name="failing", unit="image", max_retries=0)
    job.wait(60)
    cluster.map(forever, range(2), name="endless", unit="image")
    signal_head(lost.name, signal.SIGSTOP)
    side_bar.await_state("shown", "running").get_by_text("endless").wait_for()
    side_bar.await_state("away", "lost contact")
    pane = side_bar.open("shown")
    for tab in ("jobs", "nodes", "events", "logs"):
        pane.get_by_role("tab", name=tab).click()
        look(tab)
    side_bar.card("shown").get_by_role("button", name=re.compile("^(down|end) cluster")).click()
    page.get_by_role("dialog").wait_for()
    look("dialog")
    page.keyboard.press("Escape")
    signal_head(lost.name, signal.SIGCONT)


def test_limits_are_changed_and_jobs_and_nodes_seen_in_the_view(side_bar: SideBar) -> None:
    cluster = jc.up(name="viewed", cpus=2)
    side_bar.await_state("viewed", "running")
    pane = side_bar.open("viewed")
    pane.get_by_label(re.compile("^at most")).fill("1")
    pane.get_by_role("button", name="apply limits of cluster viewed").click()
    pane.get_by_text("From now on at most 1 node.").wait_for()
    assert cluster.status()["max_workers"] == 1
    cluster.map(forever, range(2), name="endless", unit="image")
    pane.get_by_role("tab", name="jobs").click()
    pane.get_by_role("row").get_by_text("endless").wait_for()
    pane.get_by_role("tab", name="nodes").click()
    pane.get_by_role("row").get_by_text("ready").wait_for(timeout=60_000)
    pane.get_by_role("tab", name="events").click()
    pane.get_by_text(re.compile("launch|start", re.I)).first.wait_for()
    pane.get_by_role("tab", name="jobs").click()
    pane.get_by_role("button", name="cancel job endless").click()
    pane.get_by_role("row").get_by_text("cancelled").wait_for()


def test_fifty_clusters_and_two_hundred_nodes_are_there_and_answer_to_clicks(
    side_bar: SideBar,
) -> None:
    page = side_bar.page
    words = [sys.executable, str(MANY), "50", "200"]
    root = MANY.parents[2]
    environment = {**os.environ, "PYTHONPATH": f"{root}:{root / 'tests'}"}
    with subprocess.Popen(
        words,
        env=environment,
        text=True,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    ) as heads:
        try:
            assert heads.stdout is not None
            assert heads.stdout.readline() == "ready\n"
            eventually(lambda: side_bar.node.locator(".jc-Card").count() == 50, 60)
            pane = side_bar.open("cluster-00")
            pane.get_by_role("tab", name="nodes").click()
            eventually(lambda: pane.get_by_role("row").count() > 200, 60)
            frames = page.evaluate(FRAMES)
            print(
                f"{frames['count']} frames in 10 s, the longest {frames['longest']:.0f} ms,"
                f" {frames['megabytes']:.0f} MB"
            )
            lab.picture(page, "sidebar-many")
            pane.get_by_role("tab", name="jobs").click()
            eventually(lambda: pane.get_by_role("row").count() > 50)
        finally:
            heads.kill()


IS_BAR_SAVED = """async () => {
    const id = decodeURIComponent(location.pathname.match(/workspaces\\/([^/]+)/)[1]);
    const { data } = await window.jupyterapp.serviceManager.workspaces.fetch(id);
    return data['layout-restorer:data']?.left?.current === 'jupyter-cluster-sidebar';
}"""
SOURCES = """() => [...window.jupyterapp.shell.currentWidget.content.model.sharedModel.cells]
    .map(cell => cell.getSource())"""
KERNEL_IS_IDLE = """() =>
    window.jupyterapp.shell.currentWidget.sessionContext?.session?.kernel?.status === 'idle'"""
# How often the page is drawn in ten seconds, in which ten updates of each cluster come.
FRAMES = """() => new Promise(resolve => {
    const begin = performance.now();
    let before = begin, longest = 0, count = 0;
    const frame = now => {
        longest = Math.max(longest, now - before);
        before = now;
        count += 1;
        if (now - begin < 10000) requestAnimationFrame(frame);
        else resolve({count, longest, megabytes: performance.memory.usedJSHeapSize / 2 ** 20});
    };
    requestAnimationFrame(frame);
})"""
