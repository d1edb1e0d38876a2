"""The chart and the tables of a result."""

from __future__ import annotations

import pytest

from jupyter_cluster.model import Limits, NodeType
from jupyter_cluster.resources import Resources
from jupyter_cluster.simulator import Batch, Cloud, Fixed, Result, simulate
from jupyter_cluster.simulator.result import precise_seconds, usd

pytestmark = pytest.mark.unit

BOX = NodeType("<box>", Resources.of(CPU=4), max_workers=2, price=0.2)


@pytest.fixture(scope="module")
def result() -> Result:
    work = [Batch(count=80, seconds=Fixed(2.0)), Batch(count=1, shape=Resources.of(GPU=1))]
    return simulate({BOX.name: BOX}, Limits(2, idle_timeout=60.0), work, cloud=Cloud(0.0))


def test_the_chart_has_rate_and_nodes_over_the_same_time(result: Result) -> None:
    data = {trace.name: trace for trace in result.chart().data}
    rate, up = data["tasks per second"], data["&lt;box&gt; up"]
    assert tuple(rate.x) == tuple(up.x)
    assert max(rate.y) == pytest.approx(4.0)  # 8 slots, 2 s each
    assert max(up.y) == 2
    assert max(data["&lt;box&gt; pending"].y) == 2
    assert up.y[-1] == rate.y[-1] == 0


def test_every_decision_and_failure_is_a_marker_with_its_sentence(result: Result) -> None:
    marks = [trace for trace in result.chart().data if trace.mode == "markers"]
    shown = " ".join(" ".join(mark.text) for mark in marks).replace("<br>", " ")
    for event in result.events:
        assert event.text.replace("<", "&lt;").replace(">", "&gt;") in shown
    assert {mark.name for mark in marks} == {"nodes launched", "nodes ended", "failure"}


def test_a_chart_of_nothing_can_be_drawn() -> None:
    assert simulate({BOX.name: BOX}, Limits(2), []).chart().to_json()


def test_the_axis_counts_in_a_unit_that_suits_the_length() -> None:
    def unit(seconds: float) -> str:
        work = [Batch(seconds=Fixed(seconds))]
        found = simulate({BOX.name: BOX}, Limits(2, idle_timeout=1.0), work)
        return str(found.chart().layout.xaxis.title.text).split()[0]

    assert [unit(100.0), unit(1000.0), unit(9000.0)] == ["seconds", "minutes", "hours"]


def test_text_and_html_have_the_figures_and_the_reasons(result: Result) -> None:
    text, html = str(result), result._repr_html_()
    for name, value in result.rows():
        assert name in text
        assert value in text
    assert "{GPU: 1}: no node type can hold it" in text
    assert "<box>" not in html
    assert "&lt;box&gt;" in html


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.4, "0.4 s"),
        (59.6, "60 s"),
        (202.1, "3 min 22 s"),
        (3599.9, "1 h 0 min"),
        (7500, "2 h 5 min"),
    ],
)
def test_durations_are_exact_enough_to_compare(seconds: float, text: str) -> None:
    assert precise_seconds(seconds) == text


def test_money_is_never_rounded_to_nothing() -> None:
    assert [usd(0.0), usd(0.004), usd(1234.5)] == ["nothing", "0.004 USD", "1,234.50 USD"]
