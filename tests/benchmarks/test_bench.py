"""The pure parts of the benchmarks: sizes, medians, ratios, aims, tables."""

from __future__ import annotations

import io

import pytest
from rich.console import Console
from rich.table import Table

from benchmarks.cases import AIMS, CASES, ONE_PROCESS, OURS, Aim, count_for
from benchmarks.peers import PEERS
from benchmarks.report import (
    MET,
    MISSED,
    OPEN,
    aims_table,
    as_json,
    figures_table,
    judge,
    odd_palettes,
    ratio,
    show,
)
from benchmarks.rounds import Sample

pytestmark = pytest.mark.unit


def samples(case: str, peer: str, *values: float | None, digest: str = "") -> list[Sample]:
    return [
        Sample(case, peer, n, 10, 0.0, value, digest, "" if value is not None else "it failed")
        for n, value in enumerate(values)
    ]


def printed(table: Table) -> str:
    console = Console(file=io.StringIO(), width=200)
    console.print(table)
    text: str = console.file.getvalue()  # type: ignore[attr-defined]
    return text


def test_every_aim_names_a_case_that_its_peer_can_be_measured_in() -> None:
    for aim in AIMS:
        assert aim.case in CASES
        assert aim.case in PEERS[aim.peer].cases


def test_slow_peers_get_fewer_tasks_and_quick_runs_fewer_still() -> None:
    assert count_for("map", "dask", False, 0) < count_for("map", OURS, False, 0)
    assert count_for("map", "dask", True, 0) < count_for("map", "dask", False, 0)
    assert count_for("start", "ray", True, 0) == 1
    assert count_for("palettes", "dask", True, 60) == 60


def test_a_ratio_compares_within_rounds_and_takes_the_median() -> None:
    found = [*samples("map", OURS, 10, 40, 60), *samples("map", "ray", 10, 20, 20)]
    assert ratio(found, "map", "ray") == 2.0  # of 1, 2 and 3
    assert ratio(found, "map", "ray", times=2) == 1.0


def test_a_round_in_which_one_failed_does_not_count() -> None:
    found = [*samples("map", OURS, 10, 40), *samples("map", "ray", 5, None)]
    assert ratio(found, "map", "ray") == 2.0
    assert ratio(found, "map", "dask") is None


def test_rates_are_to_be_above_an_aim_and_times_below() -> None:
    found = [
        *samples("map", OURS, 50),
        *samples("map", "ray", 10),
        *samples("start", OURS, 5),
        *samples("start", "ray", 10),
    ]
    aims = (
        Aim("map", "ray", 5.0),
        Aim("map", "ray", 5.1),
        Aim("start", "ray", 0.5),
        Aim("start", "ray", 0.4),
        Aim("start", "dask", 1.0),
        Aim("calls", "ray", 1.0),  # not among the cases of this run
    )
    assert [v.state for v in judge(found, 2, aims)] == [MET, MISSED, MET, MISSED, OPEN]


def test_the_palette_job_is_compared_with_all_cores() -> None:
    found = [*samples("palettes", OURS, 15), *samples("palettes", ONE_PROCESS, 5)]
    first = judge(found, 4)[0]
    assert (first.ratio, first.state) == (0.75, MISSED)


def test_a_peer_with_other_palettes_is_named() -> None:
    plain = samples("palettes", ONE_PROCESS, 5, digest="a")
    same = samples("palettes", OURS, 5, digest="a")
    other = samples("palettes", "ray", 5, digest="b")
    assert odd_palettes([*plain, *same, *other]) == ["ray"]
    assert odd_palettes([*same, *other]) == []


def test_tables_show_medians_the_spread_and_the_state_of_aims() -> None:
    found = [*samples("map", OURS, 1000, 3000, 2000), *samples("map", "ray", None, None, 100)]
    figures = printed(figures_table(found))
    assert "2,000" in figures
    assert "(1,000 to 3,000)" in figures
    aims = printed(aims_table(judge(found, 2)))
    assert "no-op tasks by map: ours ÷ ray" in aims
    assert "at least 4" in aims
    assert MET in aims
    assert OPEN in aims  # processpool


def test_json_keeps_every_sample_and_why_one_failed() -> None:
    found = samples("map", OURS, 1000, None)
    content = as_json(found, judge(found, 2))
    assert content["medians"] == [{"case": "map", "peer": OURS, "unit": "tasks/s", "median": 1000}]
    assert content["samples"][1]["problem"] == "it failed"


@pytest.mark.parametrize(
    ("number", "text"),
    [(0, "0"), (0.31849, "0.318"), (12.74, "12.7"), (99.96, "100"), (94313.6, "94,300")],
)
def test_figures_have_three_digits(number: float, text: str) -> None:
    assert show(number) == text
