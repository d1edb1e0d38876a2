"""Blocks are cut and joined without looking into them."""

from __future__ import annotations

import itertools
import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jupyter_cluster.wire import Block, Status, cut_blocks, spans

pytestmark = pytest.mark.unit


@given(st.lists(st.binary(max_size=20), min_size=1), st.data())
def test_a_cut_block_holds_the_same_items_also_after_travelling(
    items: list[bytes], data: st.DataObject
) -> None:
    block = Block.of(10, items)
    start = data.draw(st.integers(10, 10 + len(items)))
    stop = data.draw(st.integers(start, 10 + len(items)))
    cut = Block.unpack(block.cut(start, stop).pack())
    assert [bytes(item) for item in cut.items()] == items[start - 10 : stop - 10]
    for index in range(start, stop):
        assert bytes(cut.item(index)) == items[index - 10]
    middle = (start + stop) // 2
    halves = [cut.cut(start, middle), cut.cut(middle, stop)]
    assert [bytes(i) for half in halves for i in half.items()] == items[start - 10 : stop - 10]


def test_blocks_are_cut_across_their_borders() -> None:
    blocks = [Block.of(0, [b"a", b"b"]), Block.of(2, [b"c"]), Block.of(3, [b"d", b"e"])]
    cut = cut_blocks(blocks, 1, 4)
    assert [(b.start, b.stop) for b in cut] == [(1, 2), (2, 3), (3, 4)]
    assert b"".join(bytes(i) for b in cut for i in b.items()) == b"bcd"


@given(st.sets(st.integers(0, 60)))
def test_spans_are_the_shortest_list_of_ranges(indexes: set[int]) -> None:
    found = spans(sorted(indexes))
    assert {i for start, stop in found for i in range(start, stop)} == indexes
    assert all(stop < start for (_, stop), (start, _) in itertools.pairwise(found))


def test_system_failures_are_those_without_the_functions_doing() -> None:
    assert [s for s in Status if s.is_system_failure] == [
        Status.CRASHED,
        Status.TIMEOUT,
        Status.MEMORY,
    ]
    assert pickle.loads(pickle.dumps(Status.OK)) is Status.OK
