"""The price of what each planner would launch, over a lower bound: 20 shapes, 10 EC2 types."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from benchmarks.autoscaling.cases import mixed_case
from benchmarks.autoscaling.peers import make
from jupyter_cluster.autoscaler import plan
from jupyter_cluster.model import Snapshot


@dataclass(frozen=True)
class Price:
    """One launch set.

    Attributes
    ----------
    cost, bound : float
        USD per hour. The bound is the same for all planners; it is below the best possible.
    unplaced : int
        Tasks that a node type could hold but that got no node: then the cost is that of less work,
        and `ratio` says nothing.
    seconds : float
        Planning time.
    """

    peer: str
    seed: int
    cost: float
    bound: float
    unplaced: int
    seconds: float

    @property
    def ratio(self) -> float:
        """Cost over bound, at least 1."""
        return self.cost / self.bound

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {**asdict(self), "ratio": self.ratio}


def price_all(peers: Sequence[str], seeds: int) -> Iterator[Price]:
    """Every planner on every case, in turn."""
    for seed in range(seeds):
        case = mixed_case(seed)
        bound, infeasible = plan(case).bound, _infeasible(case)
        for peer in peers:
            # Ray's planners remember, and this case has nothing to do with the one before.
            run = make(peer).prepare(case)
            began = time.perf_counter()
            found = run()
            seconds = time.perf_counter() - began
            cost = found.cost(case.node_types)
            yield Price(peer, seed, cost, bound, found.unplaced - infeasible, seconds)


def _infeasible(case: Snapshot) -> int:
    """Tasks that no type can hold: no planner places them and the bound leaves them out."""
    sizes = [node_type.resources for node_type in case.node_types.values()]
    return sum(d.queued for d in case.demands if not any(d.shape.fits(size) for size in sizes))
