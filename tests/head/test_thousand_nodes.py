"""The real loop with a thousand nodes in memory: all come, all go, by few calls."""

from __future__ import annotations

import asyncio

import pytest

from benchmarks.thousand import measure

pytestmark = [pytest.mark.local, pytest.mark.timeout(120)]


def test_a_thousand_nodes_are_launched_met_drained_and_ended() -> None:
    figures = asyncio.run(measure(1000))
    assert figures.calls["created"] == 1000
    assert figures.calls["ended"] == 1000
    assert figures.calls["create"] <= 10
    assert figures.calls["terminate"] <= 20
