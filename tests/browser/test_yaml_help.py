"""The problems of a cluster YAML in JupyterLab's editor, while one types."""

from __future__ import annotations

import json
import os
import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from helpers import eventually

pytestmark = [pytest.mark.browser, pytest.mark.timeout(300)]

TEXT = """\
# 😀 An emoji counts twice in a browser and once in Python.
cluster_name: posters
max_wrokers: 3
provider:
  type: local
autoscaling_mode: default
"""
CHECK = re.compile(r"/jupyter-cluster/api/check\b")
SENTENCE = "max_wrokers: unknown key; did you mean max_workers? Allowed: cluster_name, max_workers"
OPEN = """async path => {
    const app = window.jupyterapp;
    await app.restored;
    const opened = await app.commands.execute('docmanager:open', {path, factory: 'Editor'});
    await opened.revealed;
    await opened.context.ready;
}"""
TEXT_OF = """path => {
    const [opened] = [...window.jupyterapp.shell.widgets('main')]
        .filter(widget => widget.context?.path === path);
    return opened.content.model.sharedModel.getSource();
}"""


def execute(page: Any, command: str, **arguments: Any) -> None:
    """Execute a command of JupyterLab, to its end."""
    page.evaluate(
        "([command, args]) => window.jupyterapp.commands.execute(command, args).then(() => null)",
        [command, arguments],
    )


class Editor:
    """A file that is open in the page."""

    def __init__(self, page: Any, path: str) -> None:
        self.page = page
        self.path = path
        self.shown = page.locator(".jp-FileEditor:visible")

    @property
    def text(self) -> str:
        """What stands in the editor, saved or not."""
        return str(self.page.evaluate(TEXT_OF, self.path))

    def marked(self, severity: str = "error") -> Any:
        """The parts of the text that are marked."""
        return self.shown.locator(f".cm-lintRange-{severity}")

    def type_at_end(self, text: str) -> None:
        """Type as a person does."""
        self.shown.locator(".cm-content").click()
        self.page.keyboard.press("Control+End")
        self.page.keyboard.type(text)

    def screenshot(self, name: str) -> None:
        """Keep a picture, where a folder for it is named."""
        if folder := os.environ.get("JUPYTER_CLUSTER_PICTURES"):
            self.page.screenshot(path=Path(folder, f"{name}.png"))


@pytest.fixture
def open_file(page: Any, address: str, folder: Path) -> Callable[[str, str], Editor]:
    """Opens texts as files, in one workspace."""
    workspace = f"yaml-{time.time_ns()}"
    page.goto(f"{address}/lab/workspaces/{workspace}", wait_until="domcontentloaded")
    page.wait_for_function("() => window.jupyterapp", timeout=60_000)

    def open_text(name: str, text: str) -> Editor:
        file = folder / "notebooks" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(text.encode())
        page.evaluate(OPEN, name)
        page.wait_for_selector("#jupyterlab-splash", state="detached", timeout=60_000)
        return Editor(page, name)

    return open_text


def test_a_misspelt_key_is_marked_at_its_line_and_mended_by_keys(
    page: Any, open_file: Callable[[str, str], Editor]
) -> None:
    asked: list[str] = []
    page.on("request", lambda one: asked.append(one.post_data) if CHECK.search(one.url) else None)
    other = open_file("playbook.yaml", "- hosts: all\n  max_wrokers: 3\n")
    other.type_at_end("  cluster_name: a\n")
    editor = open_file("work/cluster.yaml", TEXT)
    editor.marked().wait_for()
    assert {json.loads(body)["path"] for body in asked} == {editor.path}  # none of the playbook
    assert editor.marked().all_inner_texts() == ["max_wrokers"]
    assert editor.marked("info").all_inner_texts() == ["autoscaling_mode"]
    assert editor.shown.locator(".cm-lint-marker-error").count() == 1

    editor.marked().hover()
    tooltip = page.locator(".cm-tooltip-lint")
    assert SENTENCE in tooltip.inner_text()
    editor.screenshot("yaml-light")
    page.mouse.move(0, 0)

    editor.shown.locator(".cm-content").click()
    page.keyboard.press("Control+Home")
    page.keyboard.press("F8")
    tooltip.get_by_text(SENTENCE).wait_for()
    page.keyboard.press("Control+.")
    editor.marked().wait_for(state="detached")
    assert editor.text == TEXT.replace("wrokers", "workers")
    page.keyboard.press("Control+z")
    editor.marked().wait_for()
    assert editor.text == TEXT


def test_all_problems_are_in_a_list_for_the_keyboard(
    page: Any, open_file: Callable[[str, str], Editor]
) -> None:
    editor = open_file("list/cluster.yaml", TEXT.replace("local", "lokal"))
    editor.marked().first.wait_for()
    execute(page, "apputils:change-theme", theme="JupyterLab Dark")
    editor.shown.locator(".cm-content").click()
    page.keyboard.press("Control+Home")
    page.keyboard.press("Control+Shift+M")
    options = page.get_by_role("listbox", name="Diagnostics").get_by_role("option")
    assert [one.split(":")[0] for one in options.all_inner_texts()] == [
        "max_wrokers",
        "provider.type",
        "autoscaling_mode",
    ]
    editor.marked().last.hover()
    page.locator(".cm-tooltip-lint").wait_for()
    editor.screenshot("yaml-dark")
    page.mouse.move(0, 0)
    page.keyboard.press("ArrowDown")
    page.keyboard.press("c")  # Change to local
    eventually(lambda: "type: local" in editor.text)
    editor.marked().get_by_text("lokal").wait_for(state="detached")


def test_they_come_while_one_types_in_a_file_of_windows_too(
    page: Any, open_file: Callable[[str, str], Editor], folder: Path
) -> None:
    good = TEXT.replace("wrokers", "workers").replace("\n", "\r\n")
    editor = open_file("windows/cluster.yaml", good)
    editor.marked("info").wait_for()
    editor.type_at_end("budget: -1")
    editor.marked().get_by_text("-1").wait_for()
    page.keyboard.press("Backspace")
    page.keyboard.press("Backspace")
    page.keyboard.type("'20'")
    editor.marked().get_by_text("'20'").wait_for()
    page.keyboard.press("Control+.")
    editor.marked().wait_for(state="detached")
    page.keyboard.press("Control+s")
    file = folder / "notebooks" / editor.path
    eventually(lambda: file.read_bytes() == (good + "budget: 20").encode())


def test_marks_stay_while_the_server_is_away(
    page: Any, open_file: Callable[[str, str], Editor]
) -> None:
    editor = open_file("away/cluster.yaml", TEXT)
    editor.marked().wait_for()
    page.route(CHECK, lambda route: route.abort())
    with page.expect_event("requestfailed", lambda one: CHECK.search(one.url) is not None):
        editor.type_at_end("budget: -1\n")
    assert editor.marked().all_inner_texts() == ["max_wrokers"]
    page.unroute(CHECK)
    editor.marked().get_by_text("-1").wait_for()


def test_a_setting_switches_them_off(page: Any, open_file: Callable[[str, str], Editor]) -> None:
    editor = open_file("off/cluster.yaml", TEXT)
    editor.marked().wait_for()
    execute(page, "settingeditor:open", query="Clusters")
    page.get_by_label("Mark problems of cluster YAMLs in the editor").uncheck()
    marks = page.locator(".jp-FileEditor").locator(".cm-lintRange, .cm-gutter-lint")
    eventually(lambda: marks.count() == 0)
    page.get_by_label("Mark problems of cluster YAMLs in the editor").check()
    eventually(lambda: marks.count() == 3)


def test_the_route_says_what_config_check_says(
    page: Any, open_file: Callable[[str, str], Editor]
) -> None:
    editor = open_file("said/cluster.yaml", TEXT)
    with page.expect_response(lambda one: "./there}\\n" in (one.request.post_data or "")) as caught:
        editor.type_at_end("file_mounts: {~/data: ./there}\n")
    marks = json.loads(caught.value.text())["marks"]
    assert [one["severity"] for one in marks] == ["error", "info", "info", "error"]
    assert "/notebooks/said/there)" in marks[-1]["message"]
