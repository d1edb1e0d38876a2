"""One measurement of one peer, as a process of its own.

Started by `benchmarks.rounds` with what to measure as JSON; writes what it found as JSON to a file,
since peers print what they like.
"""

from __future__ import annotations

import hashlib
import json
import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from benchmarks.peers import PEERS, Peer
from benchmarks.tasks import noop, rest

# Items that travel together where a peer lets one say so.
CHUNK = 100
_REST_SECONDS = 0.05


@dataclass(frozen=True)
class Order:
    """What to measure.

    Attributes
    ----------
    images : tuple of str
        Paths; used by the palette job.
    started : float
        `time.monotonic()` when this process was started: it counts for the whole machine.
    answer : str
        Path of the file to write.
    """

    peer: str
    case: str
    count: int
    cores: int
    images: tuple[str, ...]
    started: float
    answer: str

    def as_json(self) -> str:
        """For the command line."""
        return json.dumps(asdict(self))


@dataclass(frozen=True)
class Answer:
    """What was measured.

    Attributes
    ----------
    value : float
        In the unit of the case.
    digest : str
        Of the palettes, to compare them between peers; empty in the other cases.
    """

    value: float
    digest: str = ""


def main() -> None:
    """Measure what the command line says."""
    order = Order(**json.loads(sys.argv[1]))
    peer = PEERS[order.peer](order.cores)
    peer.start()
    try:
        answer = _MEASURES[order.case](peer, order)
    finally:
        peer.stop()
    Path(order.answer).write_text(json.dumps(asdict(answer)))


def _measure_start(peer: Peer, order: Order) -> Answer:
    _check(peer.call(noop, 1), 1)
    return Answer(time.monotonic() - order.started)


def _measure_palettes(peer: Peer, order: Order) -> Answer:
    from jupyter_cluster.demo.palettes import get_palette

    _warm_up(peer)
    peer.map(get_palette, order.images[: 2 * order.cores], 1)
    began = time.perf_counter()
    palettes = peer.map(get_palette, order.images, 1)
    seconds = time.perf_counter() - began
    digest = hashlib.sha256(json.dumps(palettes).encode()).hexdigest()
    return Answer(len(order.images) / seconds, digest)


def _measure_map(peer: Peer, order: Order) -> Answer:
    def run(count: int) -> Any:
        return peer.map(noop, range(count), CHUNK)

    return _rate(peer, run, order.count)


def _measure_calls(peer: Peer, order: Order) -> Answer:
    return _rate(peer, lambda count: peer.calls(noop, range(count)), order.count)


def _rate(peer: Peer, run: Callable[[int], Any], count: int) -> Answer:
    _warm_up(peer)
    run(min(count, 10 * CHUNK))
    began = time.perf_counter()
    results = run(count)
    seconds = time.perf_counter() - began
    _check(results, list(range(count)))
    return Answer(count / seconds)


def _measure_roundtrip(peer: Peer, order: Order) -> Answer:
    _warm_up(peer)
    for index in range(order.count // 10):
        peer.call(noop, index)
    return Answer(1000 * statistics.median(_timed(peer, index) for index in range(order.count)))


def _timed(peer: Peer, index: int) -> float:
    began = time.perf_counter()
    result = peer.call(noop, index)
    seconds = time.perf_counter() - began
    _check(result, index)
    return seconds


def _warm_up(peer: Peer) -> None:
    """Have every worker up and used once, so that no start is in the figure."""
    peer.make_ready()
    peer.map(rest, [_REST_SECONDS] * (4 * peer.cores), 1)


def _check(found: Any, expected: Any) -> None:
    if found != expected:
        raise AssertionError("the results are not those of the tasks")


_MEASURES: dict[str, Callable[[Peer, Order], Answer]] = {
    "palettes": _measure_palettes,
    "map": _measure_map,
    "calls": _measure_calls,
    "roundtrip": _measure_roundtrip,
    "start": _measure_start,
}


if __name__ == "__main__":
    main()
