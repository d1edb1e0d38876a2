"""Runs every planner through every workload, in the simulator."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from multiprocessing import get_context
from typing import Any

from benchmarks.autoscaling.peers import OURS_AUTO, RAY, make
from benchmarks.autoscaling.workloads import IDLE_TIMEOUT, WORKLOADS
from jupyter_cluster.simulator import Cloud, Result, Sample, simulate

# AUTOSCALER_UPDATE_INTERVAL_S in Ray's constants; its loop knows no other occasion.
RAY_EVERY = 5.0
OUR_EVERY = 1.0


@dataclass(frozen=True)
class Order:
    """One run.

    Attributes
    ----------
    upscaling_speed : float
        Of Ray's planners.
    """

    workload: str
    peer: str
    seed: int
    upscaling_speed: float = 1.0


@dataclass(frozen=True)
class Outcome:
    """What came out of one run.

    Attributes
    ----------
    makespan, bound_seconds : float
        Seconds from the first arrival to the end of the last task, and the least possible.
    cost, bound_cost : float
        USD of all workers until the last one has ended, and the least possible.
    unfinished : int
        Tasks that never ran.
    real_seconds : float
        How long the simulation took; nearly all of it is the planner.
    series : tuple of Sample
        The cluster over time.
    """

    workload: str
    peer: str
    seed: int
    makespan: float
    cost: float
    bound_seconds: float
    bound_cost: float
    launched: int
    wasted_boots: int
    median_wait: float
    unfinished: int
    real_seconds: float
    series: tuple[Sample, ...]

    def as_dict(self) -> dict[str, Any]:
        """For JSON, without the series."""
        return {name: value for name, value in vars(self).items() if name != "series"}


def orders(
    workloads: Sequence[str], peers: Sequence[str], seeds: int, upscaling_speed: float
) -> list[Order]:
    """Every planner on every workload with every seed."""
    return [
        Order(workload, peer, seed, upscaling_speed)
        for seed in range(seeds)
        for workload in workloads
        for peer in peers
    ]


def run_all(wanted: Sequence[Order], processes: int) -> Iterator[Outcome]:
    """Run them, several at once: nothing here depends on how fast the machine is."""
    # Not forked: Ray's threads would not come along.
    with ProcessPoolExecutor(processes, mp_context=get_context("spawn")) as pool:
        futures = [pool.submit(run, order) for order in wanted]
        try:
            for future in as_completed(futures):
                yield future.result()
        finally:
            pool.shutdown(cancel_futures=True)


def run(order: Order) -> Outcome:
    """Run one of them here."""
    workload = WORKLOADS[order.workload]
    is_ray = order.peer in RAY
    began = time.perf_counter()
    result = simulate(
        workload.node_types,
        workload.limits(None if order.peer == OURS_AUTO else IDLE_TIMEOUT),
        workload.work(order.seed),
        cloud=Cloud(boot_spread=0.1),
        planner=make(order.peer, order.upscaling_speed),
        every=RAY_EVERY if is_ray else OUR_EVERY,
        on_change=not is_ray,
        seed=order.seed,
    )
    return _outcome(order, result, time.perf_counter() - began)


def _outcome(order: Order, result: Result, real_seconds: float) -> Outcome:
    return Outcome(
        workload=order.workload,
        peer=order.peer,
        seed=order.seed,
        makespan=result.makespan,
        cost=result.cost,
        bound_seconds=result.bound_seconds,
        bound_cost=result.bound_cost,
        launched=result.launched,
        wasted_boots=result.wasted_boots,
        median_wait=result.waits.median,
        unfinished=result.unfinished,
        real_seconds=real_seconds,
        series=result.series,
    )
