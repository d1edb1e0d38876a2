"""How the cluster as a whole goes over time: rate, nodes, queue, cost."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterable
from dataclasses import asdict, astuple, dataclass
from typing import Any

from jupyter_cluster.head.fleet import Fleet
from jupyter_cluster.head.jobs import Jobs
from jupyter_cluster.head.journal import Journal
from jupyter_cluster.head.metrics import WINDOW_SECONDS
from jupyter_cluster.model import NodeState

# Samples of the last hour are kept as they are, of older ones every tenth, for at most two days.
FINE_SAMPLES, COARSE, COARSE_SAMPLES = 3600, 10, 17_280


@dataclass(frozen=True, slots=True)
class ClusterSample:
    """The cluster at one moment (Unix time).

    Attributes
    ----------
    done : int
        Tasks that have ended, well or not, since the cluster was created.
    rate : float
        Tasks a second over the last few seconds.
    ready, pending, ending : int
        Nodes by what they are good for.
    slots, busy : int
        Bundles and cells that run, and the CPUs of the nodes that are up.
    cost, per_hour : float
        USD so far, and per hour now.
    """

    time: float
    done: int
    rate: float
    queued: int
    running: int
    ready: int
    pending: int
    ending: int
    cpus: float
    busy: int
    cost: float
    per_hour: float

    def is_like(self, other: ClusterSample) -> bool:
        """Whether nothing has happened between the two."""
        mine, theirs = astuple(self), astuple(other)
        return mine[1:-2] == theirs[1:-2] and self.per_hour == other.per_hour


class ClusterMetrics:
    """Samples of the cluster, one a second while something happens."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        self._coarse: deque[ClusterSample] = deque(maxlen=COARSE_SAMPLES)
        self._fine: deque[ClusterSample] = deque()
        self._taken = 0
        self._window: deque[tuple[float, int]] = deque()
        rows = journal.read("SELECT * FROM cluster_samples ORDER BY time")
        for row in rows:
            self._keep(ClusterSample(*row))

    def take(self, jobs: Jobs, fleet: Fleet, busy: int, cpus: float) -> None:
        """Sample the cluster."""
        now, cost = time.time(), fleet.cost()
        done = jobs.worked_off
        self._window.append((now, done))
        while len(self._window) > 2 and now - self._window[1][0] >= WINDOW_SECONDS:
            self._window.popleft()
        began, before = self._window[0]
        states = [member.state for member in fleet.alive]
        sample = ClusterSample(
            time=now,
            done=done,
            rate=round((done - before) / (now - began), 3) if now > began else 0.0,
            queued=sum(job.queued for job in jobs.active),
            running=sum(job.running for job in jobs.active),
            ready=states.count(NodeState.READY),
            pending=sum(state.is_pending for state in states),
            ending=states.count(NodeState.DRAINING),
            cpus=cpus,
            busy=busy,
            cost=cost["so_far"],
            per_hour=cost["per_hour"],
        )
        fine = self._fine
        if len(fine) > 1 and sample.is_like(fine[-1]) and sample.is_like(fine[-2]):
            self._replace_newest(sample)
            return
        self._keep(sample)
        self._write(sample)

    def _replace_newest(self, sample: ClusterSample) -> None:
        """Nothing happens: the newest sample moves on with the time."""
        self._fine[-1] = sample

    def _keep(self, sample: ClusterSample) -> None:
        self._fine.append(sample)
        if len(self._fine) > FINE_SAMPLES:
            old = self._fine.popleft()
            if self._taken % COARSE == 0:
                self._coarse.append(old)
            self._taken += 1

    def _write(self, sample: ClusterSample) -> None:
        marks = ", ".join("?" * len(astuple(sample)))
        self._journal.execute(f"INSERT INTO cluster_samples VALUES ({marks})", *astuple(sample))

    def since(self, moment: float) -> Iterable[dict[str, Any]]:
        """Samples after a moment, oldest first."""
        newer = [sample for sample in self._fine if sample.time > moment]
        older: list[ClusterSample] = []
        if len(newer) == len(self._fine):
            older = [sample for sample in self._coarse if sample.time > moment]
        return [asdict(sample) for sample in (*older, *newer)]
