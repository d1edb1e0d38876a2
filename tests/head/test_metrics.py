"""The rate in the status is the newest of the chart, and costs little however long a job runs."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jupyter_cluster.head.job import Job, JobSpec
from jupyter_cluster.head.journal import Journal
from jupyter_cluster.head.metrics import Metrics

pytestmark = pytest.mark.unit

START = 1000.0


def with_samples(
    samples: Iterable[tuple[float, int]], check: Callable[[Metrics, Job], None]
) -> None:
    """Check the metrics of a job that was sampled at these times with these numbers done."""

    async def main(folder: str) -> None:
        journal = Journal(Path(folder) / "j.sqlite", asyncio.get_running_loop())
        rows = [("INSERT INTO samples VALUES ('j', ?, ?, 0, 1, 1)", pair) for pair in samples]
        journal.write(rows)
        await journal.flushed()
        check(Metrics(journal), Job(JobSpec(id="j", name="j", kind="map", client="c"), START))
        journal.close()

    with TemporaryDirectory() as folder:
        asyncio.run(main(folder))


@given(st.lists(st.tuples(st.floats(0, 6), st.integers(0, 50)), max_size=12))
def test_the_rate_is_the_newest_of_the_series(steps: list[tuple[float, int]]) -> None:
    at, done, samples = START, 0, []
    for seconds, count in steps:
        at, done = at + seconds, done + count
        samples.append((at, done))

    def check(metrics: Metrics, job: Job) -> None:
        series = metrics.series(job)
        assert metrics.rate(job) == (series[-1]["tasks_per_second"] if series else 0)

    with_samples(samples, check)


def test_the_rate_is_that_of_the_last_seconds() -> None:
    samples = [(START + second, 10 * second) for second in range(10)]
    samples += [(START + 9 + second, 90 + 100 * second) for second in range(1, 5)]

    def check(metrics: Metrics, job: Job) -> None:
        assert metrics.rate(job) == 100

    with_samples(samples, check)


def test_the_rate_of_a_long_job_does_not_cost_its_whole_series() -> None:
    def check(metrics: Metrics, job: Job) -> None:
        began = time.perf_counter()
        metrics.series(job)
        series = time.perf_counter() - began
        for _ in range(100):
            metrics.rate(job)
        assert time.perf_counter() - began - series < series

    with_samples(((START + second, second) for second in range(20_000)), check)
