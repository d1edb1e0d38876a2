"""The chart of a cluster: its points, its axes, its words, whenever it is drawn."""

from __future__ import annotations

import re
from collections import deque
from typing import Any

import pytest

from jupyter_cluster.client.watch import View
from jupyter_cluster.panel.chart import chart as drawn
from jupyter_cluster.viewmodel.chart import MOST_POINTS, NO_SAMPLES
from jupyter_cluster.viewmodel.chart import chart as chart_of

pytestmark = pytest.mark.unit

BEGAN = 1_790_000_000.0


def view(
    samples: list[tuple[float, float, int, int]],
    events: list[tuple[float, str, str]] | None = None,
    unit: str = "image",
) -> View:
    """Samples of (seconds, rate, ready, pending); events of (seconds, kind, text)."""
    keys = ("time", "rate", "ready", "pending")
    return View(
        status={"jobs": [{"unit": unit, "kind": "map"}]},
        samples=deque(
            dict(zip(keys, (BEGAN + sample[0], *sample[1:]), strict=True)) for sample in samples
        ),
        events=deque(
            {"number": number, "time": BEGAN + at, "kind": kind, "text": text}
            for number, (at, kind, text) in enumerate(events or [])
        ),
    )


def chart(view: View) -> str:
    """What is drawn of a view."""
    return drawn(chart_of(view))


def points(html: str, of: str) -> list[tuple[float, float]]:
    """The points of a line: across in thousandths, down in hundredths."""
    found = re.search(rf'<polyline class="jc-of-{of}" points="([^"]*)"', html)
    if found is None:
        return []
    pairs = [pair.split(",") for pair in found[1].split()]
    return [(float(x), float(y)) for x, y in pairs]


def words(html: str, side: str) -> list[str]:
    """The words of an axis."""
    return re.findall(rf'<span class="jc-{side}"[^>]*>([^<]*)</span>', html)


GROWING = [(float(t), 2.0 * t, min(t // 10, 2), 2 - min(t // 10, 2)) for t in range(31)]


def test_lines_have_a_point_for_each_sample_and_steps_of_nodes_one_more_at_each_change() -> None:
    html = chart(view(GROWING))
    rate, nodes, pending = (points(html, of) for of in ("rate", "nodes", "pending"))
    assert len(rate) == 31 + 1  # the last one twice, so that a single one is seen
    assert (rate[0], rate[-1]) == ((0.0, 100.0), (1000.0, 0.0))
    assert len(nodes) == len(pending) == 31 + 2 + 1
    assert {y for _x, y in nodes} == {100.0, 50.0, 0.0}
    assert nodes[10:12] == [(333.3, 100.0), (333.3, 50.0)]


def test_axes_begin_at_zero_and_hold_all() -> None:
    html = chart(view(GROWING))
    assert words(html, "left") == ["0", "20", "40", "60"]
    assert words(html, "right") == ["0", "1", "2"]
    assert len(words(html, "time")) == 7
    assert 'data-rate-top="60"' in html
    assert 'data-nodes-top="2"' in html
    for y in (y for of in ("rate", "nodes", "pending") for _x, y in points(html, of)):
        assert 0 <= y <= 100


@pytest.mark.parametrize("most", [0.0, 0.003, 0.9, 1.0, 7.0, 33.3, 970.0, 305_000.0])
def test_the_axis_of_the_rate_is_not_much_higher_than_the_rate(most: float) -> None:
    left = [float(w.replace(",", "")) for w in words(chart(view([(0, most, 1, 0)])), "left")]
    assert 2 <= len(left) <= 6
    assert left[-1] >= most
    assert most == 0.0 or left[-1] <= 2 * most


@pytest.mark.parametrize("most", [0, 1, 3, 4, 5, 30, 1000])
def test_nodes_are_counted_in_whole_numbers(most: int) -> None:
    right = [float(w.replace(",", "")) for w in words(chart(view([(0, 1.0, most, 0)])), "right")]
    assert all(count == int(count) for count in right)
    assert 2 <= len(right) <= 6
    assert right[-1] >= max(1, most)


@pytest.mark.parametrize("seconds", [1, 9, 59, 200, 1799, 7200])
def test_times_are_few_and_within_the_plot(seconds: int) -> None:
    stride = max(1, seconds // 1000)
    html = chart(view([(float(t), 1.0, 1, 0) for t in range(0, seconds + 1, stride)]))
    places = [float(p) for p in re.findall(r'jc-time" style="left: ([\d.-]+)%', html)]
    assert 2 <= len(places) <= 7
    assert all(0 <= place <= 100 for place in places)


def test_a_single_sample_is_a_dot_at_the_right() -> None:
    html = chart(view([(0.0, 3.0, 1, 0)]))
    assert points(html, "rate") == [(1000.0, 0.0)] * 2
    assert points(html, "pending") == []


def test_a_chart_that_has_just_begun_is_not_stretched() -> None:
    html = chart(view([(0.0, 1.0, 1, 0), (1.0, 1.0, 1, 0)]))
    assert points(html, "rate")[0][0] == 900.0


def test_the_unit_names_the_rate_and_nothing_in_it_is_markup() -> None:
    assert "<span>images per second" in chart(view(GROWING)).replace(
        '<i class="jc-key jc-of-rate"></i>', ""
    )
    html = chart(view(GROWING, [(3.0, "warning", '"><b>now</b>')], unit='<b>"x'))
    assert "<b>" not in html
    assert "&lt;b&gt;&quot;xs per second" in html


def test_decisions_stand_at_their_time_with_their_sentence() -> None:
    events = [
        (-100.0, "scale-up", "long ago"),
        (15.0, "scale-up", "2 nodes more"),
        (16.0, "node", "local-1 is ready"),
        (30.0, "error", "no node"),
    ]
    html = chart(view(GROWING, events))
    assert len(re.findall(r'title="\d\d:\d\d:\d\d ', html)) == 2
    assert re.search(r'class="jc-scale-up" style="left: 50.00%" title="[\d:]+ 2 nodes more"', html)
    assert "nodes added" in html
    assert "nodes ended" not in html


def test_a_long_course_is_thinned_and_an_old_one_forgotten() -> None:
    shown = chart_of(view([(float(t), float(t % 2), 1, 0) for t in range(4000)]))
    rate = shown.series[0].points
    assert len(rate) <= MOST_POINTS
    assert rate[-1][0] == shown.end == BEGAN + 3999
    assert rate[0][0] >= BEGAN + 3999 - 1800
    assert {round(value, 1) for _at, value in rate[:-1]} <= {0.3, 0.5, 0.7}


def test_without_samples_it_says_when_it_begins() -> None:
    assert chart(view([])) == f'<div class="jc-blank">{NO_SAMPLES}</div>'


def test_the_words_are_not_those_of_an_empty_chart_once_there_is_a_sample() -> None:
    html: Any = chart(view(GROWING[:1]))
    assert NO_SAMPLES not in html
