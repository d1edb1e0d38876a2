"""What agents deliver: results, what cells have shown, values. They repeat it until it is taken."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Any

from jupyter_cluster.head.jobs import Jobs
from jupyter_cluster.head.link import Key, NodeLink, as_key
from jupyter_cluster.head.results import Results
from jupyter_cluster.wire import Block, Status

# What comes of jobs that nobody has submitted to this head waits up to so many bytes, each delivery
# counted as so many at least.
EARLY_BYTES, EARLY_LEAST = 64_000_000, 10_000
_TOO_MUCH = (
    "results are left out, too much waits for jobs that no client has submitted to this head:"
    " their tasks are run again when one does"
)
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
    on_left_out
        Called with a bundle of which results could not be kept: it is to be run again.
    log
        Writes into the diary.
    """

    def __init__(
        self,
        links: Mapping[str, NodeLink],
        on_change: Callable[[], None],
        on_left_out: Callable[[NodeLink, Key], None],
        log: Callable[[str, str], None],
    ) -> None:
        self.jobs: Jobs
        self._links = links
        self._on_change = on_change
        self._on_left_out = on_left_out
        self._log = log
        self._early: list[tuple[Callable[..., None], str, tuple[Any, ...]]] = []
        self._early_bytes = 0
        self._is_full = False

    def retry_early(self) -> None:
        """Take what came before its job was known."""
        early, self._early, self._early_bytes = self._early, [], 0
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
            self._take_early(link, worker, seq, key, statuses, unpacked, seconds)
            return
        link.finished += len(unpacked)
        results = Results(job.id, link.id, statuses, unpacked)
        self.jobs.take(job, results, key[3], seconds, lambda: self.acknowledge(link, seq))
        self._on_change()

    def _take_early(
        self,
        link: NodeLink,
        worker: str,
        seq: int,
        key: list[Any],
        statuses: bytes,
        block: Block,
        seconds: float,
    ) -> None:
        """Results of a job that is not known, or not so far."""
        # The dispatcher itself has ended a task of which nobody came to hear: no result of it.
        if (good := statuses.find(Status.CANCELLED)) >= 0:
            statuses, block = statuses[:good], block.cut(block.start, block.start + good)
        if not statuses:
            self.acknowledge(link, seq)
            return
        message = (key, statuses, block.pack(), seconds)
        if not self._wait_for_job(len(block.data), self.on_results, worker, seq, *message):
            self._on_left_out(link, as_key(key))
            self.acknowledge(link, seq)

    def on_output(self, worker: str, seq: int, key: list[Any], number: int, data: bytes) -> None:
        """What a cell has shown."""
        if (link := self._links.get(worker)) is None:
            return
        job = self.jobs.by_id.get(key[0])
        if job is not None:
            acknowledge = lambda: self.acknowledge(link, seq)  # noqa: E731
            self.jobs.show(job, key[1], key[3], number, data, acknowledge)
        elif key[0] in self.jobs.deleted or not self._wait_for_job(
            len(data), self.on_output, worker, seq, key, number, data
        ):
            self.acknowledge(link, seq)

    def on_values(self, worker: str, seq: int, job: str, statuses: bytes, block: list[Any]) -> None:
        """Values that a cell gives back."""
        if (link := self._links.get(worker)) is None:
            return
        account = self.jobs.by_id.get(job)
        unpacked = Block.unpack(block)
        if account is not None:
            results = Results(job, link.id, statuses, unpacked)
            self.jobs.put(account, results, lambda: self.acknowledge(link, seq))
        elif job in self.jobs.deleted or not self._wait_for_job(
            len(unpacked.data), self.on_values, worker, seq, job, statuses, block
        ):
            self.acknowledge(link, seq)

    def _wait_for_job(
        self, size: int, handler: Callable[..., None], worker: str, *message: Any
    ) -> bool:
        """Submitted to a head that died before its journal had it: the client will submit it
        again, and until then what comes of it waits; False where there is no room for it."""
        has_room = self._early_bytes + size <= EARLY_BYTES
        if has_room:
            self._early_bytes += max(size, EARLY_LEAST)
            self._early.append((handler, worker, message))
        elif not self._is_full:
            self._log("warning", _TOO_MUCH)
        self._is_full = not has_room
        return has_room

    def acknowledge(self, link: NodeLink, seq: int) -> None:
        """Tell a node that a delivery need not be repeated."""
        link.acks.append(seq)
        if len(link.acks) == 1:
            asyncio.get_running_loop().call_later(ACK_SECONDS, self._send_acks, link)

    def _send_acks(self, link: NodeLink) -> None:
        acks, link.acks = link.acks, []
        if link.lost_since is None:
            link.send({"op": "jc-ack", "seqs": acks})
