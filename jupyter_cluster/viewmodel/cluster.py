"""A cluster at one moment: its head line, its tiles, and what may be done with it."""

from __future__ import annotations

from jupyter_cluster.client.watch import Contact, View
from jupyter_cluster.formats import counted, place_text
from jupyter_cluster.viewmodel.chart import chart
from jupyter_cluster.viewmodel.events import events
from jupyter_cluster.viewmodel.figures import Told, is_working, since
from jupyter_cluster.viewmodel.model import Action, ClusterView, Controls, Limit, Words
from jupyter_cluster.viewmodel.tables import jobs_table, nodes_table
from jupyter_cluster.viewmodel.tiles import tiles

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
        state=state(view, now),
        place=place(status, now) if status else "",
        blank=waiting,
        tiles=list(tiles(status, now)) if status else [],
        problems=problems(status) if status else [],
        controls=controls(status) if status and view.contact is not Contact.ENDED else None,
        chart=chart(view),
        jobs=jobs_table(view, now),
        nodes=nodes_table(view),
        events=events(view),
        events_blank="" if view.events else NO_EVENTS,
    )


def place(status: Told, now: float) -> str:
    """Where a cluster is, and since when."""
    return f"on {place_text(status['provider'])}, up {since(status['started'], now)}"


def state(view: View, now: float) -> Words:
    """How a cluster stands, or how whoever follows it stands with it."""
    if view.contact is Contact.CONNECTED:
        told = str(view.status["state"])
        return Words(told, "good" if told == "running" else "warn")
    if view.contact is Contact.LOST and view.status:
        ago = since(view.since, now)
        said = f"lost contact {ago} ago ({view.problem}); trying again, work goes on"
        return Words(said, "bad")
    if view.contact is Contact.ENDED:
        return Words("ended", "off", view.problem)
    return Words("connecting", "warn", view.problem)


def problems(status: Told) -> list[str]:
    """Sentences on what keeps work from running."""
    lines = [f"Cannot run: {reason}" for reason in status["infeasible"]]
    return lines + ([f"Problem: {status['problem']}"] if status["problem"] else [])


def controls(status: Told) -> Controls:
    """What may be done with a cluster that runs."""
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
        down=Action("down", "down", f"cluster {name}", question=ask, is_harmless=not working),
    )
