"""The panel's words and tables as HTML, from a view of the cluster. Pure.

One form serves the live panel, which is changed in place, and an exported notebook. Buttons have a
``data-do``; what they do is in `live`. Everything that a user has named is escaped.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from html import escape
from typing import Any

from jupyter_cluster.client.watch import Contact, View
from jupyter_cluster.commands.views import amount, counted, money, place_text, resources_text
from jupyter_cluster.formats import as_sentence, format_bytes, format_seconds
from jupyter_cluster.model import NodeState

Row = Mapping[str, Any]

SHOWN_EVENTS = 40
SHOWN_JOBS = 60
# How the kinds of events look.
SYMBOLS = {
    "scale-up": "▲",
    "scale-down": "▼",
    "node": "●",
    "job": "■",
    "warning": "!",
    "error": "✕",
}


def header(view: View, name: str, now: float) -> str:
    """The name, the state, and the figures that one looks at first."""
    status = view.status
    title = f'<div class="jc-title"><span class="jc-name">{escape(name)}</span>{_state(view, now)}'
    if not status:
        waiting = "asking the head for its status …" if not view.problem else view.problem
        return f'{title}</div><div class="jc-blank">No figures yet: {escape(waiting)}</div>'
    where = f"on {place_text(status['provider'])}, up {_since(status['started'], now)}"
    tiles = "".join(_tile(*tile) for tile in _tiles(status, view.samples, now))
    return (
        f'{title}<span class="jc-faint">{escape(where)}</span></div>'
        f'<div class="jc-tiles">{tiles}</div>{_problems(status)}'
    )


def _state(view: View, now: float) -> str:
    ago = _since(view.since, now)
    if view.contact is Contact.CONNECTED:
        state = str(view.status["state"])
        return _pill(state, "good" if state == "running" else "warn")
    if view.contact is Contact.LOST:
        text = f"lost contact {ago} ago ({view.problem}); trying again, work goes on"
        return _pill(text, "bad")
    if view.contact is Contact.ENDED:
        return _pill("ended", "off")
    return _pill("connecting", "warn")


def _tiles(status: Row, samples: Sequence[Row], now: float) -> Iterable[tuple[str, str, str, str]]:
    """Label, value, what stands below it, and how it looks."""
    jobs, nodes = status["jobs"], status["nodes"]
    working = [job for job in jobs if is_working(job)]
    unit = unit_of(working or jobs)
    rate = sum(job["rate"] or 0 for job in working)
    yield "rate", f"{rate:,.1f}" if rate < 100 else f"{rate:,.0f}", f"{unit}s/s", ""
    ready, coming, ending = node_counts(nodes)
    below = ", ".join(
        part
        for part in (
            f"{coming} booting" if coming else "",
            f"{ending} ending" if ending else "",
            f"at most {status['max_workers']}",
        )
        if part
    )
    yield "nodes ready", f"{ready:,}", below, ""
    busy = sum(node["slots_busy"] for node in nodes)
    slots = sum(node["slots"] or 0 for node in nodes)
    yield "slots busy", f"{busy:,}", f"of {slots:,}", ""
    queued, running = (sum(job[key] for job in jobs) for key in ("queued", "running"))
    yield "queued", f"{queued:,}", f"{running:,} running", ""
    done, failed = (sum(job[key] for job in jobs) for key in ("done", "failed"))
    yield "done", f"{done:,}", f"{failed:,} failed", "bad" if failed else ""
    yield _time_tile(working, jobs, now)
    cost = status["cost"]
    if not cost["price_known"]:
        yield "cost, USD", "unknown", "a node type has no known price", ""
    else:
        yield "cost, USD", amount(cost["so_far"]), f"{amount(cost['per_hour'])} per hour", ""


def _time_tile(
    working: Sequence[Row], jobs: Sequence[Row], now: float
) -> tuple[str, str, str, str]:
    if not working:
        last = max((job["finished"] or 0 for job in jobs), default=0)
        return "time", "idle", f"for {_since(last, now)}" if last else "no job yet", ""
    elapsed = _since(min(job["submitted"] for job in working), now)
    left = seconds_left(working)
    return "time", elapsed, "end not known yet" if left is None else f"about {left} left", ""


def _problems(status: Row) -> str:
    lines = [f"Cannot run: {reason}" for reason in status["infeasible"]]
    lines += [f"Problem: {status['problem']}"] if status["problem"] else []
    return "".join(f'<div class="jc-problem">{escape(line)}</div>' for line in lines)


def controls(status: Row) -> str:
    """The limits, to be changed, and the end of the cluster."""
    if not status:
        return ""
    types = "".join(
        f"<label>at least <input type='number' min='0' data-min-workers='{escape(row['name'])}'"
        f" value='{row['min_workers']}'> {escape(row['name'])}</label>"
        for row in status["node_types"]
    )
    working = sum(is_working(job) for job in status["jobs"])
    ask = f"End it? {counted(working, 'job')} would be lost." if working else "End the cluster?"
    return (
        f"<label>at most <input type='number' min='0' data-max-workers='1'"
        f" value='{status['max_workers']}'> nodes</label>{types}"
        '<button data-do="scale">apply</button><span class="jc-space"></span>'
        f'<button class="jc-danger" data-do="down" data-ask="{escape(ask)}">down</button>'
    )


# -- tables ---------------------------------------------------------------------------------------


def jobs_table(view: View, now: float) -> str:
    """A row for each job: those that work first, then the newest."""
    jobs = view.status.get("jobs", [])
    if not jobs:
        return _section("jobs", 0, _blank("No job yet: cluster.map(…) or %%remote makes one."))
    ordered = sorted(jobs, key=lambda job: (not is_working(job), -job["submitted"]))
    rows = "".join(_job_row(job, now) for job in ordered[:SHOWN_JOBS])
    more = len(ordered) - SHOWN_JOBS
    note = f'<div class="jc-faint">and {counted(more, "older job")}</div>' if more > 0 else ""
    head = _heads(("job", "progress", "done", "failed", "rate", "time", "state", ""), _JOB_NUMBERS)
    return _section("jobs", len(jobs), f"<table>{head}<tbody>{rows}</tbody></table>{note}")


_JOB_NUMBERS = {"done", "failed", "rate", "time"}


def _job_row(job: Row, now: float) -> str:
    time_text = _since(job["submitted"], job["finished"] or now)
    left = seconds_left([job]) if is_working(job) else None
    if left is not None:
        time_text += f", {left} left"
    rate = f"{job['rate']:,.3g} {job['unit']}s/s" if job["rate"] and is_working(job) else ""
    cancel = ""
    if is_working(job):
        cancel = f'<button data-do="cancel" data-job="{escape(job["id"])}">cancel</button>'
    total = f"{job['done']:,} of {job['total']:,}" + ("" if job["sealed"] else "+")
    cells = (
        (escape(job["name"]), ""),
        (_bar(job), ""),
        (total, "n"),
        (f"{job['failed']:,}", "n jc-bad" if job["failed"] else "n"),
        (escape(rate), "n jc-opt"),
        (time_text, "n"),
        (escape(job["state"] + (f": {job['note']}" if job["note"] else "")), ""),
        (cancel, ""),
    )
    return _row(job["id"], cells)


def nodes_table(view: View) -> str:
    """A row for each node that is not gone."""
    status = view.status
    nodes = status.get("nodes", [])
    if not nodes:
        why = "Nodes come when there is work."
        if view.contact is Contact.ENDED:
            why = as_sentence(view.problem)
        elif any(job["queued"] for job in status.get("jobs", [])):
            why = "One is being asked for."
        return _section("nodes", 0, _blank(f"No node is up. {why}"))
    types = {row["name"]: row for row in status["node_types"]}
    rows = "".join(_node_row(node, types.get(node["type"])) for node in nodes)
    heads = ("node", "type", "state", "slots", "CPU", "memory", "tasks", "age", "cost", "note")
    table = f"<table>{_heads(heads, _NODE_NUMBERS)}<tbody>{rows}</tbody></table>"
    return _section("nodes", len(nodes), table)


_NODE_NUMBERS = {"slots", "CPU", "memory", "tasks", "age", "cost"}


def _node_row(node: Row, node_type: Row | None) -> str:
    has = node["resources"]
    cpu = "" if node["cpu"] is None else f"{node['cpu']:.1f} of {has.get('CPU', 0):g}"
    memory = "" if node["memory"] is None else format_bytes(node["memory"])
    slots = "" if node["slots"] is None else f"{node['slots_busy']} of {node['slots']}"
    cost = "" if node["price"] is None else money(node["cost"])
    cells = (
        (escape(node["id"]), ""),
        (f'<span title="{escape(resources_text(has))}">{escape(node["type"])}</span>', "jc-opt"),
        (_node_state(node, node_type), ""),
        (slots, "n"),
        (cpu, "n"),
        (memory, "n jc-opt"),
        (f"{node['tasks_finished']:,}", "n"),
        (format_seconds(node["age"]), "n jc-opt"),
        (cost, "n jc-opt"),
        (escape(_node_note(node)), ""),
    )
    return _row(node["id"], cells)


def _node_state(node: Row, node_type: Row | None) -> str:
    state = str(node["state"])
    if state == NodeState.READY:
        return _pill("ready", "good")
    if state not in set(NodeState) or not NodeState(state).is_pending:
        return _pill(state, "warn" if state == NodeState.DRAINING else "bad")
    expected = f" of about {format_seconds(node_type['boot_seconds'])}" if node_type else ""
    return _pill(f"{state}, {format_seconds(node['age'])}{expected}", "warn")


def _node_note(node: Row) -> str:
    if node["why"]:
        return str(node["why"])
    if node["idle_seconds"] is not None and node["idle_seconds"] > 5:
        return f"idle for {format_seconds(node['idle_seconds'])}"
    return ""


def events_list(view: View) -> str:
    """The newest lines of the diary, newest first."""
    if not view.events:
        return _section("events", 0, _blank("Nothing has happened yet."))
    shown = list(view.events)[-SHOWN_EVENTS:][::-1]
    lines = "".join(
        f'<div class="jc-event jc-{escape(event["kind"])}" data-key="{event["number"]}">'
        f'<span class="jc-faint">{time.strftime("%H:%M:%S", time.localtime(event["time"]))}</span>'
        f'<span class="jc-kind">{SYMBOLS.get(event["kind"], "·")}</span>'
        f"<span>{escape(event['text'])}</span></div>"
        for event in shown
    )
    return _section("events", 0, lines)


# -- figures --------------------------------------------------------------------------------------


def is_working(job: Row) -> bool:
    """Whether tasks of a job are to be run: one of calls stays open when all of them have ended."""
    has_tasks = job["kind"] != "calls" or job["queued"] or job["running"]
    return job["state"] == "running" and bool(has_tasks)


def unit_of(jobs: Sequence[Row]) -> str:
    """What the tasks of these jobs work on; ``task`` where they differ."""
    units = {job["unit"] for job in jobs if job["kind"] != "cell"}
    return str(units.pop()) if len(units) == 1 else "task"


def node_counts(nodes: Sequence[Row]) -> tuple[int, int, int]:
    """How many nodes are ready, on their way up, and on their way out."""
    states = [node["state"] for node in nodes]
    coming = sum(s in set(NodeState) and NodeState(s).is_pending for s in states)
    return states.count(NodeState.READY), coming, states.count(NodeState.DRAINING)


def seconds_left(jobs: Sequence[Row]) -> str | None:
    """Until these jobs end at their present rate, as words; None where nobody can tell."""
    known = [job for job in jobs if job["sealed"] and job["kind"] != "cell" and job["rate"]]
    if not known or len(known) < len([job for job in jobs if job["kind"] != "cell"]):
        return None
    return format_seconds(max((job["queued"] + job["running"]) / job["rate"] for job in known))


def _since(moment: float, now: float) -> str:
    return format_seconds(float(round(max(0.0, now - moment))))


# -- HTML -----------------------------------------------------------------------------------------


def _tile(label: str, value: str, below: str, look: str) -> str:
    style = f" jc-{look}" if look else ""
    lines = (("label", label), ("value", value), ("below", below))
    inside = "".join(f'<div class="jc-{name}">{escape(text)}</div>' for name, text in lines)
    return f'<div class="jc-tile{style}" data-key="{label}">{inside}</div>'


def _pill(text: str, look: str) -> str:
    return f'<span class="jc-pill jc-{look}">{escape(text)}</span>'


def _bar(job: Row) -> str:
    """How many of a job's tasks are done, have failed, or were cancelled."""
    if not job["total"]:
        return '<span class="jc-faint">no task yet</span>'
    parts = (("good", "done"), ("bad", "failed"), ("off", "cancelled"))
    said = ", ".join(f"{job[key]:,} {key}" for _, key in parts if job[key]) or "none has ended"
    bars = "".join(
        f'<div class="jc-bar-{look}" style="width: {100 * job[key] / job["total"]:.1f}%"></div>'
        for look, key in parts
    )
    return f'<div class="jc-bar" title="{said}">{bars}</div>'


def _blank(text: str) -> str:
    return f'<div class="jc-blank">{escape(text)}</div>'


def _section(title: str, count: int, content: str) -> str:
    shown = f' <span class="jc-faint">{count:,}</span>' if count else ""
    return f'<div class="jc-heading">{title}{shown}</div><div class="jc-scroll">{content}</div>'


def _heads(names: Sequence[str], numbers: set[str]) -> str:
    cells = "".join(
        f'<th class="{"n" if name in numbers else ""}{_optional(name)}">{name}</th>'
        for name in names
    )
    return f"<thead><tr>{cells}</tr></thead>"


def _optional(name: str) -> str:
    return " jc-opt" if name in ("type", "memory", "age", "cost", "rate") else ""


def _row(key: str, cells: Iterable[tuple[str, str]]) -> str:
    inside = "".join(f'<td class="{look}">{content}</td>' for content, look in cells)
    return f'<tr data-key="{escape(key)}">{inside}</tr>'
