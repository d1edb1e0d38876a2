"""Which node a bundle goes to.

The fullest that has room, so that other nodes can end; where only room ahead of time is left, the
emptiest. Tasks without GPU leave GPU nodes to those with, and large tasks and cells get their turn.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping

from jupyter_cluster.head.bundles import bundle_seconds
from jupyter_cluster.head.job import Job
from jupyter_cluster.head.link import NodeLink
from jupyter_cluster.resources import GPU, Resources

# A task that found no room for this long gets a node reserved.
RESERVE_SECONDS = 0.5


class Placement:
    """One round of handing out work.

    Parameters
    ----------
    links
        All nodes.
    ready
        The jobs that have tasks to send, by id.
    """

    def __init__(self, links: Iterable[NodeLink], ready: Mapping[str, Job]) -> None:
        self.nodes = [link for link in links if link.accepts]
        self._ready = ready
        self._gpu_shapes = {job.shape for job in ready.values() if job.shape.get(GPU)}
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
        """The node for a bundle of this job; None where none has room."""
        seconds = bundle_seconds(job)
        fitting = [
            node
            for node in self.nodes
            if node.reserved_for in ("", job.id)
            and node.has_room(job.shape, seconds)
            and self._leaves_gpus(node, job.shape)
        ]
        if fitting:
            job.blocked_since = None
            return min(fitting, key=lambda node: _preference(node, job.shape))
        self._reserve(job)
        return None

    def _leaves_gpus(self, node: NodeLink, shape: Resources) -> bool:
        """Whether GPU tasks that wait could still use the node's GPUs after such a task."""
        if not self._gpu_shapes or shape.get(GPU) or not node.capacity.get(GPU):
            return True
        free = node.free
        after = free.plus(shape, -1)
        return all(
            wanted.fits(after) or wanted.get(GPU) > free.get(GPU) for wanted in self._gpu_shapes
        )

    def _reserve(self, job: Job) -> None:
        """A large task that always finds a node partly taken gets one to itself."""
        now = time.monotonic()
        job.blocked_since = job.blocked_since or now
        patience = 0 if job.is_cell else RESERVE_SECONDS
        if now - job.blocked_since < patience or len(self._ready) < 2:
            return
        able = [n for n in self.nodes if job.shape.fits(n.capacity) and not n.reserved_for]
        if able and not any(node.reserved_for == job.id for node in self.nodes):
            min(able, key=lambda node: node.load).reserved_for = job.id


def _preference(node: NodeLink, shape: Resources) -> tuple[bool, bool, float]:
    wastes_gpu = bool(node.capacity.get(GPU)) and not shape.get(GPU)
    is_ahead = not node.could_start(shape)
    return is_ahead, wastes_gpu, node.load if is_ahead else -node.load
