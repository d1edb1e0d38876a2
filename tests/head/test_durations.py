import random
from statistics import mean, pstdev

import pytest

from jupyter_cluster.head.durations import Durations

pytestmark = pytest.mark.unit


def test_nothing_is_known_before_the_first_bundle():
    durations = Durations()
    assert (durations.mean, durations.recent, durations.spread) == (None, None, 0.0)


def test_single_tasks_give_their_mean_and_standard_deviation():
    durations, seconds = Durations(), [0.2, 0.4, 0.4, 2.0]
    for each in seconds:
        durations.note(1, each)
    assert durations.count == 4
    assert durations.mean == pytest.approx(mean(seconds))
    assert durations.spread == pytest.approx(pstdev(seconds))


def test_bundles_of_many_tasks_give_the_spread_of_one():
    draw, durations = random.Random(0), Durations()
    for _ in range(2000):
        count = draw.choice((5, 20, 80))
        durations.note(count, sum(draw.gauss(1.0, 0.2) for _ in range(count)))
    assert durations.mean == pytest.approx(1.0, rel=0.01)
    assert durations.spread == pytest.approx(0.2, rel=0.1)


def test_for_the_next_bundle_the_newest_counts_most():
    durations = Durations()
    for seconds in (1.0, 1.0, 1.0, 5.0):
        durations.note(1, seconds)
    assert durations.mean == 2.0
    assert durations.recent == pytest.approx(2.2)
