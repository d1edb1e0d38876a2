"""How many tasks travel together, and what travels with them. Pure."""

from __future__ import annotations

import math
from typing import Any

from jupyter_cluster.head.job import Job, Range
from jupyter_cluster.head.link import Key
from jupyter_cluster.resources import unmarked
from jupyter_cluster.wire import Block

# How long a bundle should run: long enough that sending it costs nothing beside it (about a
# millisecond), short enough that progress is seen and little is lost with a node.
BUNDLE_SECONDS = 0.25
MAX_BUNDLE = 5000
# A bundle is at most this many times the one before: the first measurement may be wrong.
GROWTH = 8
# How many bytes of inputs travel in one bundle, unless a single task has more.
MAX_BUNDLE_BYTES = 16_000_000


def bundle_size(job: Job, slots: int) -> int:
    """How many tasks of a job travel together next, where `slots` of them can run at a time."""
    if job.mean_seconds is None:
        return 1
    by_time = BUNDLE_SECONDS / job.mean_seconds
    # Half of what remains, shared out: the last bundles are single tasks.
    by_share = math.ceil(job.queued / (2 * max(1, slots)))
    return max(1, int(min(by_time, by_share, job.last_size * GROWTH, MAX_BUNDLE)))


def bundle_seconds(job: Job) -> float | None:
    """How long a bundle of this job will run; None before anything was measured."""
    if job.mean_seconds is None:
        return None
    return max(job.mean_seconds, min(BUNDLE_SECONDS, job.mean_seconds * MAX_BUNDLE))


def refs_of(job: Job, tasks: Range) -> list[str]:
    """The refs among the arguments of these tasks, each once."""
    if not job.refs:
        return []
    keys = (job.refs.get(index, ()) for index in range(tasks.start, tasks.stop))
    return list(dict.fromkeys(key for some in keys for key in some))


def fitting_until(blocks: list[Block]) -> int:
    """Up to which task the blocks are small enough for one bundle; at least the first task."""
    size = 0
    for block in blocks:
        if size + len(block.data) <= MAX_BUNDLE_BYTES:
            size += len(block.data)
            continue
        for position, item in enumerate(block.items(), block.start):
            size += len(item)
            if size > MAX_BUNDLE_BYTES and position > blocks[0].start:
                return position
    return blocks[-1].stop


def bundle_message(
    job: Job, key: Key, blocks: list[Block], refs: list[str], begins_session: bool = False
) -> dict[str, Any]:
    """A bundle as it travels to its node."""
    return {
        "key": list(key),
        "kind": job.spec.kind,
        "fn": job.spec.fn,
        "shape": unmarked(job.shape).by_name,
        "timeout": job.spec.timeout,
        "environment": job.spec.environment,
        "begins_session": begins_session,
        "refs": refs,
        "blocks": [block.pack() for block in blocks],
    }
