"""What the verbs show: plain values of the head's JSON become lines and tables. Pure."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any

from jupyter_cluster.commands.tables import Table
from jupyter_cluster.formats import counted, format_seconds, money, place_text
from jupyter_cluster.resources import resources_text

Row = Mapping[str, Any]


def status_parts(status: Row) -> list[str | Table]:
    """The cluster at a glance."""
    parts: list[str | Table] = [headline(status), cost_line(status["cost"])]
    parts += [f"cannot run: {reason}" for reason in status["infeasible"]]
    if status["problem"]:
        parts.append(f"problem: {status['problem']}")
    if status["nodes"]:
        parts.append(nodes_table(status["nodes"]))
    if status["jobs"]:
        parts.append(jobs_table(status["jobs"]))
    return parts


def headline(status: Row) -> str:
    """One line: the cluster, how long it has run, its size."""
    up = format_seconds(max(0.0, time.time() - status["started"]))
    busy = sum(node["slots_busy"] for node in status["nodes"])
    where = place_text(status["provider"])
    return (
        f"Cluster {status['cluster']!r} on {where}: {status['state']} for {up};"
        f" {len(status['nodes'])} of at most {counted(status['max_workers'], 'node')},"
        f" {counted(busy, 'slot')} busy"
    )


def nodes_table(nodes: Sequence[Row]) -> Table:
    """A row for each node."""
    rows = [
        (
            node["id"],
            node["type"],
            node["state"],
            resources_text(node["resources"]),
            str(node["slots_busy"]),
            str(node["tasks_finished"]),
            _seconds(node["idle_seconds"]),
            _seconds(node["age"]),
            node["why"],
        )
        for node in nodes
    ]
    headings = ("node", "type", "state", "resources", "busy", "finished", "idle", "age", "note")
    return Table("nodes", headings, rows, ("busy", "finished", "idle", "age"))


def jobs_table(jobs: Sequence[Row]) -> Table:
    """A row for each job, the newest first."""
    rows = [_job_row(job) for job in sorted(jobs, key=lambda job: -job["submitted"])]
    headings = ("job", "id", "state", "done", "failed", "queued", "running", "rate", "time", "note")
    return Table("jobs", headings, rows, ("done", "failed", "queued", "running", "rate", "time"))


def sessions_table(sessions: Sequence[Row]) -> Table:
    """A row for each session of cells."""
    rows = [
        (
            session["name"],
            session["node"] or "none yet",
            resources_text(session["resources"]),
            "a cell runs" if session["busy"] else f"unused for {_seconds(session['unused'])}",
        )
        for session in sessions
    ]
    return Table("sessions", ("session", "node", "resources", "state"), rows)


def _job_row(job: Row) -> tuple[str, ...]:
    end = time.time() if job["finished"] is None else job["finished"]
    return (
        job["name"],
        job["id"],
        job["state"],
        f"{job['done']} of {job['total']}" + ("" if job["sealed"] else "+"),
        str(job["failed"]),
        str(job["queued"]),
        str(job["running"]),
        rate_text(job),
        format_seconds(max(0.0, end - job["submitted"])),
        job["note"],
    )


def job_line(job: Row) -> str:
    """One line: a job and how far it is."""
    counts = ", ".join(f"{job[key]} {key}" for key in ("failed", "cancelled") if job[key])
    done = f"{job['done']} of {counted(job['total'], job['unit'])} done"
    facts = [job["state"], done, counts, rate_text(job)]
    return f"Job {job['name']!r}: {', '.join(fact for fact in facts if fact)}"


def rate_text(job: Row) -> str:
    """``12.5 images/s``; empty where the job does not run."""
    return "" if job.get("rate") is None else f"{job['rate']:.3g} {job['unit']}s/s"


def cost_line(cost: Row) -> str:
    """What the nodes cost so far and now."""
    if not cost["price_known"]:
        return "Cost: unknown, since the price of a node type is"
    if not cost["so_far"] and not cost["per_hour"]:
        return "Cost: nothing"
    return f"Cost: {money(cost['so_far'])} so far, {money(cost['per_hour'])} per hour now"


def cost_parts(cost: Row) -> list[str | Table]:
    """What the nodes cost, and the hours of each type."""
    rows = [(name, f"{hours:.2f}") for name, hours in sorted(cost["node_hours"].items())]
    if (head := cost.get("head")) and head["price"]:
        rows.insert(0, ("the head itself", f"{head['hours']:.2f}"))
    table = Table("node hours", ("node type", "hours"), rows, ("hours",))
    return [cost_line(cost), *([table] if rows else [])]


def limits_parts(limits: Row) -> list[str | Table]:
    """What `scale` answers."""
    lines = [f"At most {counted(limits['max_workers'], 'node')}"]
    lines += [f"At least {n} of type {name}" for name, n in limits["min_workers"].items() if n]
    lines += [f"Held: {n} × {resources_text(shape)}" for shape, n in limits["request"]]
    return list(lines)


def clusters_table(rows: Sequence[Row]) -> Table:
    """A row for each cluster of the registry."""
    shown = [(row["name"], row["state"], row["provider"], _moment(row["created"])) for row in rows]
    return Table("clusters", ("cluster", "state", "provider", "created"), shown)


# -- values ---------------------------------------------------------------------------------------


def _moment(moment: float) -> str:
    return "" if not moment else time.strftime("%Y-%m-%d %H:%M", time.localtime(moment))


def _seconds(seconds: float | None) -> str:
    return "" if seconds is None else format_seconds(seconds)
