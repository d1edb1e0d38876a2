"""The policy scales whole jobs, on a virtual clock."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from itertools import pairwise

import pytest

from jupyter_cluster.model import Limits, NodeType
from jupyter_cluster.resources import Resources
from jupyter_cluster.simulator import Batch, Cloud, Fixed, Result, Sample, simulate

pytestmark = pytest.mark.unit

BOX = NodeType("box", Resources.of(CPU=16), max_workers=30, price=0.768, boot_seconds=90.0)
SPARE = NodeType("spare", Resources.of(CPU=8), max_workers=30, price=0.8, boot_seconds=90.0)
STEADY = Cloud(boot_spread=0.0)
LIMITS = Limits(max_workers=30, idle_timeout=60.0)


def run(*work: Batch, cloud: Cloud = STEADY, types: tuple[NodeType, ...] = (BOX,)) -> Result:
    return simulate({one.name: one for one in types}, LIMITS, work, cloud=cloud)


def at(result: Result, moment: float) -> Sample:
    """The cluster at a moment."""
    return next(sample for sample in result.series if sample.t >= moment)


def nodes(sample: Sample) -> Counter[str]:
    return Counter(sample.up) + Counter(sample.pending)


def test_a_job_ramps_up_at_once_works_and_leaves_nothing() -> None:
    result = run(Batch(count=48_000, seconds=Fixed(1.0)))  # 100 s on 480 slots
    assert at(result, 1).pending == {"box": 30}
    assert at(result, 89).done == 0
    assert at(result, 91).up == {"box": 30}
    assert result.makespan == pytest.approx(190, abs=1)
    assert result.launched == 30
    assert nodes(result.series[-1]) == {}
    assert result.end == pytest.approx(250, abs=3)
    assert {text.split(" × ")[1].split(":")[0] for _, text in result.decisions} == {"box"}


def test_a_job_shorter_than_a_boot_takes_no_second_node() -> None:
    known = [Batch(at=at, count=16) for at in (0.0, *range(95, 135, 2))]
    result = run(*known, Batch(at=140.0, count=1000))  # 16 slots do 1,440 in 90 s
    assert result.done == 1000 + 21 * 16
    assert result.launched == 1


def test_nodes_on_their_way_are_given_back_when_the_work_is_gone() -> None:
    """Nobody knew how short the tasks are; the nodes that are up end them all."""
    kept = replace(BOX, min_workers=1)
    result = run(Batch(at=100.0, count=4800, seconds=Fixed(0.01)), types=(kept,))
    assert result.done == 4800
    assert result.launched > 5
    assert result.wasted_boots == result.launched - 1
    assert result.end < 100 + 30
    assert nodes(result.series[-1]) == {"box": 1}
    assert any("before they are up" in text for _, text in result.decisions)


def test_where_a_type_has_no_capacity_the_next_one_takes_the_rest() -> None:
    cloud = Cloud(boot_spread=0.0, no_capacity={"box": 2})
    result = run(Batch(count=64, seconds=Fixed(300.0)), cloud=cloud, types=(BOX, SPARE))
    assert nodes(at(result, 10)) == {"box": 2, "spare": 4}
    assert result.done == 64


def test_a_type_without_capacity_is_tried_again() -> None:
    cloud = Cloud(boot_spread=0.0, no_capacity={"box": 2})
    result = run(Batch(count=64, seconds=Fixed(300.0)), cloud=cloud)
    refused = [event.time for event in result.events if "could not be launched" in event.text]
    assert len(refused) > 2
    assert all(later - earlier >= 60 for earlier, later in pairwise(refused))
    assert result.done == 64


def test_nodes_that_die_are_replaced_and_their_tasks_run_again() -> None:
    spot = replace(BOX, spot=True, max_workers=4)
    cloud = Cloud(boot_spread=0.0, reclaims_per_hour=40.0)
    result = run(Batch(count=256, seconds=Fixed(30.0)), cloud=cloud, types=(spot,))
    assert result.lost > 0
    assert result.done == 256
    assert result.launched > 4
    assert max(nodes(sample)["box"] for sample in result.series) == 4
    assert nodes(result.series[-1]) == {}


def test_nodes_that_never_boot_do_not_make_the_cluster_launch_for_ever() -> None:
    cloud = Cloud(boot_spread=0.0, boot_seconds={"box": 1e6})
    result = run(Batch(count=64, seconds=Fixed(30.0)), cloud=cloud)
    assert result.done == 0
    # Four at a time; each is given up after 900 s, and the simulation after an hour.
    assert result.launched <= 4 * 5
    assert max(nodes(sample)["box"] for sample in result.series) == 4


def test_a_steady_trickle_does_not_make_the_cluster_bounce() -> None:
    trickle = [Batch(at=float(second), count=4, seconds=Fixed(2.0)) for second in range(93, 393)]
    result = run(Batch(count=16, seconds=Fixed(2.0)), *trickle)
    assert result.done == 16 + 4 * 300
    assert result.launched == 1
    assert [text.split(" ")[0] for _, text in result.decisions] == ["launch", "end"]
