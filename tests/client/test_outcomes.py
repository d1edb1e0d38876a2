"""Results on the client: each taken once, found again, dropped with their last ref."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jupyter_cluster.client.outcomes import Outcomes
from jupyter_cluster.wire import Block

pytestmark = pytest.mark.unit


def block(start: int, stop: int, mark: bytes = b"") -> Block:
    return Block.of(start, [b"%d%s" % (i, mark) for i in range(start, stop)])


@given(st.lists(st.tuples(st.integers(0, 40), st.integers(1, 10)), max_size=20))
def test_the_first_copy_counts_and_each_arrival_is_told_once(parts: list[tuple[int, int]]) -> None:
    outcomes, first = Outcomes(), {}
    for number, (start, count) in enumerate(parts):
        mark = b"-%d" % number
        outcomes.take(bytes(count), block(start, start + count, mark), "node")
        for i in range(start, start + count):
            first.setdefault(i, b"%d%s" % (i, mark))
    for i in first:
        ((_statuses, found, _node),) = outcomes.find(i, i + 1)
        assert found.data == first[i]
    arrived = [i for start, stop in outcomes.arrivals for i in range(start, stop)]
    assert sorted(arrived) == sorted(first)
    assert outcomes.ended == len(first)


def test_news_before_the_result_are_counted_once() -> None:
    outcomes = Outcomes()
    outcomes.note(0, 3)
    assert outcomes.has_ended(1)
    assert not outcomes.is_here(1)
    outcomes.take(bytes(3), block(0, 3), "n")
    assert outcomes.ended == 3
    assert outcomes.arrivals == [(0, 3)]


def test_a_batch_goes_when_all_of_it_was_dropped() -> None:
    outcomes = Outcomes()
    outcomes.take(bytes(2), block(0, 2), "n")
    assert outcomes.drop(0) == 0
    assert outcomes.drop(1) == 2
    assert outcomes.drop(5) == 0
