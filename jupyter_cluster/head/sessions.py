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
from pydantic import ValidationError, validate_call

from jupyter_cluster.background import Guard, describe, report, start_task
from jupyter_cluster.errors import ClusterError, JobError
from jupyter_cluster.head.asked import sentence
from jupyter_cluster.head.client_messages import (
    Blob,
    Count,
    Digest,
    Name,
    PackedBlock,
    Position,
    Ranges,
    References,
    spec_of,
)
from jupyter_cluster.head.job import DONE, Job
from jupyter_cluster.head.jobs import Jobs
from jupyter_cluster.head.outputs import Output
from jupyter_cluster.head.results import Results
from jupyter_cluster.identity import has_ended
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
# One whose process has ended never comes back; the end of its connection is a little earlier.
LOOK_SECONDS = 1.0

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
        writer = start_task(f"telling client {self.client}", self._write(), self._cut)
        try:
            while not self._ending:
                messages = await self._comm.read(deserializers=("msgpack",))
                if not isinstance(messages, (list, tuple)):
                    raise TypeError(f"messages came as a {type(messages).__name__}")
                for message in messages:
                    self._handle(message)
        except (CommClosedError, OSError):
            pass
        except Exception as error:  # what it sends cannot be read: it may try again
            logger.error("a client's connection is cut: %s", describe(error))
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

    def _cut(self, _error: BaseException) -> None:
        """Have the client connect again: it could be told nothing more on this connection."""
        self._comm.abort()

    def tell(self, **message: Any) -> None:
        """Queue a message to the client."""
        self._outbox.append(message)
        self._wake.set()

    def _tell_later(self, **message: Any) -> None:
        """Queue a message that is in no hurry: it travels with the next one."""
        self._outbox.append(message)
        asyncio.get_running_loop().call_later(ACK_SECONDS, self._wake.set)

    def _handle(self, message: Any) -> None:
        """Take a message; what is wrong with it is told to its job, and is no failure of ours."""
        known = {**message} if isinstance(message, dict) else {}
        operation = known.pop("op", None)
        handler = getattr(self, f"_on_{operation}", None) if isinstance(operation, str) else None
        self.last_activity = time.time()
        problem = ""
        try:
            if handler is None:
                raise JobError(f"the head knows no message of kind {str(operation)[:40]!a}")
            if not all(isinstance(key, str) for key in known):
                raise JobError(f"a message {operation!a} has a field whose name is no text")
            handler(**known)
        except ValidationError as error:
            problem = f"the head refuses a message: {sentence(error, operation)}"
        except (ClusterError, ValueError) as error:
            problem = str(error)
        except Exception as error:
            report(f"taking the message {operation!a} of a client", error)
            problem = f"the head failed: {describe(error)}"
        if problem:
            self.tell(op="problem", job=_job_of(known), text=problem)

    # -- what clients send --------------------------------------------------------------------

    # The signatures say what may come: pydantic checks each message against them.

    @validate_call
    def _on_code(self, fn: Digest, code: Blob) -> None:
        self._jobs.code.add_function(fn, code)

    @validate_call
    def _on_modules(self, digest: Digest, archive: Blob) -> None:
        self._jobs.code.add_modules(digest, archive)

    @validate_call
    def _on_job(self, spec: dict[str, Any]) -> None:
        wanted = spec_of(spec)
        if wanted.client != self.client:
            raise JobError(f"job {wanted.name!r} is not of the client that sends it")
        job = self._jobs.submit(wanted, self._acknowledging(wanted.id, 0))
        self._jobs.follow(job, self)
        self._tell_later(op="job", info=job.info().as_dict())

    @validate_call
    def _on_tasks(self, job: Name, block: PackedBlock, refs: References) -> None:
        unpacked = Block.unpack(block)
        if not all(unpacked.start <= index < unpacked.stop for index, _keys in refs):
            raise ValueError("refs stand among arguments that did not come with them")
        account = self._jobs.get(job)
        if account.spec.nodes and unpacked.stop > len(account.spec.nodes):
            raise ValueError("there are more tasks than nodes that they are to run on")
        safe = self._acknowledging(job, unpacked.stop)
        if account.spec.kind == "put":
            self._jobs.put(account, Results(job, "", bytes(len(unpacked)), unpacked), safe)
        else:
            self._jobs.add_tasks(account, unpacked, {i: list(keys) for i, keys in refs}, safe)

    def _acknowledging(self, job: str, stop: int) -> Callable[[], None]:
        """Tell, once the journal has it, that a job and its inputs so far need not be repeated."""
        return lambda: self._tell_later(op="taken", job=job, stop=stop)

    @validate_call
    def _on_seal(self, job: Name) -> None:
        account = self._jobs.get(job)
        self._jobs.seal(account)
        self.on_job(account)

    @validate_call
    def _on_follow(self, job: Name, outputs: Position = 0) -> None:
        """Tell what has ended so far, then what ends from now on; of a cell also what it shows.

        `outputs` is how many batches of output the client has.
        """
        account = self._jobs.get(job)
        if account.spec.client == self.client:
            self._jobs.welcome_back(account)
        for output in self._jobs.outputs.since(job, outputs):
            self.on_output(job, output)
        for start, states in account.runs_of_final():
            self.tell(op="ended", job=job, start=start, states=states)
        self._jobs.follow(account, self)
        self.on_job(account)

    @validate_call
    def _on_credit(self, size: Count) -> None:
        self._credit = min(CREDIT, self._credit + size)

    @validate_call
    def _on_cancel(self, job: Name, ranges: Ranges | None) -> None:
        if (account := self._jobs.by_id.get(job)) is None:
            return  # all refs were dropped, or it was deleted: nothing of it runs
        self._jobs.cancel(account, ranges)
        self.on_job(account)

    @validate_call
    def _on_release(self, job: Name, ranges: Ranges) -> None:
        """Refs were dropped; a job all of whose refs are gone is deleted."""
        if (account := self._jobs.by_id.get(job)) is not None:
            self._jobs.release(account, _within(account, ranges))

    @validate_call
    def _on_delete(self, job: Name) -> None:
        self._jobs.delete(self._jobs.get(job))

    @validate_call
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

    def on_deleted(self, job: Job) -> None:
        """Nothing more can be had of the job."""
        self.tell(op="deleted", job=job.id)

    @validate_call
    def _on_fetch(self, job: Name, ranges: Ranges) -> None:
        """The client reads these results; those that are not there yet follow when they are."""
        account = self._jobs.get(job)
        within = _within(account, ranges)
        for start, stop in within:
            for a, b in account.open_ranges(start, stop):
                self._wanted.setdefault(job, set()).update(range(a, b))
        self._in_background(job, self._send_results(job, within))

    async def _send_results(self, job: str, ranges: list[tuple[int, int]]) -> None:
        """A few at a time, each when those before it have left."""
        count = FETCH_TASKS
        for start, last in ranges:
            while start < last:
                stop = min(start + count, last)
                found = await self._jobs.results.find(job, start, stop)
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

    def _in_background(self, job: str, work: Coroutine[None, None, None]) -> None:
        def tell(error: BaseException) -> None:
            text = f"the head cannot read results: {describe(error)}"
            self.tell(op="problem", job=job, text=text)

        task = start_task(f"sending results of job {job}", work, tell)
        self._fetches.add(task)
        task.add_done_callback(self._fetches.discard)

    @validate_call
    def _on_fetch_stored(self, job: Name, index: Position) -> None:
        account = self._jobs.get(job)
        if index >= len(account.states):
            raise ValueError(f"job {account.spec.name!r} has no task {index}")
        self._in_background(job, self._send_stored(account, index))

    async def _send_stored(self, job: Job, index: int) -> None:
        """A large result, in parts; where its node was lost, it is being computed again."""
        location = self._jobs.results.stored.get((job.id, index))
        if location is None:
            found = await self._jobs.results.find(job.id, index, index + 1)
            again = job.states[index] != DONE or bool(found)
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


def _job_of(message: dict[str, Any]) -> str:
    """Which job a message is about, however wrong it is; empty where that cannot be told."""
    spec = message.get("spec")
    job = spec.get("id") if isinstance(spec, dict) else message.get("job")
    return job if isinstance(job, str) else ""


def _within(job: Job, ranges: Ranges) -> list[tuple[int, int]]:
    """The parts of ranges that the job has."""
    return [(start, min(stop, len(job.states))) for start, stop in ranges]


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
        self._processes: dict[str, str] = {}
        self._last_activity = time.time()

    async def on_client(
        self, comm: Any, client: str, protocol: int, python: str, process: str = ""
    ) -> Any:
        """A client has connected (a handler of the scheduler); returns when it goes.

        `process` is its `identity`.
        """
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
        self._processes[client] = process
        session.tell(op="welcome", cluster=self._cluster_id)
        left = await session.serve()
        self._last_activity = self.last_activity
        if self._connected.get(client) is session:
            del self._connected[client]
            self._on_gone(client, left)
        return DaskStatus.dont_reply

    def _on_gone(self, client: str, left: bool) -> None:
        if left:
            self._guarded(self._drop, client)
            return
        loop = asyncio.get_running_loop()
        steps = (
            (LOOK_SECONDS, self._drop_if_ended),
            (SEAL_SECONDS, self._drop_if_ended),
            (SEAL_SECONDS, self._jobs.seal_client),
            (DROP_SECONDS, self._drop),
        )
        self._timers[client] = [
            loop.call_later(seconds, self._guarded, step, client) for seconds, step in steps
        ]

    def _drop_if_ended(self, client: str) -> None:
        if has_ended(self._processes.get(client, "")):
            self._drop(client)

    def _drop(self, client: str) -> None:
        for timer in self._timers.pop(client, ()):
            timer.cancel()
        self._processes.pop(client, None)
        self._jobs.drop_client(client)

    def _guarded(self, work: Callable[[str], None], client: str) -> None:
        with Guard(f"what follows when client {client} is gone"):
            work(client)

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
