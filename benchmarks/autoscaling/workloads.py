"""What is simulated: work, node types and limits.

The seed decides what is random: durations and boot times in all of them, in `bursts` also when
bursts come and in `mixed` the shapes.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from benchmarks.autoscaling.cases import ec2_types, mixed_case
from jupyter_cluster.model import Limits, NodeType
from jupyter_cluster.resources import Resources
from jupyter_cluster.simulator import Batch, Fixed, LogNormal, Stragglers

IDLE_TIMEOUT = 300.0
ONE_CPU = Resources.of(CPU=1)
# The seed's cluster: at most 30 nodes of 16 vCPUs, on demand in us-east-1.
SEED_TYPE, SEED_CPUS, SEED_PRICE, SEED_NODES = "m5.4xlarge", 16, 0.768, 30
HOUR = 3600.0


@dataclass(frozen=True)
class Workload:
    """A cluster and the work for it.

    Attributes
    ----------
    group : str
        The name under which it is chosen on the command line.
    work : callable
        The batches for a seed.
    optimum : float or None
        Seconds that a fluid of tasks takes if all nodes are requested at once; None where the
        arrivals leave no such figure.
    """

    name: str
    group: str
    title: str
    node_types: dict[str, NodeType]
    max_workers: int
    work: Callable[[int], tuple[Batch, ...]]
    optimum: float | None = None

    def limits(self, idle_timeout: float | None) -> Limits:
        """Its limits, with an idle time-out in seconds or None for ``auto``."""
        return Limits(self.max_workers, idle_timeout=idle_timeout)


def _seed_types(boot_seconds: float = 90.0) -> dict[str, NodeType]:
    node_type = NodeType(
        SEED_TYPE,
        Resources.of(CPU=SEED_CPUS),
        max_workers=SEED_NODES,
        price=SEED_PRICE,
        boot_seconds=boot_seconds,
    )
    return {SEED_TYPE: node_type}


def _seed_job(boot_seconds: float) -> Workload:
    count, seconds = 134_000, 0.4
    return Workload(
        f"seed-{boot_seconds:.0f}",
        "seed",
        f"134,000 tasks of 0.4 s, boot {boot_seconds:.0f} s",
        _seed_types(boot_seconds),
        SEED_NODES,
        lambda seed: (Batch(0.0, count, ONE_CPU, Fixed(seconds)),),
        optimum=boot_seconds + count * seconds / (SEED_NODES * SEED_CPUS),
    )


def _on_seed_cluster(name: str, title: str, work: Callable[[int], tuple[Batch, ...]]) -> Workload:
    return Workload(name, name, title, _seed_types(), SEED_NODES, work)


def _two_jobs(seed: int) -> tuple[Batch, ...]:
    return tuple(Batch(at, 40_000, ONE_CPU, Fixed(0.4)) for at in (0.0, 240.0))


def _bursts(seed: int) -> tuple[Batch, ...]:
    """An hour of them, one in three minutes on average."""
    draw = random.Random(seed)
    return tuple(
        Batch(at, draw.randint(200, 2000), ONE_CPU, LogNormal(draw.uniform(1, 5), 0.2))
        for at in _poisson(draw, mean_gap=180.0, until=HOUR)
    )


def _poisson(draw: random.Random, mean_gap: float, until: float) -> Iterator[float]:
    # The first comes at once, so that no run begins with a wait that says nothing.
    at = 0.0
    while at < until:
        yield at
        at += draw.expovariate(1 / mean_gap)


def _stragglers(seed: int) -> tuple[Batch, ...]:
    return (Batch(0.0, 20_000, ONE_CPU, Stragglers(2.0, share=0.01, factor=50)),)


def _mixed(seed: int) -> tuple[Batch, ...]:
    """Twenty random shapes, each of which comes at some moment of ten minutes.

    A shape that no type can hold is left out: nobody could run it.
    """
    draw = random.Random(seed)
    case = mixed_case(seed)
    sizes = [node_type.resources for node_type in case.node_types.values()]
    return tuple(
        Batch(draw.uniform(0, 600), row.queued, row.shape, LogNormal(draw.uniform(20, 120), 0.3))
        for row in case.demands
        if any(row.shape.fits(size) for size in sizes)
    )


WORKLOADS = {
    workload.name: workload
    for workload in (
        *(_seed_job(boot_seconds) for boot_seconds in (60.0, 90.0, 120.0)),
        _on_seed_cluster("jobs", "two jobs of 40,000 × 0.4 s, 4 min apart", _two_jobs),
        _on_seed_cluster("bursts", "an hour of Poisson bursts, 200 to 2,000 × 1 to 5 s", _bursts),
        _on_seed_cluster("stragglers", "20,000 × 2 s, 1 % take 50 × longer", _stragglers),
        Workload("mixed", "mixed", "20 CPU, GPU and memory shapes, 10 EC2 types",
                 ec2_types(200), 200, _mixed),
    )
}  # fmt: skip
