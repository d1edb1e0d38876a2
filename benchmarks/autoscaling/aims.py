"""What the autoscaler is to reach, and whether it does."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

from benchmarks.autoscaling.launch_sets import Price
from benchmarks.autoscaling.peers import OURS, RAY
from benchmarks.autoscaling.planning import Timing
from benchmarks.autoscaling.simulations import Outcome
from benchmarks.autoscaling.workloads import WORKLOADS
from benchmarks.report import MET, MISSED, OPEN, median_or_none, show

# Boot times and durations are drawn, so that equal planners differ by about this much.
NOISE = 0.01
# What counts as clearly better than the better of Ray's two.
CLEARLY = 0.95
OVER_OPTIMUM = 1.03
# Cost over bound, and the seconds within which it is to be reached.
RATIOS = ((1.05, 0.050), (1.03, 0.200))
LARGEST_PLAN, LARGEST_PLAN_SECONDS = (1_000_000, 1_000), 0.010


@dataclass(frozen=True)
class Verdict:
    """What became of an aim.

    Attributes
    ----------
    measured : float or None
        None where it was not measured.
    most : float
        The aim is reached up to this.
    """

    aim: str
    measured: float | None
    most: float
    unit: str = ""

    @property
    def state(self) -> str:
        """``met``, ``missed`` or ``not measured``."""
        if self.measured is None:
            return OPEN
        return MET if self.measured <= self.most else MISSED

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {**vars(self), "state": self.state}


def judge_workloads(outcomes: Sequence[Outcome]) -> list[Verdict]:
    """For each workload: nothing undone, no worse than Ray, clearly better in one respect."""
    names = dict.fromkeys(outcome.workload for outcome in outcomes)
    return [verdict for name in names for verdict in _judge_workload(name, outcomes)]


def _judge_workload(name: str, outcomes: Sequence[Outcome]) -> list[Verdict]:
    ours = [s for s in outcomes if s.workload == name and s.peer == OURS]
    makespan = ratio_to_ray(name, outcomes, "makespan")
    cost = ratio_to_ray(name, outcomes, "cost")
    best = None if makespan is None or cost is None else min(makespan, cost)
    undone = sum(s.unfinished for s in ours) if ours else None
    return [
        Verdict(f"{name}: tasks left undone", undone, 0),
        Verdict(f"{name}: makespan ÷ the better of Ray's two", makespan, 1 + NOISE),
        Verdict(f"{name}: cost ÷ the better of Ray's two", cost, 1 + NOISE),
        Verdict(f"{name}: the smaller of both, clearly better", best, CLEARLY),
        *_judge_optimum(name, ours),
    ]


def _judge_optimum(name: str, ours: Sequence[Outcome]) -> list[Verdict]:
    optimum = WORKLOADS[name].optimum
    if optimum is None:
        return []
    over = median_or_none([outcome.makespan / optimum for outcome in ours])
    return [Verdict(f"{name}: makespan ÷ fluid optimum of {optimum:.0f} s", over, OVER_OPTIMUM)]


def ratio_to_ray(
    workload: str, outcomes: Iterable[Outcome], figure: str, peer: str = OURS
) -> float | None:
    """Ours over the better of Ray's planners with the same seed: the median over the seeds.

    None unless both of Ray's were measured. A run of Ray's that leaves tasks undone is no peer in
    that seed.

    Parameters
    ----------
    figure : str
        ``makespan`` or ``cost``.
    peer : str
        Which of ours.
    """
    runs = {(s.seed, s.peer): s for s in outcomes if s.workload == workload}
    seeds = [seed for seed, name in runs if name == peer]
    pairs = [(runs[seed, peer], [runs.get((seed, ray)) for ray in RAY]) for seed in seeds]
    ratios = []
    for ours, theirs in pairs:
        measured = [getattr(run, figure) for run in theirs if run and not run.unfinished]
        if None not in theirs and measured:
            ratios.append(getattr(ours, figure) / min(measured))
    return median_or_none(ratios)


def judge_launch_sets(prices: Sequence[Price]) -> list[Verdict]:
    """Cost over bound within time."""
    ours = [price for price in prices if price.peer == OURS]
    if not ours:
        return []
    ratio = median(price.ratio for price in ours)
    seconds = median(price.seconds for price in ours)
    verdicts = [Verdict("launch sets: tasks without a node", sum(p.unplaced for p in ours), 0)]
    for most, within in RATIOS:
        # A ratio that took too long is not the ratio that was asked for.
        in_time = ratio if seconds <= within else None
        name = f"launch sets: cost ÷ bound within {show(1000 * within)} ms"
        verdicts.append(Verdict(name, in_time if in_time is not None else float("inf"), most))
    return verdicts


def judge_planning(timings: Sequence[Timing]) -> list[Verdict]:
    """The largest plan."""
    if not timings:
        return []
    tasks, nodes = LARGEST_PLAN
    seconds = [
        t.seconds
        for t in timings
        if t.peer == OURS and (t.tasks, t.nodes) == LARGEST_PLAN and t.seconds is not None
    ]
    found = median_or_none([1000 * s for s in seconds])
    return [
        Verdict(
            f"planning {tasks:,} tasks on {nodes:,} nodes", found, 1000 * LARGEST_PLAN_SECONDS, "ms"
        )
    ]
