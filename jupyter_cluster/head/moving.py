"""Large results leave a node before it ends."""

from __future__ import annotations

import asyncio
import logging
from pathlib import Path

from jupyter_cluster.head.dispatcher import Dispatcher
from jupyter_cluster.head.fleet import Member
from jupyter_cluster.head.jobs import Jobs
from jupyter_cluster.head.results import remove_beside

logger = logging.getLogger("jupyter_cluster.head")

PART = 4_000_000


async def move_results(member: Member, jobs: Jobs, dispatcher: Dispatcher) -> None:
    """Bring what lies on a node to the head; what cannot be had is computed again elsewhere."""
    results = jobs.results
    for job, index in results.on_node(member.id):
        member.why = "its large results are being moved to the head"
        path = results.path(job, index)
        try:
            _node, size = results.stored[job, index]  # dropped meanwhile?
            await _copy(member.id, path, size, dispatcher)
        except Exception as error:  # also a full disk, and a node that answers with nonsense
            await asyncio.to_thread(path.unlink, missing_ok=True)
            logger.warning("result %s could not be moved: %r", path.name, error)
            continue
        if (job, index) in results.stored:
            results.moved_here(job, index)
        else:  # it was dropped meanwhile
            remove_beside(path)


async def _copy(node: str, path: Path, size: int, dispatcher: Dispatcher) -> None:
    with path.open("wb") as file:
        for offset in range(0, size, PART):
            piece = await dispatcher.call(
                node, op="jc-read", name=path.name, offset=offset, size=PART
            )
            if len(piece) < min(PART, size - offset):
                raise OSError(f"the file on {node} is not whole any more")
            await asyncio.to_thread(file.write, piece)
