"""What the open jobs ask for, as the autoscaler sees it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from math import fsum, sqrt

from jupyter_cluster.head.job import Job
from jupyter_cluster.head.link import NodeLink
from jupyter_cluster.model import Demand
from jupyter_cluster.resources import Resources


def demands(jobs: Iterable[Job], links: Iterable[NodeLink], now: float) -> tuple[Demand, ...]:
    """Open tasks by shape, with the durations of all jobs of that shape.

    Parameters
    ----------
    now : float
        Monotonic clock, as `Outstanding.sent`.
    """
    rows: dict[Resources, _Row] = {}
    links = tuple(links)
    for job in jobs:
        rows.setdefault(job.shape, _Row()).add(job)
    _requeue_reclaimed(rows, links)
    _add_running({shape: row for shape, row in rows.items() if not row.finished}, links, now)
    return tuple(row.demand(shape) for shape, row in rows.items() if row.queued or row.running)


@dataclass
class _Row:
    queued: int = 0
    running: int = 0
    finished: int = 0
    running_seconds: float = 0.0
    measured: list[tuple[float, float, float]] = field(default_factory=list)

    def add(self, job: Job) -> None:
        if not job.pinned:  # no other node could take what waits for one
            self.queued += job.queued
        self.running += job.running
        self.finished += job.durations.count
        if job.durations.mean is not None:
            # What is still open says how long it will take; a job about to end says little.
            weight = max(1.0, job.queued + job.running)
            self.measured.append((weight, job.durations.mean, job.durations.spread))

    def demand(self, shape: Resources) -> Demand:
        total = fsum(weight for weight, _, _ in self.measured)
        mean = fsum(w * mean for w, mean, _ in self.measured) / total if total else None
        squares = fsum(w * (spread**2 + (m - (mean or 0)) ** 2) for w, m, spread in self.measured)
        return Demand(
            shape,
            self.queued,
            self.running,
            mean,
            sqrt(squares / total) if total else 0.0,
            self.finished,
            self.running_seconds,
        )


def _requeue_reclaimed(rows: dict[Resources, _Row], links: Iterable[NodeLink]) -> None:
    """What runs on nodes that will be taken back needs others, from now on."""
    for link in links:
        for bundle in link.bundles.values() if link.reclaimed else ():
            row = rows.get(bundle.shape)
            if row is not None:
                count = min(row.running, bundle.key[2] - bundle.key[1])
                row.running, row.queued = row.running - count, row.queued + count


def _add_running(rows: dict[Resources, _Row], links: Iterable[NodeLink], now: float) -> None:
    """How long tasks have run of which none has finished: all that is known of them."""
    if not rows:
        return
    for link in links:
        for bundle in link.bundles.values():
            if bundle.shape in rows:
                rows[bundle.shape].running_seconds += now - bundle.sent
