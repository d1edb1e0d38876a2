"""What may reach a terminal, and what is said where a package is missing."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from jupyter_cluster.charts.history import History
from jupyter_cluster.charts.history_figure import history_figure
from jupyter_cluster.charts.throughput import throughput_figure
from jupyter_cluster.cli import main
from jupyter_cluster.commands.tables import Table, as_text
from jupyter_cluster.commands.terminal import Terminal
from jupyter_cluster.errors import UsageError
from jupyter_cluster.formats import printable, printable_line

pytestmark = pytest.mark.unit

EVIL = "a\x1b[31mb\x1b]0;title\x07c\x9b1md\u202ee\u2066f\x08\x7f\ud800"
CONTROLS = ("\x1b", "\x07", "\x08", "\x7f", "\x9b", "\u202e", "\u2066", "\ud800")
MARKUP = "<script>alert(1)</script><img src=x onerror=alert(2)>%{x}"


def is_clean(text: str) -> bool:
    return not any(control in text for control in CONTROLS)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain é 😀 ×\tb\nc", "plain é 😀 ×\tb\nc"),
        ("\x1b[1;31mred\x1b[0m", "red"),
        ("\x1b]8;;http://x\x1b\\link\x1b]8;;\x1b\\", "link"),
        ("\x1bcreset", "\\x1bcreset"),
        ("a\rb\r\nc", "a\nb\nc"),
        ("\u202eevil\u202c", "\\u202eevil\\u202c"),
        ("\ud800", "\\ud800"),
    ],
)
def test_a_text_keeps_its_words_and_loses_what_a_terminal_would_obey(text: str, shown: str) -> None:
    assert printable(text) == shown


def test_a_line_stays_one() -> None:
    assert printable_line("a\nb\tc") == "a\\nb c"
    assert as_text(Table("t", ("name",), [("a\nb",)])).splitlines() == ["name", "a\\nb"]


def test_whatever_a_verb_shows_is_clean(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    terminal = Terminal()
    terminal.show(EVIL, Table("t", ("name", EVIL), [(EVIL, "x")]))
    terminal.notice(EVIL)
    terminal.json({"name": EVIL})
    with terminal.step(EVIL) as step:
        step.update(EVIL, 1, 2)
    with pytest.raises(UsageError):
        terminal.ask(EVIL)
    main(["status", EVIL])
    main([EVIL])
    said = capsys.readouterr()
    assert is_clean(said.out + said.err)
    assert said.out.count("abc") == 3


# -- packages that are not there ------------------------------------------------------------------


@pytest.fixture
def without_extras(monkeypatch: pytest.MonkeyPatch) -> None:
    """As after ``pip install .``: imports of what the extras bring fail."""
    for name in [*sys.modules]:
        package = name.partition(".")[0]
        if package in ("plotly", "PIL", "colorthief", "anywidget", "ipywidgets", "kaleido"):
            monkeypatch.setitem(sys.modules, name, None)
    for package in ("plotly", "plotly.graph_objects", "PIL", "colorthief", "anywidget"):
        monkeypatch.setitem(sys.modules, package, None)
    for name in [*sys.modules]:
        if name.startswith(("jupyter_cluster.demo.", "jupyter_cluster.notebook.panel")):
            monkeypatch.delitem(sys.modules, name)


@pytest.mark.usefixtures("without_extras")
def test_what_is_missing_is_said_before_anybody_waits(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("JUPYTER_CLUSTER_HOME", str(tmp_path))
    assert main(["demo"]) == 2
    assert "pip install 'jupyter-cluster[demo]'" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())  # no cluster was begun
    chart = str(tmp_path / "chart.html")
    assert main(["simulate", "--tasks", "10x1s", "--chart", chart]) == 2
    said = capsys.readouterr()
    assert "pip install 'jupyter-cluster[notebook]'" in said.err
    assert not said.out


@pytest.mark.usefixtures("without_extras")
def test_charts_and_the_panel_name_the_line_that_installs_them() -> None:
    from jupyter_cluster.client.registry import Entry
    from jupyter_cluster.notebook.progress import NotebookConsole

    for draw in (
        lambda: history_figure(History(0.0, 1.0)),
        lambda: throughput_figure([]),
        lambda: NotebookConsole().panel(Entry("c", Path("nowhere"))),
    ):
        with pytest.raises(UsageError, match=r"pip install 'jupyter-cluster\[notebook\]'"):
            draw()


# -- charts ---------------------------------------------------------------------------------------


def test_markup_of_a_unit_or_a_title_does_not_reach_plotly() -> None:
    sample = {"time": 0.5, "rate": 1.0, "ready": 1, "queued": 0, "running": 0}
    stage = {"id": MARKUP, "type": MARKUP, "stages": [("ready", 0.0)], "ended": None, "why": ""}
    event = {"time": 0.5, "t": 0.5, "kind": "warning", "text": MARKUP}
    history = History(
        0.0, 1.0, unit=MARKUP, title=MARKUP, samples=[sample], events=[event], stages=[stage]
    )
    rates = [{"t": 1.0, "x_per_second": 1.0, "nodes": 1}]
    for figure in (history_figure(history), throughput_figure(rates, [event], MARKUP, MARKUP)):
        drawn = str(figure.to_dict())
        assert "<img" not in drawn
        assert "<script" not in drawn
        assert "alert(1)" in drawn
        assert "%{x}s" not in drawn
