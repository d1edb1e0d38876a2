"""The chart of a job's rate: what it holds, on which axes, and that nothing is loaded too early."""

from __future__ import annotations

import subprocess
import sys

import pytest

from jupyter_cluster.charts.throughput import (
    rate_key,
    throughput_figure,
    throughput_text,
)

pytestmark = pytest.mark.unit

SERIES = [
    {"t": t, "images_per_second": 6.0 * nodes, "done": 6 * t, "queued": 90 - 6 * t, "nodes": nodes}
    for t, nodes in ((0.0, 0), (5.0, 1), (10.0, 2), (15.0, 4), (20.0, 4))
]
EVENTS = [
    {"t": 1.0, "kind": "scale-up", "text": "1 node more: 90 tasks wait"},
    {"t": 6.0, "kind": "node", "text": "local-1 is ready"},
    {
        "t": 9.0,
        "kind": "scale-up",
        "text": "3 nodes more: <the queue> takes " + "so " * 40 + "long",
    },
    {"t": 19.0, "kind": "scale-down", "text": "2 nodes less: they are idle"},
]


def traces(figure) -> dict:
    return {trace.name: trace for trace in figure.data}


def test_importing_the_module_does_not_import_plotly() -> None:
    code = "import sys, jupyter_cluster.charts.throughput; sys.exit('plotly' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_the_rate_is_a_line_over_time_and_nodes_are_steps_on_a_second_axis() -> None:
    shown = traces(throughput_figure(SERIES))
    rate, nodes = shown["images per second"], shown["nodes"]
    assert list(rate.x) == list(nodes.x) == [0, 5, 10, 15, 20]
    assert list(rate.y) == [0, 6, 12, 24, 24]
    assert list(nodes.y) == [0, 1, 2, 4, 4]
    assert (rate.yaxis, nodes.yaxis, nodes.line.shape) == (None, "y2", "hv")


def test_decisions_are_marked_at_their_time_with_their_sentence() -> None:
    shown = traces(throughput_figure(SERIES, EVENTS))
    assert list(shown["nodes added"].x) == [1, 9]
    assert list(shown["nodes ended"].x) == [19]
    assert shown["nodes ended"].text[0] == "2 nodes less: they are idle"
    assert set(shown) == {"images per second", "nodes", "nodes added", "nodes ended"}


def test_sentences_are_escaped_and_broken_into_lines() -> None:
    sentence = traces(throughput_figure(SERIES, EVENTS))["nodes added"].text[1]
    assert "&lt;the queue&gt;" in sentence
    assert max(map(len, sentence.split("<br>"))) < 70


def test_the_legend_is_above_the_plot_and_the_background_is_clear() -> None:
    layout = throughput_figure(SERIES, EVENTS, title="Palettes <1>").layout
    assert layout.legend.orientation == "h"
    assert layout.legend.y > 1
    assert layout.paper_bgcolor == layout.plot_bgcolor == "rgba(0, 0, 0, 0)"
    assert layout.title.text == "Palettes &lt;1&gt;"


def test_the_axis_of_nodes_has_whole_numbers_and_holds_the_most() -> None:
    for most in (1, 3, 4, 30, 1000):
        sample = {"t": 1.0, "images_per_second": 1.0, "nodes": most}
        axis = throughput_figure([sample]).layout.yaxis2
        assert axis.range[1] > most
        assert axis.dtick == int(axis.dtick)
        assert 1 <= most / axis.dtick <= 5


def test_the_unit_names_the_rate() -> None:
    tiles = [{"t": 0.0, "tiles_per_second": 3.0, "nodes": 1}] * 2
    figure = throughput_figure(tiles, unit="tile")
    assert figure.layout.yaxis.title.text == "tiles per second"
    assert list(traces(figure)["tiles per second"].y) == [3, 3]


def test_without_samples_the_chart_says_why_it_is_blank() -> None:
    figure = throughput_figure([])
    assert not figure.data
    assert "No samples" in figure.layout.annotations[0].text
    assert "No samples" in throughput_text([])


def test_a_single_sample_is_a_point() -> None:
    assert {trace.mode for trace in throughput_figure(SERIES[:1]).data} == {"markers"}


def test_samples_without_a_rate_are_refused_with_the_key_they_need() -> None:
    assert rate_key(SERIES) == "images_per_second"
    with pytest.raises(ValueError, match="give it a key like images_per_second"):
        throughput_figure([{"t": 0.0, "nodes": 1}])


@pytest.mark.parametrize("width", [40, 60, 100])
def test_the_text_form_has_bars_and_numbers_within_its_width(width: int) -> None:
    lines = throughput_text(SERIES, width).splitlines()
    assert max(map(len, lines)) <= width
    rate, nodes, axis = lines
    assert rate.startswith("images/s ▁")
    assert rate.endswith("█ peak 24, last 24")
    assert nodes.endswith("█ peak 4, last 4")
    assert axis.split() == ["0", "s", "20", "s"]


def test_the_bars_follow_the_time_not_the_number_of_samples() -> None:
    late = [{"t": t, "images_per_second": r, "nodes": 1} for t, r in ((0, 8), (1, 0), (100, 0))]
    bars = throughput_text(late).splitlines()[0].split()[1]
    assert set(bars) == {"▁"}


def test_a_rate_of_zero_all_along_is_shown_as_such() -> None:
    idle = [{"t": t, "images_per_second": 0.0, "nodes": 0} for t in (0, 1)]
    assert throughput_text(idle).splitlines()[0].endswith("peak 0, last 0")


def test_a_text_chart_without_room_is_refused() -> None:
    with pytest.raises(ValueError, match="at least 40 columns"):
        throughput_text(SERIES, 20)
