"""Durations and the queue."""

from __future__ import annotations

from random import Random
from statistics import fmean, pstdev

import pytest

from jupyter_cluster.resources import Resources
from jupyter_cluster.simulator import Batch, Durations, Fixed, LogNormal, Stragglers
from jupyter_cluster.simulator.work import Queue, Row

pytestmark = pytest.mark.unit

ONE, TWO = Resources.of(CPU=1), Resources.of(CPU=2)


def values(durations: Durations, *counts: int) -> list[float]:
    source = Random(1)
    rows = [row for count in counts for row in durations.draw(source, count)]
    return sorted(row.seconds for row in rows for _ in range(row.tasks))


def test_log_normal_durations_have_the_mean_and_the_spread_that_was_asked_for() -> None:
    found = values(LogNormal(3.0, 0.5), 20_000)
    assert fmean(found) == pytest.approx(3.0, rel=0.02)
    assert pstdev(found) / fmean(found) == pytest.approx(0.5, rel=0.04)
    assert min(found) > 0


def test_stragglers_are_as_many_and_as_long_as_was_asked_for() -> None:
    found = values(Stragglers(2.0, 0.1, 50.0), 10_000)
    assert set(found) == {2.0, 100.0}
    assert found.count(100.0) == pytest.approx(1000, rel=0.1)


@pytest.mark.parametrize("durations", [Fixed(1.0), LogNormal(1.0, 0.5), Stragglers(1.0, 0.3, 9.0)])
def test_drawing_together_or_one_by_one_gives_the_same_tasks(durations: Durations) -> None:
    assert values(durations, 100) == values(durations, *[1] * 40, 60)


def taken(queue: Queue, shape: Resources, count: int) -> list[tuple[float, bool, list[Row]]]:
    return [tuple(one) for one in queue.take(shape, count)]


def test_the_queue_gives_lost_tasks_first_and_then_the_order_of_arrival() -> None:
    queue = Queue(seed=0)
    queue.arrive(Batch(at=1.0, count=2, seconds=Fixed(10.0)))
    queue.arrive(Batch(at=5.0, count=3, seconds=Fixed(20.0)))
    queue.again(ONE, Row(7.0, 1), arrived=0.0)
    assert taken(queue, ONE, 4) == [
        (0.0, True, [Row(7.0, 1)]),
        (1.0, False, [Row(10.0, 2)]),
        (5.0, False, [Row(20.0, 1)]),
    ]
    assert queue.count == {ONE: 2}
    assert taken(queue, ONE, 2) == [(5.0, False, [Row(20.0, 2)])]
    assert queue.count == {}


def test_the_shape_whose_first_task_has_waited_longest_comes_first() -> None:
    queue = Queue(seed=0)
    queue.arrive(Batch(at=1.0, count=1))
    queue.arrive(Batch(at=2.0, count=1, shape=TWO))
    queue.arrive(Batch(at=3.0, count=1))
    assert queue.shapes() == [ONE, TWO]
    taken(queue, ONE, 1)
    assert queue.shapes() == [TWO, ONE]
