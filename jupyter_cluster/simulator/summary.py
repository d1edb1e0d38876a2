"""From what was written down to the figures of a result."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from math import fsum

from jupyter_cluster.simulator.bounds import least_cost, least_seconds
from jupyter_cluster.simulator.cluster import Cluster
from jupyter_cluster.simulator.record import weighted_quantile
from jupyter_cluster.simulator.result import Result, Waits
from jupyter_cluster.simulator.work import Batch, Row, first_arrival


def summarise(cluster: Cluster, work: Sequence[Batch], rounds: int) -> Result:
    """The figures of a simulation that has ended."""
    now, record, fleet = cluster.timeline.now, cluster.record, cluster.fleet
    wasted = [machine for machine in fleet.gone if not machine.has_worked]
    tasks = sum(batch.count for batch in work)
    hours = defaultdict[str, float](float)
    launched = Counter[str]()
    for machine in fleet.all:
        hours[machine.type.name] += fleet.seconds(machine, now) / 3600
        launched[machine.type.name] += 1
    return Result(
        makespan=max(0.0, record.last_end - first_arrival(work)),
        cost=fsum(fleet.cost(machine, now) for machine in fleet.all),
        node_hours=dict(sorted(hours.items())),
        launched=launched.total(),
        launched_by_type=dict(sorted(launched.items())),
        wasted_boots=len(wasted),
        wasted_cost=fsum(fleet.cost(machine, now) for machine in wasted),
        waits=_waits(record.waits),
        idle_cost=fsum(fleet.cost_after(machine, record.last_end, now) for machine in fleet.all),
        busy=_busy(cluster),
        bound_seconds=_bound_seconds(cluster, work),
        bound_cost=least_cost(cluster.queue.drawn, cluster.offered),
        tasks=tasks,
        done=record.done,
        unfinished=tasks - record.done,
        why_unfinished=_why_unfinished(cluster),
        lost=record.lost,
        last_end=record.last_end,
        end=now,
        rounds=rounds,
        series=tuple(record.series),
        events=tuple(record.events),
    )


def _waits(rows: Sequence[Row]) -> Waits:
    count = sum(row.tasks for row in rows)
    if not count:
        return Waits()
    return Waits(
        mean=fsum(row.seconds * row.tasks for row in rows) / count,
        median=weighted_quantile(rows, 0.5),
        p95=weighted_quantile(rows, 0.95),
        maximum=max(row.seconds for row in rows),
    )


def _busy(cluster: Cluster) -> float:
    """The used share of the resource that was used most."""
    used, paid = defaultdict[str, float](float), defaultdict[str, float](float)
    for shape, measured in cluster.measured.items():
        for name, units in shape:
            used[name] += units * measured.occupied_until(cluster.timeline.now)
    for machine in cluster.fleet.all:
        for name, units in machine.type.resources:
            paid[name] += units * cluster.fleet.seconds(machine, cluster.timeline.now)
    return max((used[name] / paid[name] for name in used if paid[name]), default=0.0)


def _bound_seconds(cluster: Cluster, work: Sequence[Batch]) -> float:
    """The bound on the makespan: it counts from the first arrival."""
    types, limits = cluster.offered, cluster.limits
    begin = first_arrival(work)
    is_held = any(one.min_workers for one in types.values()) or bool(cluster.requests)
    boots = {
        name: cluster.fleet.boots(one, min(one.max_workers, limits.max_workers))
        for name, one in types.items()
    }
    asked = 0.0 if is_held else begin
    end = least_seconds(cluster.queue.drawn, types, limits, boots, asked)
    return max(0.0, end - begin)


def _why_unfinished(cluster: Cluster) -> tuple[str, ...]:
    """A sentence for each reason why tasks are left."""
    left = {shape: n for shape, n in cluster.queue.count.items() if shape not in cluster.infeasible}
    reasons = [cluster.infeasible[s] for s in cluster.queue.count if s in cluster.infeasible]
    if left:
        shapes = ", ".join(f"{n:,} of {shape}" for shape, n in left.items())
        reasons.append(f"still queued after {cluster.timeline.now:,.0f} s: {shapes}")
    if cluster.has_running:
        running = sum(known.running for known in cluster.measured.values())
        reasons.append(f"still running after {cluster.timeline.now:,.0f} s: {running:,}")
    return tuple(reasons)
