"""How long planners plan: from 100 to 1,000,000 tasks, on an empty cluster and on 1,000 nodes.

Each planner has a process of its own, that is ended when a plan takes too long; they take turns.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from multiprocessing import get_context
from multiprocessing.connection import Connection
from typing import Any

from benchmarks.autoscaling.cases import GB, ec2_types
from benchmarks.autoscaling.peers import OURS, RAY_V1, RAY_V2, make
from jupyter_cluster.model import Demand, Limits, Node, NodeState, Snapshot
from jupyter_cluster.resources import Resources

COUNTS = (100, 1_000, 10_000, 100_000, 1_000_000)
NODES = (0, 1_000)
MAX_WORKERS = 10_000
# What the live loop calls each round: the plan, and beyond it the forecast, ends and reasons.
OUR_POLICY = "ours, whole policy"
PLANNERS = (OURS, OUR_POLICY, RAY_V1, RAY_V2)
SHAPES = (
    Resources.of(CPU=1),
    Resources.of(CPU=2, memory=8 * GB),
    Resources.of(CPU=4, memory=16 * GB, GPU=1),
)
# Until a planner's process has built a case; no part of what is measured.
_BUILD_SECONDS = 300.0


@dataclass(frozen=True)
class Timing:
    """One plan.

    Attributes
    ----------
    seconds : float or None
        None where it took longer than the limit and was stopped.
    """

    peer: str
    tasks: int
    nodes: int
    round: int
    seconds: float | None

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)


def case(tasks: int, nodes: int) -> Snapshot:
    """Three shapes in equal parts, and nodes of ten types in turn, up and free."""
    types = ec2_types(MAX_WORKERS)
    names = sorted(types)
    parts = [tasks // 3 + (index < tasks % 3) for index in range(3)]
    return Snapshot(
        now=1000.0,
        node_types=types,
        limits=Limits(MAX_WORKERS),
        nodes=tuple(_node(index, types[names[index % 10]]) for index in range(nodes)),
        demands=tuple(Demand(shape, n) for shape, n in zip(SHAPES, parts, strict=True)),
    )


def _node(index: int, node_type: Any) -> Node:
    size = node_type.resources
    return Node(f"n{index}", node_type.name, NodeState.READY, size, size, 0.0, idle_since=990.0)


def time_all(
    peers: Sequence[str], counts: Sequence[int], rounds: int, limit: float
) -> Iterator[Timing]:
    """Measure round by round; who took longer than the limit is not given more tasks."""
    given_up: dict[tuple[str, int], int] = {}
    workers = {peer: _Worker(peer, limit) for peer in peers}
    try:
        for number in range(rounds):
            for nodes in NODES:
                for tasks in counts:
                    for peer in peers:
                        if tasks >= given_up.get((peer, nodes), tasks + 1):
                            continue
                        seconds = workers[peer].measure(tasks, nodes)
                        if seconds is None:
                            given_up[peer, nodes] = tasks
                        yield Timing(peer, tasks, nodes, number, seconds)
    finally:
        for worker in workers.values():
            worker.stop()


class _Worker:
    """A process that plans; a new one follows on one that had to be ended."""

    def __init__(self, peer: str, limit: float) -> None:
        self._peer, self._limit = peer, limit
        self._process: Any = None

    def measure(self, tasks: int, nodes: int) -> float | None:
        """Seconds of one plan; None over the limit."""
        if self._process is None:
            self._start()
        self._pipe.send((tasks, nodes))
        self._receive(_BUILD_SECONDS)
        if not self._pipe.poll(self._limit):
            self.stop()
            return None
        seconds: float = self._receive(0)
        return seconds if seconds <= self._limit else None

    def stop(self) -> None:
        """End the process."""
        if self._process is not None:
            self._process.kill()
            self._process.join()
            self._pipe.close()
            self._process = None

    def _start(self) -> None:
        context = get_context("spawn")
        self._pipe, theirs = context.Pipe()
        self._process = context.Process(
            target=_plan_on_demand, args=(theirs, self._peer), daemon=True
        )
        self._process.start()
        theirs.close()

    def _receive(self, patience: float) -> Any:
        if not self._pipe.poll(patience):
            raise TimeoutError(f"{self._peer}: building a case took over {patience:.0f} s")
        return self._pipe.recv()


def _plan_on_demand(pipe: Connection, peer: str) -> None:
    """In the process: build a case, say so, plan, say how long it took."""
    while True:
        try:
            snapshot = case(*pipe.recv())
        except EOFError:
            return
        run = _prepared(peer, snapshot)
        pipe.send(None)
        began = time.perf_counter()
        run()
        pipe.send(time.perf_counter() - began)


def _prepared(peer: str, snapshot: Snapshot) -> Any:
    if peer == OUR_POLICY:
        policy = make(OURS)
        return lambda: policy(snapshot)
    return make(peer).prepare(snapshot)
