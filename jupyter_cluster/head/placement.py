"""Which node a bundle goes to: the emptiest that has room, and large tasks get their turn."""

from __future__ import annotations

import time
from collections.abc import Collection, Iterable

from jupyter_cluster.head.bundles import bundle_seconds
from jupyter_cluster.head.job import Job
from jupyter_cluster.head.link import NodeLink
from jupyter_cluster.model import Resources

# A task that found no room for this long gets a node reserved.
RESERVE_SECONDS = 0.5


class Placement:
    """One round of handing out work.

    Parameters
    ----------
    links
        All nodes.
    ready
        Ids of the jobs that have tasks to send.
    """

    def __init__(self, links: Iterable[NodeLink], ready: Collection[str]) -> None:
        self.nodes = [link for link in links if link.accepts]
        self._ready = ready
        self._slots: dict[Resources, int] = {}
        for node in self.nodes:
            if node.reserved_for not in ready:  # that job has ended, or needs it no more
                node.reserved_for = ""

    def slots(self, shape: Resources) -> int:
        """How many tasks of a shape the nodes can run at a time."""
        if shape not in self._slots:
            self._slots[shape] = sum(node.slots_for(shape) for node in self.nodes)
        return self._slots[shape]

    def has_free_node(self) -> bool:
        """Whether a node could start something at once."""
        return any(node.load < 1 for node in self.nodes)

    def choose(self, job: Job) -> NodeLink | None:
        """The emptiest node with room for a bundle of this job."""
        seconds = bundle_seconds(job)
        fitting = [
            node
            for node in self.nodes
            if node.reserved_for in ("", job.id) and node.has_room(job.shape, seconds)
        ]
        if fitting:
            job.blocked_since = None
            return min(fitting, key=lambda node: node.load)
        self._reserve(job)
        return None

    def _reserve(self, job: Job) -> None:
        """A large task that always finds a node partly taken gets one to itself."""
        now = time.monotonic()
        job.blocked_since = job.blocked_since or now
        if now - job.blocked_since < RESERVE_SECONDS or len(self._ready) < 2:
            return
        able = [n for n in self.nodes if job.shape.fits(n.capacity) and not n.reserved_for]
        if able and not any(node.reserved_for == job.id for node in self.nodes):
            min(able, key=lambda node: node.load).reserved_for = job.id
