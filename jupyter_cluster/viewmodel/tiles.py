"""The figures that one looks at first."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from jupyter_cluster.formats import amount
from jupyter_cluster.viewmodel.figures import (
    Told,
    is_working,
    node_counts,
    seconds_left,
    since,
    unit_of,
)
from jupyter_cluster.viewmodel.model import Tile


def tiles(status: Told, now: float) -> Iterator[Tile]:
    """All of them, in the order in which they stand."""
    jobs, nodes = status["jobs"], status["nodes"]
    yield rate_tile(jobs)
    yield nodes_tile(status)
    busy = sum(node["slots_busy"] for node in nodes)
    slots = sum(node["slots"] or 0 for node in nodes)
    yield Tile("slots busy", f"{busy:,}", f"of {slots:,}")
    queued, running = (sum(job[key] for job in jobs) for key in ("queued", "running"))
    yield Tile("queued", f"{queued:,}", f"{running:,} running")
    done, failed = (sum(job[key] for job in jobs) for key in ("done", "failed"))
    yield Tile("done", f"{done:,}", f"{failed:,} failed", "bad" if failed else "")
    yield _time_tile([job for job in jobs if is_working(job)], jobs, now)
    yield cost_tile(status["cost"])


def rate_tile(jobs: Sequence[Told]) -> Tile:
    """How many tasks end in a second, of all jobs."""
    working = [job for job in jobs if is_working(job)]
    rate = sum(job["rate"] or 0 for job in working)
    return Tile("rate", rate_text(rate), f"{unit_of(working or jobs)}s/s")


def rate_text(rate: float) -> str:
    """Tasks a second.

    >>> rate_text(5.04), rate_text(1234.5)
    ('5.0', '1,234')
    """
    return f"{rate:,.1f}" if rate < 100 else f"{rate:,.0f}"


def nodes_tile(status: Told) -> Tile:
    """How many nodes there are, and how many there may be."""
    ready, coming, ending = node_counts(status["nodes"])
    facts = (
        f"{coming} booting" if coming else "",
        f"{ending} ending" if ending else "",
        f"at most {status['max_workers']}",
    )
    return Tile("nodes ready", f"{ready:,}", ", ".join(fact for fact in facts if fact))


def _time_tile(working: Sequence[Told], jobs: Sequence[Told], now: float) -> Tile:
    if not working:
        last = max((job["finished"] or 0 for job in jobs), default=0)
        return Tile("time", "idle", f"for {since(last, now)}" if last else "no job yet")
    elapsed = since(min(job["submitted"] for job in working), now)
    left = seconds_left(working)
    return Tile("time", elapsed, "end not known yet" if left is None else f"about {left} left")


def cost_tile(cost: Told) -> Tile:
    """What it has cost, and costs."""
    if not cost["price_known"]:
        return Tile("cost, USD", "unknown", "a node type has no known price")
    return Tile("cost, USD", amount(cost["so_far"]), f"{amount(cost['per_hour'])} per hour")
