"""What a notebook shows for clusters, jobs and tables: HTML with a text form."""

from __future__ import annotations

from html.parser import HTMLParser
from typing import Any

import pytest
from IPython.core.interactiveshell import InteractiveShell

from jupyter_cluster.commands.tables import Table
from jupyter_cluster.errors import JobError
from jupyter_cluster.notebook.cell_errors import sentence
from jupyter_cluster.notebook.cell_output import CellOutput, CellStatus
from jupyter_cluster.notebook.progress import NotebookConsole
from jupyter_cluster.notebook.reprs import HTML, TEXT, bar_html, bundle, cluster_bundle, job_bundle
from jupyter_cluster.tracebacks import render

pytestmark = pytest.mark.unit

EVIL = "<script>alert('x')</script>&\""
# Title and clipboard of a terminal, its cursor, and marks that turn the direction of writing.
CONTROLS = "a\x1b]0;title\x07\x1b]52;c;eA==\x07\x1b[2J\x1b[31m\u202eb\u2066c\x9bd\ud800"
UNSEEN = ("\x1b", "\x07", "\u202e", "\u2066", "\x9b", "\ud800")
JOB: dict[str, Any] = {
    "id": "abc",
    "name": EVIL,
    "unit": EVIL,
    "state": "running",
    "total": 8,
    "queued": 2,
    "running": 1,
    "done": 4,
    "failed": 1,
    "cancelled": 0,
    "sealed": True,
    "submitted": 0.0,
    "finished": None,
    "note": EVIL,
    "rate": 2.0,
    "kind": "map",
}
NODE: dict[str, Any] = {
    "id": EVIL,
    "type": EVIL,
    "state": EVIL,
    "age": 1.0,
    "resources": {EVIL: 1},
    "slots_busy": 0,
    "tasks_finished": 0,
    "idle_seconds": 1.0,
    "why": EVIL,
}
STATUS: dict[str, Any] = {
    "cluster": EVIL,
    "provider": EVIL,
    "state": EVIL,
    "started": 0.0,
    "nodes": [NODE],
    "max_workers": 1,
    "jobs": [JOB],
    "cost": {"so_far": 0.0, "per_hour": 0.0, "node_hours": {}, "price_known": True},
    "infeasible": [EVIL],
    "problem": EVIL,
}


class Reader(HTMLParser):
    """Collects the tags and the text, and checks that every tag is closed."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.open: list[str] = []
        self.text = ""
        self.feed(html)
        assert not self.open

    def handle_starttag(self, tag: str, attrs: object) -> None:
        self.tags.append(tag)
        self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


@pytest.mark.parametrize("shown", [cluster_bundle(STATUS), job_bundle(JOB)])
def test_nothing_that_a_user_named_becomes_markup(shown: dict[str, str]) -> None:
    read = Reader(shown[HTML])
    assert "script" not in read.tags
    assert EVIL in read.text
    assert EVIL in shown[TEXT]


def test_a_cluster_has_a_table_of_nodes_and_one_of_jobs() -> None:
    read = Reader(cluster_bundle(STATUS)[HTML])
    assert read.tags.count("table") == 2
    assert read.tags.count("caption") == 2


def test_a_job_has_a_bar_of_the_tasks_that_have_ended() -> None:
    assert '<progress style="width: 20em" value="5" max="8"></progress>' in job_bundle(JOB)[HTML]


def test_a_bar_without_a_total_has_no_end() -> None:
    assert bar_html(0, 0) == '<progress style="width: 20em"></progress>'


def test_text_and_html_say_the_same() -> None:
    table = Table("t", ("name", "count"), [("a", "1"), ("b", "22")], ("count",))
    shown = bundle("first", table)
    assert shown[TEXT].splitlines() == ["first", "name  count", "a         1", "b        22"]
    assert Reader(shown[HTML]).text == "firsttnamecounta1b22"
    assert shown[HTML].count("text-align: right") == 3


def test_names_of_others_move_neither_a_terminal_nor_a_page(
    capsys: pytest.CaptureFixture[str],
) -> None:
    odd_job = {**JOB, "name": CONTROLS, "unit": CONTROLS, "note": CONTROLS}
    table = Table(CONTROLS, ("name", CONTROLS), [(CONTROLS, "x")])
    bundles = [bundle(CONTROLS, table), job_bundle(odd_job)]
    NotebookConsole().show(CONTROLS)
    CellStatus(is_kernel=False).say(CONTROLS)
    output = CellOutput({0: "local-1"}, is_many=False)
    output.show([(0, {"type": "note", "text": CONTROLS})])
    error = sentence(JobError(CONTROLS))
    said = capsys.readouterr()
    shown = [*(one for made in bundles for one in made.values()), said.out, said.err]
    shown += error._render_traceback_()  # type: ignore[attr-defined]
    for text in shown:
        assert not any(one in text for one in UNSEEN), ascii(text)
        assert "\\u202eb" in text


def test_of_an_error_only_colours_reach_ipython() -> None:
    class Shell(InteractiveShell):
        pass

    shell = Shell.instance()
    try:
        error = JobError(CONTROLS)
        lines = render(error, f'  File "x.py", line 3, in f\n    {CONTROLS}\n')
    finally:
        Shell.clear_instance()
    text = "\n".join(lines)
    assert shell is not None
    assert "\x1b[31m" in text
    assert "\\u202eb" in text
    assert "title" not in text
    assert not any(one in text.replace("\x1b[", "") for one in UNSEEN)


def test_what_a_cell_prints_stays_as_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    output = CellOutput({0: "local-1"}, is_many=False)
    output.show([(0, {"type": "stream", "name": "stdout", "text": "\x1b[31mred\x1b[0m\r50%"})])
    assert capsys.readouterr().out == "\x1b[31mred\x1b[0m\r50%"
