"""What agents deliver: results, what cells have shown, values. They repeat it until it is taken."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Any

from jupyter_cluster.head.jobs import Jobs
from jupyter_cluster.head.link import NodeLink
from jupyter_cluster.head.results import Results
from jupyter_cluster.wire import Block

# Acknowledgements are in no hurry: many travel in one message.
ACK_SECONDS = 0.02


class Intake:
    """Takes deliveries, and acknowledges each once it is in the journal.

    Parameters
    ----------
    links
        Connected nodes by the address of their worker.
    on_change
        Called when there may be something new to send.
    """

    def __init__(self, links: Mapping[str, NodeLink], on_change: Callable[[], None]) -> None:
        self.jobs: Jobs
        self._links = links
        self._on_change = on_change
        self._early: list[tuple[Callable[..., None], str, tuple[Any, ...]]] = []

    def retry_early(self) -> None:
        """Take what came before its job was known."""
        early, self._early = self._early, []
        for handler, worker, message in early:
            handler(worker, *message)

    def on_results(
        self,
        worker: str,
        seq: int,
        key: list[Any],
        statuses: bytes,
        block: list[Any],
        seconds: float,
    ) -> None:
        """Results of a bundle, or of a part of it."""
        link = self._links.get(worker)
        if link is None:  # refused above
            return
        unpacked = Block.unpack(block)
        if key[0] in self.jobs.deleted:
            self.acknowledge(link, seq)
            return
        job = self.jobs.by_id.get(key[0])
        if job is None or unpacked.stop > len(job.states):
            self._wait_for_job(self.on_results, worker, seq, key, statuses, block, seconds)
            return
        link.finished += len(unpacked)
        results = Results(job.id, link.id, statuses, unpacked)
        self.jobs.take(job, results, key[3], seconds, lambda: self.acknowledge(link, seq))
        self._on_change()

    def on_output(self, worker: str, seq: int, key: list[Any], number: int, data: bytes) -> None:
        """What a cell has shown."""
        if (link := self._links.get(worker)) is None:
            return
        job = self.jobs.by_id.get(key[0])
        if job is not None:
            acknowledge = lambda: self.acknowledge(link, seq)  # noqa: E731
            self.jobs.show(job, key[1], key[3], number, data, acknowledge)
        elif key[0] in self.jobs.deleted:
            self.acknowledge(link, seq)
        else:
            self._wait_for_job(self.on_output, worker, seq, key, number, data)

    def on_values(self, worker: str, seq: int, job: str, statuses: bytes, block: list[Any]) -> None:
        """Values that a cell gives back."""
        if (link := self._links.get(worker)) is None:
            return
        account = self.jobs.by_id.get(job)
        if account is not None:
            results = Results(job, link.id, statuses, Block.unpack(block))
            self.jobs.put(account, results, lambda: self.acknowledge(link, seq))
        elif job in self.jobs.deleted:
            self.acknowledge(link, seq)
        else:
            self._wait_for_job(self.on_values, worker, seq, job, statuses, block)

    def _wait_for_job(self, handler: Callable[..., None], worker: str, *message: Any) -> None:
        """Submitted to a head that died before its journal had it: the client will submit it
        again, and until then what comes of it waits."""
        self._early.append((handler, worker, message))

    def acknowledge(self, link: NodeLink, seq: int) -> None:
        """Tell a node that a delivery need not be repeated."""
        link.acks.append(seq)
        if len(link.acks) == 1:
            asyncio.get_running_loop().call_later(ACK_SECONDS, self._send_acks, link)

    def _send_acks(self, link: NodeLink) -> None:
        acks, link.acks = link.acks, []
        if link.lost_since is None:
            link.send({"op": "jc-ack", "seqs": acks})
