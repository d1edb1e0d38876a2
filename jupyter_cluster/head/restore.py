"""Jobs as a head before this one has left them in the journal."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from jupyter_cluster.head.job import Job, JobSpec
from jupyter_cluster.head.journal import Journal

if TYPE_CHECKING:
    from jupyter_cluster.head.jobs import Jobs


def restore(jobs: Jobs, journal: Journal) -> int:
    """Take all jobs up again; returns how many tasks are still to be run."""
    rows = journal.read(
        "SELECT spec, sealed, submitted, finished, cancelled, note FROM jobs ORDER BY submitted"
    )
    for spec, sealed, submitted, finished, cancelled, note in rows:
        job = Job(JobSpec(**json.loads(spec)), submitted)
        job.sealed, job.finished, job.note = bool(sealed), finished, note
        _restore_tasks(job, jobs, journal)
        job.cancelled = bool(cancelled)
        jobs.by_id[job.id] = job
        jobs.code.use(job.spec)
    jobs.code.drop_unused()
    for job in jobs.by_id.values():
        jobs.resume(job)
    return sum(job.unfinished for job in jobs.by_id.values())


def _restore_tasks(job: Job, jobs: Jobs, journal: Journal) -> None:
    if job.spec.kind == "put":
        for start, count in journal.read(
            "SELECT start, count FROM results WHERE job = ? ORDER BY start", job.id
        ):
            job.add(start, count)
    for start, ends, refs in journal.read(
        "SELECT start, ends, refs FROM inputs WHERE job = ? ORDER BY start", job.id
    ):
        job.add(start, len(ends) // 8)
        job.refs |= {int(index): keys for index, keys in json.loads(refs or "{}").items()}
    for start, statuses in journal.read(
        "SELECT start, statuses FROM results WHERE job = ? ORDER BY number", job.id
    ):
        jobs.mark(job, start, statuses)
