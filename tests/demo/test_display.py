"""What the demo shows in the terminal."""

from __future__ import annotations

from io import StringIO
from typing import Any

import pytest
from rich.console import Console, RenderableType

from jupyter_cluster.demo.display import Decisions, Moment, moment_of, palette_table, render

pytestmark = pytest.mark.unit


def shown(renderable: RenderableType, colour: bool = False) -> str:
    console = Console(
        file=StringIO(),
        width=100,
        force_terminal=colour,
        color_system="truecolor" if colour else None,
    )
    console.print(renderable)
    return console.file.getvalue()  # type: ignore[attr-defined]


def job(**changes: Any) -> dict[str, Any]:
    row = {"id": "j", "total": 300, "done": 98, "failed": 2, "rate": 10.0}
    return {**row, "submitted": 1000.0, "finished": None, **changes}


def test_shows_counts_rates_nodes_the_decision_and_the_expected_end() -> None:
    text = shown(render(Moment(job(), 1020.0, 2, 1, 2, "launch 2 × local: [300] tasks queued")))
    assert "100 of 300, 2 failed" in text
    assert "10.0 images/s now, 5.0 on average" in text
    assert "2 nodes, 2 slots, 1 node starting" in text
    assert "launch 2 × local: [300] tasks queued" in text
    assert "20 s so far, ends in about 20 s" in text


def test_before_the_first_result_no_end_is_expected() -> None:
    text = shown(render(Moment(job(done=0, failed=0, rate=0.0), 1002.0)))
    assert "ends in" not in text
    assert "none yet" in text


def test_after_the_end_the_time_is_that_of_the_job() -> None:
    moment = Moment(job(done=298, rate=None, finished=1030.0), 9999.0)
    assert moment.average == 10.0
    assert "30 s" in shown(render(moment))


def test_a_status_is_summed_up_by_its_ready_and_coming_nodes() -> None:
    nodes = [
        {"state": "ready", "resources": {"CPU": 2}},
        {"state": "booting", "resources": {"CPU": 2}},
        {"state": "draining", "resources": {"CPU": 2}},
    ]
    status = {"jobs": [job()], "nodes": nodes}
    moment = moment_of(status, "j", 1001.0, "")
    assert moment is not None
    assert (moment.nodes, moment.coming, moment.slots) == (1, 1, 2)
    assert moment_of(status, "unknown", 1001.0, "") is None


def test_the_newest_decision_stays_when_other_events_follow() -> None:
    decisions = Decisions()
    decisions.add([{"number": 7, "kind": "scale-up", "text": "launch"}])
    decisions.add([{"number": 8, "kind": "node", "text": "ready"}])
    assert (decisions.number, decisions.newest) == (8, "launch")


def test_a_palette_is_blocks_of_its_colours_with_their_names() -> None:
    text = shown(palette_table({"[odd] name": [(255, 250, 0), (1, 2, 3)]}), colour=True)
    assert "[odd] name" in text
    assert "48;2;255;250;0m #fffa00 " in text
    assert "48;2;1;2;3m #010203 " in text
