"""What a task that has not begun waits for, as a sentence with the expected time. Pure."""

from __future__ import annotations

import time
from collections.abc import Collection, Mapping
from dataclasses import dataclass

from jupyter_cluster.formats import format_seconds
from jupyter_cluster.head.fleet import Member
from jupyter_cluster.head.job import Job
from jupyter_cluster.head.link import NodeLink
from jupyter_cluster.model import Limits, NodeState, NodeType
from jupyter_cluster.resources import unmarked


@dataclass(frozen=True)
class Place:
    """The cluster as a waiting task sees it."""

    links: Collection[NodeLink]
    members: Collection[Member]
    node_types: Mapping[str, NodeType]
    limits: Limits
    problems: tuple[str, ...] = ()


def why_waiting(job: Job, place: Place) -> str:
    """Why the next task of a job has not begun; empty where it has."""
    if not job.queued:
        return ""
    if place.problems:
        return place.problems[0]
    if job.pinned:
        return "waiting for the node that it has to run on"
    coming = [m for m in place.members if m.state.is_pending and _could_hold(m, job, place)]
    if coming:
        first = min(coming, key=lambda member: _seconds_left(member, place))
        left = _seconds_left(first, place)
        expected = f"about {format_seconds(left)}" if left > 0 else "any moment now"
        return f"waiting for a node: {first.id} is {_stage(first)}, {expected}"
    able = [link for link in place.links if job.shape.fits(link.capacity)]
    if not able:
        return "waiting for a node: one is being asked for"
    if all(link.pressure for link in able):
        refused = f"the disk of {able[0].id} refuses files ({able[0].pressure})"
        return f"waiting for a node: {refused}"
    alive = sum(not member.state.is_gone for member in place.members)
    busy = f"{len(able)} node{'s are' if len(able) > 1 else ' is'} busy"
    if alive >= place.limits.max_workers:
        return f"waiting for a free slot: {busy}, and there may be no more (max_workers is {alive})"
    return f"waiting for a free slot: {busy}"


def _could_hold(member: Member, job: Job, place: Place) -> bool:
    node_type = place.node_types.get(member.type)
    return node_type is not None and unmarked(job.shape).fits(node_type.resources)


def _seconds_left(member: Member, place: Place) -> float:
    return place.node_types[member.type].boot_seconds - (time.time() - member.since)


def _stage(member: Member) -> str:
    return "requested" if member.state is NodeState.REQUESTED else member.state.value
