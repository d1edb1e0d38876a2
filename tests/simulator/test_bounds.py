"""The lower bounds, against sums done by hand."""

from __future__ import annotations

from dataclasses import replace

import pytest

from jupyter_cluster.model import Limits, NodeType
from jupyter_cluster.resources import Resources
from jupyter_cluster.simulator.bounds import least_cost, least_seconds
from jupyter_cluster.simulator.work import Batch, Drawn

pytestmark = pytest.mark.unit

BOX = NodeType("box", Resources.of(CPU=16), max_workers=30, price=1.6)
GPU = NodeType("gpu", Resources.of(CPU=4, GPU=2), max_workers=2, price=4.0)
TYPES = {"box": BOX, "gpu": GPU}
BOOTS = {"box": [90.0] * 30, "gpu": [90.0] * 2}


def drawn(seconds: float, at: float = 0.0, longest: float = 0.0, **shape: float) -> Drawn:
    batch = Batch(at=at, shape=Resources.of(shape or {"CPU": 1}))
    return Drawn(batch, seconds=seconds, longest=longest)


def seconds(*work: Drawn, limits: Limits = Limits(30), asked: float = 0.0) -> float:  # noqa: B008
    return least_seconds(work, {"box": BOX}, limits, {"box": BOOTS["box"]}, asked)


def test_work_flows_through_all_slots_once_the_nodes_are_up() -> None:
    assert seconds(drawn(53_600.0)) == pytest.approx(90 + 53_600 / 480)


def test_nodes_come_up_one_by_one() -> None:
    boots = {"box": [10.0, 20.0]}
    two = replace(BOX, max_workers=2)
    end = least_seconds([drawn(16 * 10 + 32 * 5)], {"box": two}, Limits(30), boots, 0.0)
    assert end == pytest.approx(25.0)  # one node for 10 s, then two for 5 s


def test_the_longest_task_counts() -> None:
    assert seconds(drawn(1000.0, longest=700.0)) == pytest.approx(790.0)
    assert seconds(drawn(1000.0, at=300.0, longest=700.0)) == pytest.approx(1000.0)


def test_late_work_cannot_begin_before_it_arrives() -> None:
    early, late = drawn(480.0), drawn(4800.0, at=1000.0)
    assert seconds(early, late) == pytest.approx(1010.0)


def test_nothing_begins_before_nodes_were_asked_for() -> None:
    assert seconds(drawn(480.0, at=50.0), asked=50.0) == pytest.approx(141.0)


def test_limits_make_the_fleet_smaller() -> None:
    assert seconds(drawn(480.0), limits=Limits(3)) == pytest.approx(100.0)
    # 3.2 USD per hour pay for two such nodes.
    assert seconds(drawn(480.0), limits=Limits(30, max_hourly_cost=3.2)) == pytest.approx(105.0)


def test_a_shape_counts_the_slots_it_really_has() -> None:
    three = seconds(drawn(300.0, CPU=3), limits=Limits(1))
    assert three == pytest.approx(90 + 300 / 5)  # 5 fit, and one CPU is left over


def test_shapes_share_what_both_need() -> None:
    both = seconds(drawn(800.0), drawn(400.0, CPU=2), limits=Limits(1))
    assert both == pytest.approx(90 + 1600 / 16)


def test_gpu_work_has_only_the_gpu_nodes() -> None:
    end = least_seconds([drawn(400.0, GPU=1)], TYPES, Limits(30), BOOTS, 0.0)
    assert end == pytest.approx(90 + 400 / 4)


def test_cost_is_that_of_the_cheapest_type_for_the_work() -> None:
    assert least_cost([drawn(3600.0)], TYPES) == pytest.approx(0.1)
    assert least_cost([drawn(3600.0, CPU=3)], TYPES) == pytest.approx(1.6 / 5)
    assert least_cost([drawn(3600.0, GPU=1)], TYPES) == pytest.approx(2.0)
    assert least_cost([drawn(3600.0), drawn(3600.0, CPU=2)], TYPES) == pytest.approx(0.3)


def test_no_work_takes_no_time_and_costs_nothing() -> None:
    assert seconds() == 0.0
    assert least_cost([], TYPES) == 0.0
