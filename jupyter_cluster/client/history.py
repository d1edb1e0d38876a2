"""What the head has measured of a job or a cluster, for `jupyter_cluster.charts.history`."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any

from jupyter_cluster.charts.history import History
from jupyter_cluster.charts.throughput import RATE_SUFFIX
from jupyter_cluster.client.endpoint import Endpoint
from jupyter_cluster.formats import format_seconds

Row = Mapping[str, Any]
# Samples are taken once a second: the one before a job began belongs to it.
SAMPLE_SECONDS = 1.0


def of_job(head: Endpoint, job: str) -> History:
    """A job, from its submission to its end or to now."""
    row = head.get(head.job(job))
    began, ended = row["submitted"], row["finished"] or time.time()
    costs = [s for s in head.get("series", since=began - SAMPLE_SECONDS) if s["time"] <= ended + 1]
    before = costs[0]["cost"] if costs else 0.0
    return History(
        began=began,
        ended=ended,
        unit=row["unit"],
        title=_title(row, ended - began),
        samples=[_sample(sample, began) for sample in head.get(head.job(job, "series"))],
        costs=[{**sample, "cost": sample["cost"] - before} for sample in costs],
        events=_within(head.get("events", since=0), began, ended),
        stages=_alive(head.get("stages"), began, ended),
        durations=head.get(head.job(job, "durations")),
    )


def of_cluster(head: Endpoint, name: str) -> History:
    """A cluster, from its first sample to now, by the time of day."""
    samples = head.get("series", since=0)
    jobs = head.get("jobs")
    ended = time.time()
    began = samples[0]["time"] if samples else ended - 1
    units = {job["unit"] for job in jobs if job["kind"] != "cell"}
    return History(
        began=began,
        ended=ended,
        unit=units.pop() if len(units) == 1 else "task",
        title=f"Cluster {name!r}, the last {format_seconds(ended - began)}",
        samples=samples,
        costs=samples,
        events=_within(head.get("events", since=0), began - 1, ended),
        stages=_alive(head.get("stages"), began, ended),
        durations=head.get("durations"),
        is_clock=True,
    )


def _title(row: Row, seconds: float) -> str:
    done = f"{row['done']:,} of {row['total']:,} {row['unit']}s"
    failed = f", {row['failed']:,} failed" if row["failed"] else ""
    return f"Job {row['name']!r}: {done} in {format_seconds(seconds)}{failed}"


def _sample(sample: Row, began: float) -> dict[str, Any]:
    rate = next(value for key, value in sample.items() if key.endswith(RATE_SUFFIX))
    return {
        "time": began + sample["t"],
        "rate": rate,
        "ready": sample["nodes"],
        "queued": sample["queued"],
    }


def _within(events: Sequence[Row], began: float, ended: float) -> list[Row]:
    return [event for event in events if began <= event["time"] <= ended]


def _alive(nodes: Sequence[Row], began: float, ended: float) -> list[Row]:
    """The nodes that were there between two moments."""
    return [
        node
        for node in nodes
        if node["stages"]
        and node["stages"][0][1] <= ended
        and (node["ended"] is None or node["ended"] >= began)
    ]
