"""The connected clients: what they submit, and what they are told.

A client that falls behind is not flooded: results are pushed up to a credit, beyond it only the
news that they are there, and the client fetches them when it reads them.
"""

from __future__ import annotations

import asyncio
import logging
import platform
import time
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

from distributed.comm import CommClosedError
from distributed.core import Status as DaskStatus

from jupyter_cluster.errors import ClusterError, JobError
from jupyter_cluster.head.job import DONE, Job, JobSpec
from jupyter_cluster.head.jobs import Jobs
from jupyter_cluster.head.outputs import Output
from jupyter_cluster.head.results import Results
from jupyter_cluster.wire import PROTOCOL, Block

logger = logging.getLogger("jupyter_cluster.head")

# Bytes of results that a client may have unread.
CREDIT = 64_000_000
PART = 4_000_000
# Results of at most 1 MB each are read from the journal this many at a time, and more while they
# are small.
FETCH_TASKS = 64
ACK_SECONDS = 0.02
# A client that has not come back after this is taken for gone: what it fed is sealed, until it is
# back after all.
SEAL_SECONDS = 30.0
# A client that has not come back after this is gone for good: its refs are dropped. A laptop may
# sleep for an hour and more.
DROP_SECONDS = 4 * 3600.0

ReadStored = Callable[[str, int, int, int], Awaitable[bytes]]


class Session:
    """One connection of a client."""

    def __init__(self, comm: Any, client: str, jobs: Jobs, read_stored: ReadStored) -> None:
        self.client = client
        self.last_activity = time.time()
        self._comm = comm
        self._jobs = jobs
        self._read_stored = read_stored
        self._outbox: list[dict[str, Any]] = []
        self._wake = asyncio.Event()
        self._waiting: list[asyncio.Event] = []
        self._credit = CREDIT
        self._ending = False
        self._fetches: set[asyncio.Task[None]] = set()
        self._wanted: dict[str, set[int]] = {}

    # -- the connection -----------------------------------------------------------------------

    async def serve(self) -> bool:
        """Until the client goes; whether it took its leave, rather than being lost."""
        writer = asyncio.create_task(self._write())
        try:
            while not self._ending:
                for message in await self._comm.read(deserializers=("msgpack",)):
                    await self._handle(message)
        except (CommClosedError, OSError):
            pass
        finally:
            writer.cancel()
            for fetch in self._fetches:
                fetch.cancel()
            self._jobs.unfollow(self)
            self._comm.abort()
        return self._ending

    async def _write(self) -> None:
        try:
            while True:
                await self._wake.wait()
                self._wake.clear()
                outbox, self._outbox = self._outbox, []
                waiting, self._waiting = self._waiting, []
                if outbox:
                    await self._comm.write(outbox, serializers=("msgpack",))
                for event in waiting:
                    event.set()
        except (CommClosedError, OSError):
            self._comm.abort()

    def tell(self, **message: Any) -> None:
        """Queue a message to the client."""
        self._outbox.append(message)
        self._wake.set()

    def _tell_later(self, **message: Any) -> None:
        """Queue a message that is in no hurry: it travels with the next one."""
        self._outbox.append(message)
        asyncio.get_running_loop().call_later(ACK_SECONDS, self._wake.set)

    async def _handle(self, message: dict[str, Any]) -> None:
        operation = message.pop("op")
        self.last_activity = time.time()
        try:
            getattr(self, f"_on_{operation}")(**message)
        except (ClusterError, ValueError) as error:
            self.tell(op="problem", job=message.get("job", ""), text=str(error))
        except Exception as error:
            logger.exception("message %r of a client", operation)
            self.tell(op="problem", job=message.get("job", ""), text=f"the head failed: {error!r}")

    # -- what clients send --------------------------------------------------------------------

    def _on_code(self, fn: str, code: bytes) -> None:
        self._jobs.add_function(fn, code)

    def _on_modules(self, digest: str, archive: bytes) -> None:
        self._jobs.add_modules(digest, archive)

    def _on_job(self, spec: dict[str, Any]) -> None:
        job = self._jobs.submit(JobSpec(**spec))
        self._jobs.follow(job, self)
        self._tell_later(op="job", info=job.info().as_dict())

    def _on_tasks(self, job: str, block: list[Any], refs: list[tuple[int, list[str]]]) -> None:
        unpacked = Block.unpack(block)
        account = self._jobs.get(job)
        safe = self._acknowledging(job, unpacked)
        if account.spec.kind == "put":
            self._jobs.put(account, Results(job, "", bytes(len(unpacked)), unpacked), safe)
        else:
            self._jobs.add_tasks(account, unpacked, {i: list(keys) for i, keys in refs}, safe)

    def _acknowledging(self, job: str, block: Block) -> Callable[[], None]:
        return lambda: self._tell_later(op="taken", job=job, stop=block.stop)

    def _on_seal(self, job: str) -> None:
        account = self._jobs.get(job)
        self._jobs.seal(account)
        self.on_job(account)

    def _on_follow(self, job: str, outputs: int = 0) -> None:
        """Tell what has ended so far, then what ends from now on; of a cell also what it shows.

        `outputs` is how many batches of output the client has.
        """
        account = self._jobs.get(job)
        for output in self._jobs.outputs.since(job, outputs):
            self.on_output(job, output)
        for start, states in account.runs_of_final():
            self.tell(op="ended", job=job, start=start, states=states)
        self._jobs.follow(account, self)
        self.on_job(account)

    def _on_credit(self, size: int) -> None:
        self._credit += size

    def _on_cancel(self, job: str, ranges: list[list[int]] | None) -> None:
        account = self._jobs.get(job)
        self._jobs.cancel(account, None if ranges is None else [(a, b) for a, b in ranges])
        self.on_job(account)

    def _on_release(self, job: str, ranges: list[list[int]]) -> None:
        """Refs were dropped; a job all of whose refs are gone is deleted."""
        account = self._jobs.by_id.get(job)
        if account is not None:
            self._jobs.release(account, [(start, stop) for start, stop in ranges])

    def _on_delete(self, job: str) -> None:
        self._jobs.delete(self._jobs.get(job))

    def _on_leave(self) -> None:
        self._ending = True

    # -- what clients are told ----------------------------------------------------------------

    def on_results(self, results: Results) -> None:
        """Results of a job that the client follows."""
        wanted = self._wanted.get(results.job)
        is_wanted = bool(wanted) and not wanted.isdisjoint(  # type: ignore[union-attr]
            range(results.block.start, results.block.stop)
        )
        if is_wanted or self._credit > 0:
            self._push(results)
        else:
            states = self._jobs.by_id[results.job].states
            part = bytes(states[results.block.start : results.block.stop])
            self.tell(op="ended", job=results.job, start=results.block.start, states=part)

    def _push(self, results: Results) -> None:
        self._credit -= results.size
        if wanted := self._wanted.get(results.job):
            wanted.difference_update(range(results.block.start, results.block.stop))
        self.tell(
            op="results",
            job=results.job,
            node=results.node,
            statuses=results.statuses,
            block=results.block.pack(),
        )

    def on_output(self, job: str, output: Output) -> None:
        """What a cell has shown."""
        self.tell(
            op="output",
            job=job,
            position=output.position,
            index=output.index,
            data=output.data,
        )

    def on_job(self, job: Job) -> None:
        """The job as a whole has changed."""
        self.tell(op="job", info=job.info().as_dict())

    def _on_fetch(self, job: str, ranges: list[list[int]]) -> None:
        """The client reads these results; those that are not there yet follow when they are."""
        account = self._jobs.get(job)
        for start, stop in ranges:
            for a, b in account.open_ranges(start, stop):
                self._wanted.setdefault(job, set()).update(range(a, b))
        self._in_background(self._send_results(job, [(a, b) for a, b in ranges]))

    async def _send_results(self, job: str, ranges: list[tuple[int, int]]) -> None:
        """A few at a time, each when those before it have left."""
        count = FETCH_TASKS
        for start, last in ranges:
            while start < last:
                stop = min(start + count, last)
                found = self._jobs.results.find(job, start, stop)
                for results in found:
                    self._push(results)
                await self._sent()
                start = stop
                if sum(results.size for results in found) < PART:
                    count *= 2

    async def _sent(self) -> None:
        """What is queued for the client has been handed to the connection."""
        event = asyncio.Event()
        self._waiting.append(event)
        self._wake.set()
        await event.wait()

    def _in_background(self, work: Coroutine[None, None, None]) -> None:
        task = asyncio.create_task(work)
        self._fetches.add(task)
        task.add_done_callback(self._fetches.discard)

    def _on_fetch_stored(self, job: str, index: int) -> None:
        self._in_background(self._send_stored(self._jobs.get(job), index))

    async def _send_stored(self, job: Job, index: int) -> None:
        """A large result, in parts; where its node was lost, it is being computed again."""
        location = self._jobs.results.stored.get((job.id, index))
        if location is None:
            again = job.states[index] != DONE or bool(
                self._jobs.results.find(job.id, index, index + 1)
            )
            self.tell(op="gone", job=job.id, index=index, again=again)
            return
        size = location[1]
        try:
            for offset in range(0, size, PART):
                data = await self._read_stored(job.id, index, offset, PART)
                self.tell(op="part", job=job.id, index=index, size=size, offset=offset, data=data)
                await self._sent()
        except (OSError, KeyError, JobError):
            self.tell(op="gone", job=job.id, index=index, again=True)


class Sessions:
    """All clients that are connected, and those that were.

    A client that is connected and does nothing is not active: an open notebook that nobody looks
    at does not keep a cluster alive.
    """

    def __init__(self, cluster_id: str, jobs: Jobs, read_stored: ReadStored) -> None:
        self._cluster_id = cluster_id
        self._jobs = jobs
        self._read_stored = read_stored
        self._connected: dict[str, Session] = {}
        self._timers: dict[str, list[asyncio.TimerHandle]] = {}
        self._last_activity = time.time()

    async def on_client(self, comm: Any, client: str, protocol: int, python: str) -> Any:
        """A client has connected (a handler of the scheduler); returns when it goes."""
        here = platform.python_version_tuple()[:2]
        if protocol != PROTOCOL or tuple(python.split(".")[:2]) != here:
            text = (
                f"this client speaks protocol {protocol} on Python {python}, the cluster"
                f" protocol {PROTOCOL} on Python {platform.python_version()}: functions cannot"
                " travel between them; use the same versions on both sides"
            )
            await comm.write([{"op": "refused", "text": text}], serializers=("msgpack",))
            await comm.close()
            return DaskStatus.dont_reply
        for timer in self._timers.pop(client, ()):
            timer.cancel()
        session = self._connected[client] = Session(comm, client, self._jobs, self._read_stored)
        session.tell(op="welcome", cluster=self._cluster_id)
        left = await session.serve()
        self._last_activity = self.last_activity
        if self._connected.get(client) is session:
            del self._connected[client]
            self._on_gone(client, left)
        return DaskStatus.dont_reply

    def _on_gone(self, client: str, left: bool) -> None:
        if left:
            self._jobs.drop_client(client)
            return
        loop = asyncio.get_running_loop()
        self._timers[client] = [
            loop.call_later(SEAL_SECONDS, self._jobs.seal_client, client),
            loop.call_later(DROP_SECONDS, self._jobs.drop_client, client),
        ]

    def watch_for_return(self) -> None:
        """After a restart of the head: clients come back, or have gone meanwhile."""
        for client in {job.spec.client for job in self._jobs.by_id.values()}:
            if client not in self._connected:
                self._on_gone(client, left=False)

    @property
    def last_activity(self) -> float:
        """When a client last did something (Unix time)."""
        times = [session.last_activity for session in self._connected.values()]
        return max(times, default=self._last_activity)

    @property
    def count(self) -> int:
        """How many clients are connected."""
        return len(self._connected)
