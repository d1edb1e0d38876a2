"""The figure of a job's or a cluster's past: its parts, its axes, and what its blanks say."""

from __future__ import annotations

from typing import Any

import pytest

from jupyter_cluster.charts.history import History
from jupyter_cluster.charts.history_figure import MOST_NODES, NODE_HEIGHT, PARTS, history_figure

pytestmark = pytest.mark.unit

BEGAN = 1_700_000_000.0


def history(**more: Any) -> History:
    values = {
        "samples": [
            {"time": BEGAN + t, "rate": 3.0 * t, "ready": t // 2, "queued": 90 - t, "running": 2}
            for t in range(20)
        ],
        "costs": [{"time": BEGAN + t, "cost": 0.1 * t, "per_hour": 360.0} for t in range(20)],
        "events": [
            {"time": BEGAN + 1, "kind": "scale-up", "text": "launch <2>: work waits"},
            {"time": BEGAN + 2, "kind": "node", "text": "local-1 is ready"},
            {"time": BEGAN + 9, "kind": "error", "text": "local-2 was lost"},
        ],
        "stages": [
            {
                "id": "local-1",
                "type": "local",
                "stages": [
                    ["requested", BEGAN + 1],
                    ["setting-up", BEGAN + 1.5],
                    ["ready", BEGAN + 3],
                ],
                "ended": None,
                "why": "",
            },
            {
                "id": "local-2",
                "type": "local",
                "stages": [["requested", BEGAN + 1], ["ready", BEGAN + 4], ["failed", BEGAN + 9]],
                "ended": BEGAN + 9,
                "why": "its process <1> is gone",
            },
        ],
        "durations": [(10, 0.5), (30, 0.7)],
    }
    return History(**{"began": BEGAN, "ended": BEGAN + 19, "unit": "tile", **values, **more})


def traces(figure: Any) -> dict[str, Any]:
    return {trace.name: trace for trace in figure.data}


def notes(figure: Any) -> str:
    return " ".join(note.text for note in figure.layout.annotations)


def test_every_part_is_drawn_once_below_the_one_before() -> None:
    figure = history_figure(history())
    axes = [
        figure.layout[trace.yaxis.replace("y", "yaxis")] for trace in figure.data if trace.yaxis
    ]
    lows = [axis.domain[0] for axis in axes if not axis.overlaying]
    assert lows == sorted(lows, reverse=True)
    for axis in axes:
        assert 0 <= axis.domain[0] < axis.domain[1] <= 1.0000001
    whole = figure.layout.height
    assert all(history_figure(history(), [part]).layout.height < whole for part in PARTS)


def test_time_is_counted_from_the_beginning_or_shown_as_the_time_of_day() -> None:
    assert list(traces(history_figure(history()))["tiles per second"].x) == list(range(20))
    clock = history_figure(history(is_clock=True))
    assert clock.layout.xaxis.type == "date"
    assert traces(clock)["tiles per second"].x[0].year == 2023
    long = history_figure(history(ended=BEGAN + 7200))
    assert long.layout.xaxis.title.text == "hours since it began"
    assert long.layout.xaxis.range == (0, 2)


def test_decisions_have_their_sentence_and_other_events_are_left_out() -> None:
    shown = traces(history_figure(history()))
    assert shown["nodes added"].text[0] == "launch &lt;2&gt;: work waits"
    assert list(shown["error"].x) == [9]
    assert "nodes ended" not in shown


@pytest.mark.parametrize(("is_clock", "factor"), [(False, 1), (True, 1000)])
def test_a_node_is_a_row_of_bars_one_for_each_stage(is_clock: bool, factor: int) -> None:
    shown = traces(history_figure(history(is_clock=is_clock)))
    up = shown["on its way up"]
    assert list(up.x) == [0.5 * factor, 1.5 * factor, 3 * factor]
    assert list(up.y) == [0, 0, 1]
    assert [bar / factor for bar in shown["ready"].x] == [16, 5]
    assert shown["failed"].text[0].endswith("its process &lt;1&gt; is<br>gone")
    assert "local-1 (local): ready for 16 s" in shown["ready"].text[0]


def test_many_nodes_have_no_names_and_do_not_make_the_figure_longer() -> None:
    [row, _] = history().stages
    many = [{**row, "id": f"local-{n}"} for n in range(1000)]
    figure = history_figure(history(stages=many), ["nodes"])
    few = history_figure(history(stages=many[:MOST_NODES]), ["nodes"])
    assert figure.layout.height == few.layout.height
    assert figure.layout.yaxis.showticklabels is False
    assert "1000 nodes" in notes(figure)
    assert few.layout.height > MOST_NODES * NODE_HEIGHT


def test_every_blank_says_why() -> None:
    figure = history_figure(History(began=BEGAN, ended=BEGAN + 1))
    text = notes(figure)
    assert text.count("Nothing has been measured yet") == 3
    assert "There was no node" in text
    assert "No task has ended yet" in text


def test_nodes_that_cost_nothing_take_no_room_to_say_so() -> None:
    free = [{"time": BEGAN, "cost": 0.0, "per_hour": 0.0}]
    figure = history_figure(history(costs=free), ["cost"])
    assert "these nodes cost nothing" in notes(figure)
    assert figure.layout.height < history_figure(history(), ["cost"]).layout.height


def test_tasks_are_counted_by_duration() -> None:
    shown = traces(history_figure(history(), ["durations"]))["tasks by duration"]
    assert (list(shown.x), list(shown.y), shown.histfunc) == ([0.5, 0.7], [10, 30], "sum")
