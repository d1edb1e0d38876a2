"""Figures of a cluster that several parts of the view speak of."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from jupyter_cluster.formats import format_seconds
from jupyter_cluster.model import NodeState

Told = Mapping[str, Any]


def is_working(job: Told) -> bool:
    """Whether tasks of a job are to be run: one of calls stays open when all of them have ended."""
    has_tasks = job["kind"] != "calls" or job["queued"] or job["running"]
    return job["state"] == "running" and bool(has_tasks)


def unit_of(jobs: Sequence[Told]) -> str:
    """What the tasks of these jobs work on; ``task`` where they differ."""
    units = {job["unit"] for job in jobs if job["kind"] != "cell"}
    return str(units.pop()) if len(units) == 1 else "task"


def node_counts(nodes: Sequence[Told]) -> tuple[int, int, int]:
    """How many nodes are ready, on their way up, and on their way out."""
    states = [node["state"] for node in nodes]
    coming = sum(is_pending(state) for state in states)
    return states.count(NodeState.READY), coming, states.count(NodeState.DRAINING)


def is_pending(state: str) -> bool:
    """Whether a node is on its way up; a state of a newer head's is none that is known."""
    return state in set(NodeState) and NodeState(state).is_pending


def seconds_left(jobs: Sequence[Told]) -> str | None:
    """Until these jobs end at their present rate, as words; None where nobody can tell."""
    known = [job for job in jobs if job["sealed"] and job["kind"] != "cell" and job["rate"]]
    if not known or len(known) < len([job for job in jobs if job["kind"] != "cell"]):
        return None
    return format_seconds(max((job["queued"] + job["running"]) / job["rate"] for job in known))


def since(moment: float, now: float) -> str:
    """How long ago a moment was, in whole seconds at least."""
    return format_seconds(float(round(max(0.0, now - moment))))
