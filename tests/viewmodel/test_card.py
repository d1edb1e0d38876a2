"""Clusters in short, and all of them in a line."""

from __future__ import annotations

import pytest
from told import NOW, job, view

from jupyter_cluster.client.watch import Contact, View
from jupyter_cluster.viewmodel import card, kept_card, summary
from jupyter_cluster.viewmodel.card import SHOWN_JOBS, SPARK_POINTS
from jupyter_cluster.viewmodel.model import Words

pytestmark = pytest.mark.unit


def test_a_card_has_the_state_the_figures_and_the_jobs_that_work() -> None:
    made = card(view(), "mine", NOW)
    assert made.state == Words("running", "good")
    assert [tile.label for tile in made.tiles] == ["rate", "nodes ready", "cost, USD"]
    [line] = made.jobs
    assert (line.key, line.name, line.text) == ("j1", "posters", "10 of 40, 6 s left")
    assert line.cancel is not None
    assert (line.cancel.do, line.cancel.target) == ("cancel", "j1")
    assert [(one.do, one.question) for one in made.actions] == [
        ("down", "End it? 1 job would be lost.")
    ]
    assert made.runs
    assert not made.blank


def test_what_has_failed_is_in_the_line_of_a_job() -> None:
    told = view(jobs=[job(failed=3, sealed=False, rate=None)])
    assert card(told, "mine", NOW).jobs[0].text == "10 of 40+, 3 failed"


def test_of_many_jobs_a_few_are_shown_and_the_others_counted() -> None:
    told = view(jobs=[job(id=f"j{n}") for n in range(SHOWN_JOBS + 2)])
    made = card(told, "mine", NOW)
    assert len(made.jobs) == SHOWN_JOBS
    assert made.more == "and 2 jobs more"
    assert card(view(), "mine", NOW).more == ""


def test_a_head_that_has_not_told_anything_can_be_ended_and_that_is_asked() -> None:
    made = card(View(), "mine", NOW)
    assert (made.tiles, made.jobs, made.blank) == ([], [], "asking its head for figures …")
    assert made.actions[0].question.startswith("The head of cluster mine does not say whether")


def test_the_spark_line_has_the_last_minutes_and_says_what_it_shows() -> None:
    told = view()
    told.samples.clear()
    for second in range(1000):
        told.samples.append({"time": NOW - 1000 + second, "rate": 2.0 if second < 950 else 4.0})
    made = card(told, "mine", NOW).spark
    assert len(made.values) <= SPARK_POINTS + 1
    assert (made.values[0], made.values[-1]) == (2.0, 4.0)
    assert made.said == "images/s in the last 5 min: now 4.0, at most 4.0"
    assert card(View(), "mine", NOW).spark.values == []


def test_what_has_stopped_says_what_it_keeps_and_what_that_costs() -> None:
    here = kept_card("mine", "local", 0.0, is_hosted=False)
    assert (here.state.text, here.place) == ("stopped", "on this machine")
    assert here.blank == "Its results are kept until it is ended."
    assert [one.do for one in here.actions] == ["up", "down"]
    assert not here.runs
    gone = kept_card("mine", "aws", NOW, is_hosted=True, why="its machine is gone")
    assert gone.place.startswith("on aws, made on 20")
    assert gone.blank == (
        "Its machine is gone. What it has of machines and disks costs until it is ended."
    )


def test_all_clusters_in_a_line_say_what_they_cost() -> None:
    assert summary([]) == Words("")
    assert summary([view(Contact.ENDED, "it was ended")]) == Words("")
    assert summary([view(), view()]) == Words(
        "2 clusters, 2.50 USD per hour", "", "1.00 USD so far"
    )
    lost = summary([view(Contact.LOST, "no route")])
    assert lost == Words(
        "1 cluster, 1.25 USD per hour", "warn", "0.50 USD so far; 1 cluster without contact"
    )
    free = view(cost={"so_far": 0.0, "per_hour": 0.0, "price_known": True})
    assert summary([free]).text == "1 cluster"
    unknown = view(cost={"so_far": 0.0, "per_hour": 0.0, "price_known": False})
    assert summary([view(), unknown]).text == "2 clusters, at an unknown price"
