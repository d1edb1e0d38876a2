"""What a click does to a cluster, and the sentence that says that it was done."""

from __future__ import annotations

from collections.abc import Mapping

from jupyter_cluster.client.endpoint import Endpoint
from jupyter_cluster.client.registry import Entry
from jupyter_cluster.errors import UsageError
from jupyter_cluster.formats import counted


def cancel(place: Entry, job: str) -> str:
    """Cancel a job.

    Raises
    ------
    JobError
        There is none of this name or id.
    """
    head = Endpoint(place)
    row = head.post(head.job(job, "cancel"))
    return f"Job {row['name']} was cancelled: {row['done']:,} of its tasks are done."


def scale(place: Entry, max_workers: int | None, min_workers: Mapping[str, int] | None) -> str:
    """Change limits; what is None stays.

    Raises
    ------
    ClusterError
        The head refuses.
    """
    wanted = {"max_workers": max_workers, "min_workers": min_workers}
    given = {key: value for key, value in wanted.items() if value is not None}
    if not given:
        raise UsageError("which limit is to be changed: max_workers, min_workers?")
    limits = Endpoint(place).post("scale", given)
    return f"From now on at most {counted(limits['max_workers'], 'node')}."
