"""What is shown of a cluster: the words of each state, what may be done, and what is asked."""

from __future__ import annotations

import json
from dataclasses import asdict

import pytest
from told import NOW, job, node, view

from jupyter_cluster.client.watch import Contact, View
from jupyter_cluster.viewmodel import ClusterView, cluster_view
from jupyter_cluster.viewmodel.model import Table, Tile, Words
from jupyter_cluster.viewmodel.tables import SHOWN_JOBS

pytestmark = pytest.mark.unit


def shown(told: View) -> ClusterView:
    return cluster_view(told, "mine", NOW)


def texts(table: Table) -> list[list[str]]:
    return [[cell.words.text for cell in row.cells] for row in table.rows]


@pytest.mark.parametrize(
    ("told", "state"),
    [
        (view(), Words("running", "good")),
        (view(state="draining"), Words("draining", "warn")),
        (
            view(Contact.LOST, "no route to host"),
            Words("lost contact 7 s ago (no route to host); trying again, work goes on", "bad"),
        ),
        (view(Contact.ENDED, "it was ended"), Words("ended", "off", "it was ended")),
        (View(), Words("connecting", "warn")),
        (
            View(contact=Contact.LOST, problem="its head is not up"),
            Words("connecting", "warn", "its head is not up"),
        ),
    ],
)
def test_how_it_stands_is_said(told: View, state: Words) -> None:
    assert shown(told).state == state


def test_before_the_head_has_told_anything_the_blank_says_why() -> None:
    made = shown(View())
    assert made.blank == "No figures yet: asking the head for them …"
    assert shown(View(problem="its head is not up")).blank == "No figures yet: its head is not up"
    assert (made.tiles, made.controls, made.place) == ([], None, "")
    assert all((made.chart.blank, made.jobs.blank, made.nodes.blank, made.events_blank))


def test_the_tiles_have_figures_with_what_they_are_of() -> None:
    assert shown(view()).tiles == [
        Tile("rate", "5.0", "images/s"),
        Tile("nodes ready", "1", "1 booting, at most 4"),
        Tile("slots busy", "2", "of 2"),
        Tile("queued", "28", "2 running"),
        Tile("done", "10", "0 failed"),
        Tile("time", "20 s", "about 6 s left"),
        Tile("cost, USD", "0.50", "1.25 per hour"),
    ]


def test_failures_and_unknown_prices_are_in_the_tiles() -> None:
    told = view(
        jobs=[job(failed=3, state="finished", finished=NOW - 4)],
        cost={"so_far": 0.0, "per_hour": 0.0, "price_known": False},
    )
    tiles = {tile.label: tile for tile in shown(told).tiles}
    assert tiles["done"] == Tile("done", "10", "3 failed", "bad")
    assert tiles["time"] == Tile("time", "idle", "for 4 s")
    assert tiles["cost, USD"].value == "unknown"


def test_the_end_of_the_cluster_is_asked_with_what_would_be_lost() -> None:
    controls = shown(view()).controls
    assert controls is not None
    assert controls.down.question == "End it? 1 job would be lost."
    assert not controls.down.is_harmless
    assert [(limit.node_type, limit.value) for limit in controls.limits] == [("", 4), ("local", 1)]
    idle = shown(view(jobs=[])).controls
    assert idle is not None
    assert idle.down.question == "End the cluster?"
    assert idle.down.is_harmless


def test_nothing_may_be_done_with_a_cluster_that_has_ended() -> None:
    made = shown(view(Contact.ENDED, "it was ended", nodes=[], jobs=[job(state="cancelled")]))
    assert made.controls is None
    assert made.nodes.blank == "No node is up. It was ended."
    assert not any(cell.action for row in made.jobs.rows for cell in row.cells)


def test_jobs_that_work_come_first_with_a_button_that_names_them() -> None:
    old = job(id="j0", name="old", state="finished", finished=NOW - 50, submitted=NOW - 60, done=40)
    rows = shown(view(jobs=[old, job()])).jobs.rows
    assert [row.key for row in rows] == ["j1", "j0"]
    assert texts(shown(view(jobs=[old, job()])).jobs)[0] == [
        *("posters", "", "10 of 40", "0", "5 images/s", "20 s, 6 s left", "running", ""),
    ]
    first, last = rows[0].cells[-1].action, rows[1].cells[-1].action
    assert first is not None
    assert (first.do, first.target, first.about) == ("cancel", "j1", "job posters")
    assert last is None


def test_a_bar_has_its_parts_and_the_same_in_words() -> None:
    [row] = shown(view(jobs=[job(done=10, failed=5, cancelled=1)])).jobs.rows
    bar = row.cells[1].bar
    assert bar is not None
    assert [(part.share, part.meaning) for part in bar.shares] == [
        *((0.25, "good"), (0.125, "bad"), (0.025, "off")),
    ]
    assert bar.text == "10 done, 5 failed, 1 cancelled"


def test_of_many_jobs_the_oldest_are_counted() -> None:
    made = shown(view(jobs=[job(id=f"j{n}", submitted=NOW - n) for n in range(SHOWN_JOBS + 2)]))
    assert len(made.jobs.rows) == SHOWN_JOBS
    assert (made.jobs.count, made.jobs.more) == (SHOWN_JOBS + 2, "and 2 older jobs")


def test_nodes_have_a_state_that_says_how_long_it_may_take() -> None:
    states = [row.cells[2].words for row in shown(view()).nodes.rows]
    assert states == [Words("ready", "good"), Words("booting, 5 s of about 20 s", "warn")]
    strange = shown(view(nodes=[node(state="frozen", type="gone")])).nodes.rows[0]
    assert strange.cells[2].words == Words("frozen", "bad")


def test_what_keeps_work_from_running_is_said() -> None:
    made = shown(view(infeasible=["no type has a GPU"], problem="no capacity"))
    assert made.problems == ["Cannot run: no type has a GPU", "Problem: no capacity"]


def test_a_view_goes_over_the_network_as_json() -> None:
    made = shown(view())
    assert json.loads(json.dumps(asdict(made)))["chart"]["series"][0]["of"] == "rate"
