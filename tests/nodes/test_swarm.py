"""Who gives files to whom."""

from __future__ import annotations

import threading
from contextlib import ExitStack

import pytest

from jupyter_cluster.nodes.swarm import HEAD, PLACES, Swarm

pytestmark = pytest.mark.unit


def test_the_head_gives_first_and_then_those_who_have_it() -> None:
    swarm = Swarm()
    with swarm.source() as source:
        assert source == HEAD
    swarm.join("10.0.0.1:99")
    with swarm.source() as source:
        assert source == "10.0.0.1:99"
    swarm.leave("10.0.0.1:99")
    with swarm.source() as source:
        assert source == HEAD


def test_who_finds_no_place_waits_until_somebody_has_one() -> None:
    swarm = Swarm()
    got: list[str] = []

    def take() -> None:
        with swarm.source() as source:
            got.append(source)

    with ExitStack() as stack:
        for _ in range(PLACES):
            stack.enter_context(swarm.source())
        waiting = threading.Thread(target=take)
        waiting.start()
        swarm.join("10.0.0.1:99")
        waiting.join(10)
    assert got == ["10.0.0.1:99"]
