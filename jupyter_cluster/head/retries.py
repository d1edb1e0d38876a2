"""Which tasks are run again, and what becomes of those that are given up.

System failures (a process that died, too much memory) are retried, since the function may not be
to blame. Its own exceptions (all, or those that the slot finds named), and running into its own
timeout, are retried only where asked for.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from jupyter_cluster.errors import (
    TaskCrashedError,
    TaskError,
    TaskMemoryError,
    TaskTimeoutError,
)
from jupyter_cluster.head.job import Job
from jupyter_cluster.head.results import Results
from jupyter_cluster.raised import dump_error
from jupyter_cluster.wire import Block, Status

_RETURNED = bytes([Status.OK, Status.STORED])
_ERRORS: dict[Status, type[TaskError]] = {
    Status.CRASHED: TaskCrashedError,
    Status.MEMORY: TaskMemoryError,
    Status.TIMEOUT: TaskTimeoutError,
}


@dataclass
class Verdict:
    """What is final of some results, and what the diary should say about the rest."""

    final: list[Results] = field(default_factory=list)
    notes: list[tuple[str, str]] = field(default_factory=list)


def judge(job: Job, results: Results, attempt: int) -> Verdict:
    """Queue again what is retried of these results; the rest is final."""
    verdict = Verdict()
    if not results.statuses.strip(_RETURNED):
        verdict.final.append(results)
        return verdict
    at = results.block.start
    for position, status in enumerate(results.statuses, results.block.start):
        if status in _RETURNED:
            continue
        if position > at:
            verdict.final.append(results.cut(at, position))
        _judge_failure(job, results.cut(position, position + 1), attempt, verdict)
        at = position + 1
    if at < results.block.stop:
        verdict.final.append(results.cut(at, results.block.stop))
    return verdict


def _judge_failure(job: Job, result: Results, attempt: int, verdict: Verdict) -> None:
    index, status = result.block.start, Status(result.statuses[0])
    if status is Status.CANCELLED:
        verdict.final.append(result)
        return
    if status is Status.FINAL:
        error = bytes([Status.ERROR])
        verdict.final.append(Results(result.job, result.node, error, result.block))
        return
    tries = job.failures[index] = job.failures.get(index, 0) + 1
    if tries <= job.spec.max_retries and _is_retried(job, status):
        job.requeue(index, index + 1, attempt + 1)
        if status.is_system_failure:
            reason = f"{_reason(result).splitlines()[0]}; retry {tries} of {job.spec.max_retries}"
            text = f"task {index} of {job.spec.name!r} on {result.node}: {reason}"
            verdict.notes.append(("warning", text))
    elif status is Status.ERROR:
        verdict.final.append(result)
    else:
        verdict.final.append(_given_up(job, result, status, tries, verdict))


def _is_retried(job: Job, status: Status) -> bool:
    if status is Status.ERROR:
        return job.spec.retry_exceptions
    return status is not Status.TIMEOUT or job.spec.retry_timeouts


def _given_up(job: Job, result: Results, status: Status, tries: int, verdict: Verdict) -> Results:
    index, name = result.block.start, job.spec.name
    again = f", {tries} times in all; it is given up as poison" if tries > 1 else ""
    text = f"{job.task_name(index)} failed on node {result.node}{again}: {_reason(result)}"
    verdict.notes.append(("error", text.splitlines()[0]))
    error = _ERRORS[status](text, name, index, result.node)
    block = Block.of(index, [dump_error(error)])
    return Results(job.id, result.node, bytes([Status.ERROR]), block)


def _reason(result: Results) -> str:
    return bytes(result.block.item(result.block.start)).decode(errors="replace")
