"""The jobs and the nodes of a cluster as they are shown."""

from __future__ import annotations

from jupyter_cluster.client.watch import Contact, View
from jupyter_cluster.formats import as_sentence, counted, format_bytes, format_seconds, money
from jupyter_cluster.model import NodeState
from jupyter_cluster.resources import resources_text
from jupyter_cluster.viewmodel.figures import Told, is_pending, is_working, seconds_left, since
from jupyter_cluster.viewmodel.model import Action, Bar, Cell, Column, Row, Share, Table, Words

SHOWN_JOBS = 60
NOT_KNOWN = "Not known yet."
JOB_COLUMNS = [
    Column("job"),
    Column("progress"),
    Column("done", is_number=True),
    Column("failed", is_number=True),
    Column("rate", is_number=True, is_optional=True),
    Column("time", is_number=True),
    Column("state"),
    Column(""),
]
NODE_COLUMNS = [
    Column("node"),
    Column("type", is_optional=True),
    Column("state"),
    Column("slots", is_number=True),
    Column("CPU", is_number=True),
    Column("memory", is_number=True, is_optional=True),
    Column("tasks", is_number=True),
    Column("age", is_number=True, is_optional=True),
    Column("cost", is_number=True, is_optional=True),
    Column("note"),
]


def jobs_table(view: View, now: float) -> Table:
    """A row for each job: those that work first, then the newest."""
    if not view.status:
        return _blank("jobs", NOT_KNOWN)
    jobs = view.status["jobs"]
    if not jobs:
        return _blank("jobs", "No job yet: cluster.map(…) or %%remote makes one.")
    ordered = sorted(jobs, key=lambda job: (not is_working(job), -job["submitted"]))
    rows = [_job_row(job, now) for job in ordered[:SHOWN_JOBS]]
    older = len(ordered) - SHOWN_JOBS
    more = f"and {counted(older, 'older job')}" if older > 0 else ""
    return Table("jobs", len(jobs), JOB_COLUMNS, rows, more=more)


def _job_row(job: Told, now: float) -> Row:
    duration = since(job["submitted"], job["finished"] or now)
    left = seconds_left([job]) if is_working(job) else None
    if left is not None:
        duration += f", {left} left"
    rate, cancel = "", None
    if is_working(job):
        rate = f"{job['rate']:,.3g} {job['unit']}s/s" if job["rate"] else ""
        cancel = Action("cancel", "cancel", f"job {job['name']}", job["id"])
    done = f"{job['done']:,} of {job['total']:,}" + ("" if job["sealed"] else "+")
    note = f": {job['note']}" if job["note"] else ""
    cells = [
        _text(job["name"]),
        Cell(Words("" if job["total"] else "no task yet", "off"), bar=job_bar(job)),
        _text(done),
        Cell(Words(f"{job['failed']:,}", "bad" if job["failed"] else "")),
        _text(rate),
        _text(duration),
        _text(f"{job['state']}{note}"),
        Cell(Words(""), action=cancel),
    ]
    return Row(job["id"], cells)


def job_bar(job: Told) -> Bar | None:
    """How many of a job's tasks are done, have failed, or were cancelled."""
    if not job["total"]:
        return None
    said = ", ".join(f"{job[key]:,} {key}" for key in ("done", "failed", "cancelled") if job[key])
    shares = [
        Share(job["done"] / job["total"], "good"),
        Share(job["failed"] / job["total"], "bad"),
        Share(job["cancelled"] / job["total"], "off"),
    ]
    return Bar(shares, said or "none has ended")


def nodes_table(view: View) -> Table:
    """A row for each node that is not gone."""
    if not view.status:
        return _blank("nodes", NOT_KNOWN)
    status, nodes = view.status, view.status["nodes"]
    if not nodes:
        return _blank("nodes", f"No node is up. {_why_no_node(view)}")
    types = {row["name"]: row for row in status["node_types"]}
    rows = [_node_row(node, types.get(node["type"])) for node in nodes]
    return Table("nodes", len(nodes), NODE_COLUMNS, rows)


def _why_no_node(view: View) -> str:
    if view.contact is Contact.ENDED:
        return as_sentence(view.problem)
    if any(job["queued"] for job in view.status["jobs"]):
        return "One is being asked for."
    return "Nodes come when there is work."


def _node_row(node: Told, node_type: Told | None) -> Row:
    has = node["resources"]
    cpu = "" if node["cpu"] is None else f"{node['cpu']:.1f} of {has.get('CPU', 0):g}"
    slots = "" if node["slots"] is None else f"{node['slots_busy']} of {node['slots']}"
    cells = [
        _text(node["id"]),
        Cell(Words(node["type"], hint=resources_text(has))),
        Cell(_node_state(node, node_type), is_state=True),
        _text(slots),
        _text(cpu),
        _text("" if node["memory"] is None else format_bytes(node["memory"])),
        _text(f"{node['tasks_finished']:,}"),
        _text(format_seconds(node["age"])),
        _text("" if node["price"] is None else money(node["cost"])),
        _text(_node_note(node)),
    ]
    return Row(node["id"], cells)


def _node_state(node: Told, node_type: Told | None) -> Words:
    state = str(node["state"])
    if state == NodeState.READY:
        return Words("ready", "good")
    if not is_pending(state):
        return Words(state, "warn" if state == NodeState.DRAINING else "bad")
    expected = f" of about {format_seconds(node_type['boot_seconds'])}" if node_type else ""
    return Words(f"{state}, {format_seconds(node['age'])}{expected}", "warn")


def _node_note(node: Told) -> str:
    if node["why"]:
        return str(node["why"])
    if node["idle_seconds"] is not None and node["idle_seconds"] > 5:
        return f"idle for {format_seconds(node['idle_seconds'])}"
    return ""


def _blank(title: str, why: str) -> Table:
    return Table(title, 0, [], [], why)


def _text(text: str) -> Cell:
    return Cell(Words(text))
