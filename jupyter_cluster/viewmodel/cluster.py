"""A cluster at one moment: its head line, its tiles, and what may be done with it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from jupyter_cluster.client.watch import Contact, View
from jupyter_cluster.formats import amount, counted, place_text
from jupyter_cluster.viewmodel.chart import chart
from jupyter_cluster.viewmodel.events import events
from jupyter_cluster.viewmodel.figures import (
    Told,
    is_working,
    node_counts,
    seconds_left,
    since,
    unit_of,
)
from jupyter_cluster.viewmodel.model import Action, ClusterView, Controls, Limit, Tile, Words
from jupyter_cluster.viewmodel.tables import jobs_table, nodes_table

NO_EVENTS = "Nothing has happened yet."


def cluster_view(view: View, name: str, now: float) -> ClusterView:
    """What is shown of a cluster, from what its head has told.

    Parameters
    ----------
    now
        Unix time.
    """
    status = view.status
    waiting = "" if status else f"No figures yet: {view.problem or 'asking the head for them …'}"
    return ClusterView(
        name=name,
        state=_state(view, now),
        place=_place(status, now) if status else "",
        blank=waiting,
        tiles=list(_tiles(status, view.samples, now)) if status else [],
        problems=_problems(status) if status else [],
        controls=_controls(status) if status and view.contact is not Contact.ENDED else None,
        chart=chart(view),
        jobs=jobs_table(view, now),
        nodes=nodes_table(view),
        events=events(view),
        events_blank="" if view.events else NO_EVENTS,
    )


def _place(status: Told, now: float) -> str:
    return f"on {place_text(status['provider'])}, up {since(status['started'], now)}"


def _state(view: View, now: float) -> Words:
    if view.contact is Contact.CONNECTED:
        state = str(view.status["state"])
        return Words(state, "good" if state == "running" else "warn")
    if view.contact is Contact.LOST:
        ago = since(view.since, now)
        said = f"lost contact {ago} ago ({view.problem}); trying again, work goes on"
        return Words(said, "bad")
    if view.contact is Contact.ENDED:
        return Words("ended", "off", view.problem)
    return Words("connecting", "warn")


def _tiles(status: Told, samples: Sequence[Told], now: float) -> Iterable[Tile]:
    jobs, nodes = status["jobs"], status["nodes"]
    working = [job for job in jobs if is_working(job)]
    rate = sum(job["rate"] or 0 for job in working)
    shown = f"{rate:,.1f}" if rate < 100 else f"{rate:,.0f}"
    yield Tile("rate", shown, f"{unit_of(working or jobs)}s/s")
    ready, coming, ending = node_counts(nodes)
    facts = (
        f"{coming} booting" if coming else "",
        f"{ending} ending" if ending else "",
        f"at most {status['max_workers']}",
    )
    yield Tile("nodes ready", f"{ready:,}", ", ".join(fact for fact in facts if fact))
    busy = sum(node["slots_busy"] for node in nodes)
    slots = sum(node["slots"] or 0 for node in nodes)
    yield Tile("slots busy", f"{busy:,}", f"of {slots:,}")
    queued, running = (sum(job[key] for job in jobs) for key in ("queued", "running"))
    yield Tile("queued", f"{queued:,}", f"{running:,} running")
    done, failed = (sum(job[key] for job in jobs) for key in ("done", "failed"))
    yield Tile("done", f"{done:,}", f"{failed:,} failed", "bad" if failed else "")
    yield _time_tile(working, jobs, now)
    yield _cost_tile(status["cost"])


def _time_tile(working: Sequence[Told], jobs: Sequence[Told], now: float) -> Tile:
    if not working:
        last = max((job["finished"] or 0 for job in jobs), default=0)
        return Tile("time", "idle", f"for {since(last, now)}" if last else "no job yet")
    elapsed = since(min(job["submitted"] for job in working), now)
    left = seconds_left(working)
    return Tile("time", elapsed, "end not known yet" if left is None else f"about {left} left")


def _cost_tile(cost: Told) -> Tile:
    if not cost["price_known"]:
        return Tile("cost, USD", "unknown", "a node type has no known price")
    return Tile("cost, USD", amount(cost["so_far"]), f"{amount(cost['per_hour'])} per hour")


def _problems(status: Told) -> list[str]:
    lines = [f"Cannot run: {reason}" for reason in status["infeasible"]]
    return lines + ([f"Problem: {status['problem']}"] if status["problem"] else [])


def _controls(status: Told) -> Controls:
    most = Limit("", "at most", status["max_workers"], "nodes")
    least = [
        Limit(row["name"], "at least", row["min_workers"], row["name"])
        for row in status["node_types"]
    ]
    working = sum(is_working(job) for job in status["jobs"])
    ask = f"End it? {counted(working, 'job')} would be lost." if working else "End the cluster?"
    name = status["cluster"]
    return Controls(
        limits=[most, *least],
        scale=Action("scale", "apply", f"limits of cluster {name}"),
        down=Action("down", "down", f"cluster {name}", question=ask),
    )
