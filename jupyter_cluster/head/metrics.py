"""How each job goes over time: what the chart of images per second is drawn from."""

from __future__ import annotations

import time
from collections import deque
from dataclasses import astuple, dataclass
from itertools import islice
from typing import Any

from jupyter_cluster.head.dispatcher import Dispatcher
from jupyter_cluster.head.job import Job
from jupyter_cluster.head.jobs import Jobs
from jupyter_cluster.head.journal import Journal

SAMPLE_SECONDS = 1.0
# The rate at a moment is that of the last few seconds: a single second of a few tasks is noise.
WINDOW_SECONDS = 4.0


@dataclass(frozen=True, slots=True)
class Sample:
    """A job at one moment (Unix time)."""

    time: float
    done: int
    queued: int
    nodes: int
    slots: int


class Metrics:
    """Samples of every job while it has open tasks."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        self._samples: dict[str, deque[Sample]] = {}
        rows = journal.read("SELECT job, time, done, queued, nodes, slots FROM samples")
        for job, *values in rows:
            self._samples.setdefault(job, deque()).append(Sample(*values))

    def take(self, jobs: Jobs, dispatcher: Dispatcher) -> None:
        """Sample all jobs that are under way."""
        for job in jobs.by_id.values():
            if job.finished is None:
                self.sample(job, dispatcher)
        for gone in self._samples.keys() - jobs.by_id.keys():
            del self._samples[gone]

    def sample(self, job: Job, dispatcher: Dispatcher) -> None:
        """Sample one job: every second, and when it begins and ends."""
        if job.spec.kind == "put":
            return
        ready = [link for link in dispatcher.nodes.values() if link.lost_since is None]
        slots = sum(link.slots_for(job.shape) for link in ready)
        info = job.info()
        done = info.done + info.failed
        sample = Sample(job.finished or time.time(), done, info.queued, len(ready), slots)
        samples = self._samples.setdefault(job.id, deque())
        if len(samples) > 1 and samples[-1].done == samples[-2].done == done == info.total:
            return  # an open job of calls that rests
        samples.append(sample)
        self._journal.execute(
            "INSERT INTO samples VALUES (?, ?, ?, ?, ?, ?)", job.id, *astuple(sample)
        )

    def series(self, job: Job) -> list[dict[str, Any]]:
        """Rate over seconds since the job was submitted, with nodes and slots."""
        window: deque[Sample] = deque()
        rows = []
        for sample in self._samples.get(job.id, ()):
            window.append(sample)
            while len(window) > 2 and sample.time - window[1].time >= WINDOW_SECONDS:
                window.popleft()
            rows.append(
                {
                    "t": round(sample.time - job.submitted, 3),
                    f"{job.spec.unit}s_per_second": _rate(window[0], sample),
                    "done": sample.done,
                    "queued": sample.queued,
                    "nodes": sample.nodes,
                    "slots": sample.slots,
                }
            )
        return rows

    def rate(self, job: Job) -> float:
        """The newest rate of the series, in units per second; 0 where there is none.

        It is part of every status: it looks back no further than the window.
        """
        samples = self._samples.get(job.id)
        if not samples:
            return 0.0
        newest = earlier = samples[-1]
        for earlier in islice(reversed(samples), 1, None):
            if newest.time - earlier.time >= WINDOW_SECONDS:
                break
        return _rate(earlier, newest)


def _rate(earlier: Sample, later: Sample) -> float:
    elapsed = later.time - earlier.time  # 0 where the job begins
    return round((later.done - earlier.done) / elapsed, 3) if elapsed > 0 else 0.0
