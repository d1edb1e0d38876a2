"""How a bundle reaches its node: with its function, its modules, and the values that it reads."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Any

from jupyter_cluster.head.bundles import bundle_message, bundle_seconds, fitting_until, refs_of
from jupyter_cluster.head.job import Job, Range
from jupyter_cluster.head.jobs import Jobs
from jupyter_cluster.head.link import Key, NodeLink, Outstanding, as_key
from jupyter_cluster.resources import Resources
from jupyter_cluster.wire import cut_blocks

logger = logging.getLogger("jupyter_cluster.head")

# How long after a failed transfer of a value its bundle goes back to the queue.
TRANSFER_SECONDS = 0.3

Message = dict[str, Any]


class Sender:
    """Gathers bundles, and sends those of one round to each node in one message.

    Parameters
    ----------
    value_of
        Brings the value of a ref.
    on_failed
        Called with a bundle that could not be sent.
    """

    def __init__(
        self,
        value_of: Callable[[str], Awaitable[bytes]],
        on_failed: Callable[[NodeLink, Key], None],
    ) -> None:
        self.jobs: Jobs
        self._value_of = value_of
        self._on_failed = on_failed
        self._ready: dict[str, tuple[NodeLink, list[Message]]] = {}
        self._transfers: set[asyncio.Task[None]] = set()

    def add(
        self, job: Job, taken: Range, link: NodeLink, shape: Resources, begins_session: bool
    ) -> bool:
        """A bundle for a node, of which it holds this shape; False while its inputs are read."""
        blocks = self.jobs.inputs.find(job, taken.start, taken.stop)
        within = fitting_until(blocks) if blocks else taken.start
        if within < taken.stop:
            job.requeue(within, taken.stop, taken.attempt)
            blocks = cut_blocks(blocks, taken.start, within)
            taken.stop = within
        if not blocks:
            return False
        job.last_size = taken.stop - taken.start
        key = (job.id, taken.start, taken.stop, taken.attempt)
        link.hold(Outstanding(key, shape, bundle_seconds(job), begins_session=begins_session))
        refs = refs_of(job, taken)
        message = bundle_message(job, key, blocks, refs, begins_session)
        if job.spec.fn:
            self._send_needed(link, "jc-code", job.spec.fn)
        if digest := job.spec.environment.get("modules"):
            self._send_needed(link, "jc-modules", digest)
        if missing := [ref for ref in refs if ref not in link.values]:
            self._transfer(link, missing, message)
        else:
            self._ready.setdefault(link.id, (link, []))[1].append(message)
        return True

    def flush(self) -> None:
        """Send what was gathered."""
        ready, self._ready = self._ready, {}
        for link, bundles in ready.values():
            link.send({"op": "jc-run", "bundles": bundles})

    def _send_needed(self, link: NodeLink, operation: str, digest: str) -> None:
        """A function or modules, once to each node."""
        if digest in link.sent:
            return
        code = self.jobs.code
        if operation == "jc-code":
            link.send({"op": operation, "fn": digest, "code": code.function(digest)})
        else:
            link.send({"op": operation, "digest": digest, "archive": code.modules(digest)})
        link.sent.add(digest)

    def _transfer(self, link: NodeLink, refs: list[str], message: dict[str, Any]) -> None:
        """Bring values to the node first, then the bundle that reads them."""

        async def transfer() -> None:
            try:
                for ref in refs:
                    if ref not in link.values:
                        data = await self._value_of(ref)
                        link.send({"op": "jc-value", "key": ref, "data": data})
                        link.values.add(ref)
                link.send({"op": "jc-run", "bundles": [message]})
            except Exception as error:
                # A node that went, a value that was lost: both are run again and come back here.
                logger.info("bundle %s cannot be sent yet: %r", message["key"], error)
                await asyncio.sleep(TRANSFER_SECONDS)
                self._on_failed(link, as_key(message["key"]))

        task = asyncio.get_running_loop().create_task(transfer())
        self._transfers.add(task)
        task.add_done_callback(self._transfers.discard)
