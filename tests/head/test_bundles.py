"""Bundles are as large as the measured duration allows, and small at a job's end."""

from __future__ import annotations

import pytest

from jupyter_cluster.head import bundles
from jupyter_cluster.head.bundles import bundle_seconds, bundle_size, fitting_until
from jupyter_cluster.head.job import Job, JobSpec
from jupyter_cluster.wire import Block

pytestmark = pytest.mark.unit


def job_of(count: int, mean: float | None = None, last_size: int = 5000) -> Job:
    job = Job(JobSpec(id="j", name="job", kind="map", client="c"), 0.0)
    job.add(0, count)
    job.last_size = last_size
    if mean is not None:
        job.durations.note(1, mean)
    return job


@pytest.mark.parametrize(
    ("job", "slots", "size"),
    [
        (job_of(1000), 2, 1),  # nothing measured yet
        (job_of(1_000_000, 1e-6), 2, 5000),  # the largest there is
        (job_of(1_000_000, 0.001), 2, 250),  # a quarter of a second
        (job_of(1000, 60.0), 2, 1),
        (job_of(100, 0.001), 10, 5),  # half of what is left, shared out
        (job_of(3, 0.001), 10, 1),  # the tail
        (job_of(1_000_000, 1e-6, last_size=1), 2, 8),  # grows step by step
        (job_of(1000, 0.001), 0, 250),  # no node is up: it will be sent all the same
    ],
)
def test_the_size_of_the_next_bundle(job: Job, slots: int, size: int) -> None:
    assert bundle_size(job, slots) == size


def test_the_time_a_bundle_takes_is_known_once_something_was_measured() -> None:
    assert bundle_seconds(job_of(10)) is None
    assert bundle_seconds(job_of(10, 0.001)) == 0.25
    assert bundle_seconds(job_of(10, 60.0)) == 60.0


def test_a_bundle_of_large_inputs_is_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bundles, "MAX_BUNDLE_BYTES", 10)
    small, large = Block.of(0, [b"1234", b"1234"]), Block.of(2, [b"1234", b"1" * 50])
    assert fitting_until([small]) == 2
    assert fitting_until([small, large]) == 2
    assert fitting_until([large]) == 3
    assert fitting_until([Block.of(7, [b"1" * 50])]) == 8  # a single task may be larger
