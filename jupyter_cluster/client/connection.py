"""The client's connection to the head: one thread, one stream, made again when it breaks.

What was submitted and not yet acknowledged is kept and sent again; what ended meanwhile is told
again. So a head that is restarted, or a laptop that was asleep, costs nothing but time.
"""

from __future__ import annotations

import asyncio
import contextlib
import platform
import threading
import time
import uuid
from collections import deque
from collections.abc import Callable
from typing import Any

from jupyter_cluster.background import Guard, describe, start_thread
from jupyter_cluster.client.absence import Absence
from jupyter_cluster.client.channel import JobChannel
from jupyter_cluster.client.forks import track, tracked
from jupyter_cluster.client.incoming import Incoming
from jupyter_cluster.client.registry import Entry
from jupyter_cluster.client.tunnel import address_of
from jupyter_cluster.errors import (
    ClusterError,
    ConnectionLostError,
    GetTimeoutError,
    JobError,
    UsageError,
)
from jupyter_cluster.identity import identity
from jupyter_cluster.trust import Role, dask_security, require_role
from jupyter_cluster.wire import PROTOCOL, spans

RECONNECT_SECONDS = 0.2
# How long the head may be away before calls that wait for it give up.
AWAY_SECONDS = 60.0
# The same for a head on another host: a laptop sleeps, a train is in a tunnel.
AWAY_HOSTED_SECONDS = 4 * 3600.0
# Bytes of inputs that may be on their way to the head's journal.
MAX_UNTAKEN = 64_000_000
RELEASE_SECONDS = 0.2
_LOOK_SECONDS = 0.02
# Messages that may arrive twice. Submissions are repeated from what is kept of them; a fetch by
# who waits for it.
_REPEATABLE = {"cancel", "delete"}
# What is said again of each job on a new connection, from what its channel keeps.
_SUBMISSIONS = {"code", "modules", "job", "tasks", "seal", "follow"}
# What a network does; a connection that ends by anything else so often in a row is of no use.
_LOST = (OSError, TimeoutError, PermissionError, EOFError, ConnectionLostError)
MAX_ODD = 5
# A connection that has lasted this long was of use.
STEADY_SECONDS = 30.0


def settle(place: Entry, seconds: float) -> None:
    """Wait until the head of a cluster knows all that this process has submitted to it, or for so
    many seconds: who asks it then what it works on is told of that too."""
    deadline = time.monotonic() + seconds
    for one in tracked():
        if not isinstance(one, Connection) or not one.is_to(place) or one.is_lost:
            continue
        waits = one.unsettled()
        while waits() and time.monotonic() < deadline:
            time.sleep(_LOOK_SECONDS)


class Connection:
    """Speaks with the head of one cluster on a thread of its own.

    Attributes
    ----------
    changed : Condition
        Guards all channels; notified whenever something has come.
    arrived : int
        Grows with each task that ends, and where a job is refused.
    connections : int
        How often a connection was made: what was asked for on one goes with it.
    is_of_parent : bool
        This process was forked from the one that speaks with the head here.
    """

    def __init__(self, entry: Entry) -> None:
        self.client = uuid.uuid4().hex[:12]
        self.changed = threading.Condition()
        self.channels: dict[str, JobChannel] = {}
        self._entry = entry
        self._queue: deque[dict[str, Any]] = deque()
        self._released: deque[tuple[str, int]] = deque()
        self._closed = False
        self._failure: ClusterError | None = None
        self.arrived = 0
        self._forgotten = 0  # what has arrived of jobs that are not kept any more
        self._connected = False
        self.connections = 0
        self._away_since = time.monotonic()
        self._absence = Absence(entry)
        self._incoming = Incoming(self)
        self._guard = Guard(f"the connection to cluster {entry.name!r}")
        self._odd = 0
        self._rounds = 0  # of looking for what is to be sent
        self._wake: asyncio.Event
        self._loop: asyncio.AbstractEventLoop
        self._started = threading.Event()
        self.is_of_parent = False
        track(self)
        self._thread = start_thread(f"jupyter_cluster {entry.name}", self._run, self._has_died)
        self._started.wait()

    # -- for the other threads ----------------------------------------------------------------

    def open(self, channel: JobChannel) -> None:
        """Submit a job, or follow one that is known to the head.

        Raises
        ------
        UsageError
            What it is made from cannot be sent.
        """
        for message in channel.opening:
            if message["op"] == "job":
                _require_plain(message["spec"])
        with self.changed:
            self.channels[channel.job] = channel
            self._queue.extend(channel.submission)
        self.wake()

    def channel(self, job: str) -> JobChannel:
        """The traffic of a job.

        Raises
        ------
        JobError
            It was deleted.
        """
        try:
            return self.channels[job]
        except KeyError:
            raise JobError(f"job {job} was deleted") from None

    def forget(self, channel: JobChannel) -> None:
        """Keep nothing of a job any more; with the condition held."""
        if self.channels.pop(channel.job, None) is not None:
            self._forgotten += channel.arrived

    def send(self, **message: Any) -> None:
        """Send a message that need not be repeated after a reconnection.

        One about a job leaves behind what was submitted to the job before.
        """
        channel = self.channels.get(message.get("job", ""))
        if channel is not None and not channel.problem:
            channel.behind.append(message)
        else:
            self._queue.append(message)
        self.wake()

    def wake(self) -> None:
        """There is something to send."""
        self.raise_if_lost()
        with contextlib.suppress(RuntimeError):  # the loop has just closed
            self._loop.call_soon_threadsafe(self._wake.set)

    def is_to(self, place: Entry) -> bool:
        """Whether it is of this process and leads to this cluster."""
        return self._entry == place and not self.is_of_parent

    def unsettled(self) -> Callable[[], bool]:
        """Whether the head may not yet have what was submitted before this moment."""
        seen = self._rounds

        def waits() -> bool:
            with self.changed:
                if self._rounds < seen + 2:  # the one under way may have missed the last calls
                    return True
                return any(
                    (one.opening or one.untaken) and not one.problem
                    for one in self.channels.values()
                )

        return waits

    def release(self, job: str, index: int) -> None:
        """A ref was dropped; called by the garbage collector, so it takes no lock."""
        self._released.append((job, index))

    def wait_until(self, predicate: Callable[[], bool], timeout: float | None, what: str) -> None:
        """Wait, with the condition held, until something is so.

        Raises
        ------
        GetTimeoutError
            It was not so in time.
        ConnectionLostError
            The head is gone.
        """
        deadline = None if timeout is None else time.monotonic() + timeout
        while not predicate():
            self.raise_if_lost()
            # Woken at least twice a second, to notice a head that does not come back.
            pause = 0.5 if deadline is None else min(0.5, deadline - time.monotonic())
            if pause <= 0:
                raise GetTimeoutError(f"{what} after {timeout:.3g} s; the work goes on")
            try:
                self.changed.wait(pause)
            except KeyboardInterrupt as interrupt:
                interrupt.add_note(
                    "The work goes on on the cluster; job.cancel() or jc.cancel(ref) ends it."
                )
                raise

    def wait_for(self, predicate: Callable[[], bool], timeout: float) -> bool:
        """Wait at most so many seconds until something is so; whether it is.

        Raises
        ------
        ConnectionLostError
            The head is gone.
        """
        with self.changed:
            try:
                self.wait_until(predicate, timeout, "")
            except GetTimeoutError:
                return False
        return True

    @property
    def is_lost(self) -> bool:
        """Whether it was closed or the cluster has ended; a head that is away may come back."""
        return self._closed or self._failure is not None

    def raise_if_lost(self) -> None:
        """Say it where the connection is of no use any more."""
        if self.is_of_parent:
            raise ConnectionLostError(
                "this ref or job belongs to the process that this one was forked from: get its"
                " value there, or submit the work here"
            )
        if self._failure is not None:
            raise self._failure
        if self._closed:
            raise ConnectionLostError(f"the connection to {self._entry.name!r} was closed")
        allowed = AWAY_HOSTED_SECONDS if self._entry.is_hosted else AWAY_SECONDS
        if not self._connected and time.monotonic() - self._away_since > allowed:
            raise ConnectionLostError(
                f"the head of cluster {self._entry.name!r} has been away for"
                f" {allowed:.0f} s; finished work is in its journal"
            )

    def leave_to_parent(self) -> None:
        """In a forked process: what has come can be read, nothing more will come."""
        self.is_of_parent = True

    def close(self) -> None:
        """Take leave: refs and values of this client are dropped, jobs go on."""
        if self._closed or self.is_of_parent:
            return
        self._closed = True
        with contextlib.suppress(RuntimeError):
            self._loop.call_soon_threadsafe(self._wake.set)
        self._thread.join(5)
        with self.changed:
            self.changed.notify_all()

    # -- the thread ---------------------------------------------------------------------------

    def _run(self) -> None:
        async def main() -> None:
            self._loop = asyncio.get_running_loop()
            self._wake = asyncio.Event()
            self._started.set()
            while not self._closed and self._failure is None:
                await self._stay_connected()

        try:
            asyncio.run(main())
        finally:
            self._started.set()

    def _has_died(self, error: BaseException) -> None:
        self._fail(
            ConnectionLostError(
                f"the connection to cluster {self._entry.name!r} has failed: {describe(error)};"
                " jc.shutdown() and then jc.connect() make a new one, and jobs go on meanwhile"
            )
        )

    async def _stay_connected(self) -> None:
        """One connection, from its making to its end; what is odd about it is logged."""
        began = time.monotonic()
        with self._guard:
            try:
                await self._converse()
            except _LOST:
                pass  # tried again; who waits is told after AWAY_SECONDS
            except ValueError as error:
                if "IOStream" not in str(error):
                    raise
                # Tornado's word for a connection that was closed before its TLS began.
        now = time.monotonic()
        self._odd = 0 if now - began > STEADY_SECONDS else self._odd + bool(self._guard.problem)
        if self._odd >= MAX_ODD:
            self._has_died(RuntimeError(self._guard.problem))
        if self._connected:
            self._connected, self._away_since = False, now
        if not self._closed:
            await self._give_up_if_for_good()
            await asyncio.sleep(RECONNECT_SECONDS)

    async def _give_up_if_for_good(self) -> None:
        with Guard("asking whether the head comes back"):
            if reason := await asyncio.to_thread(self._absence.why_for_good):
                self._fail(ConnectionLostError(reason))

    def _fail(self, error: ClusterError) -> None:
        with self.changed:
            self._failure = error
            for channel in self.channels.values():
                channel.outcomes.wake_all()
            self.changed.notify_all()

    def welcomed(self) -> None:
        """The head has taken the connection; with the condition held."""
        self._connected = True
        self._absence.is_over()
        self.connections += 1

    def refused(self, why: str) -> None:
        """The head does not want this client; with the condition held."""
        self._failure = ConnectionLostError(why)

    async def _connect(self) -> Any:
        from distributed.comm import connect  # a second of imports: only who needs it pays

        address = address_of(self._entry, "scheduler")
        if not address:
            raise OSError("the head is not up yet")
        security = dask_security(self._entry.credentials, Role.CLIENT)
        comm = await connect(address, timeout=10, **security.get_connection_args("client"))
        require_role(comm.extra_info.get("peercert"), Role.HEAD)
        await comm.write(
            {
                "op": "jc-session",
                "reply": False,
                "client": self.client,
                "protocol": PROTOCOL,
                "python": platform.python_version(),
                "process": identity(),
            },
            serializers=("msgpack",),
        )
        return comm

    async def _converse(self) -> None:
        comm = await self._connect()
        self._say_again()
        writer = asyncio.create_task(self._write(comm))
        reader = asyncio.create_task(self._read(comm))
        try:
            done, _ = await asyncio.wait((writer, reader), return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
        finally:
            for task in (writer, reader):
                task.cancel()
            await asyncio.gather(writer, reader, return_exceptions=True)
            comm.abort()

    def _say_again(self) -> None:
        """On a new connection: all that the head may not have, and where we left off."""
        with self.changed:
            again: list[dict[str, Any]] = []
            for channel in self.channels.values():
                if not channel.problem:  # what the head has refused it would refuse again
                    again += channel.again
            others = [m for m in self._queue if m["op"] not in _SUBMISSIONS]
            self._queue.clear()
            self._queue.extend(again + others)
        self._wake.set()

    async def _write(self, comm: Any) -> None:
        while True:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._wake.wait(), RELEASE_SECONDS)
            self._wake.clear()
            with self.changed:
                self._rounds += 1
                for channel in self.channels.values():
                    self._queue.extend(channel.gather())
            self._collect_released()
            is_last = self._closed
            if is_last:
                self._queue.append({"op": "leave"})
            batch = []
            while self._queue:
                batch.append(self._queue.popleft())
            if batch:
                try:
                    await self._write_batch(comm, batch)
                except BaseException:
                    self._queue.extendleft(m for m in reversed(batch) if m["op"] in _REPEATABLE)
                    raise
            if is_last:
                await comm.close()
                return

    async def _write_batch(self, comm: Any, batch: list[dict[str, Any]]) -> None:
        """Send messages; one that cannot be packed is left out, and its job says why."""
        try:
            await comm.write(batch, serializers=("msgpack",))
        except _LOST:
            raise
        except Exception as error:
            if len(batch) > 1:
                for message in batch:
                    await self._write_batch(comm, [message])
                return
            job = batch[0].get("job") or batch[0].get("spec", {}).get("id")
            problem = f"a message ({batch[0]['op']}) cannot be sent: {describe(error)}"
            with self.changed:
                if channel := self.channels.get(job):
                    channel.refuse(problem)
                self.changed.notify_all()

    def _collect_released(self) -> None:
        released: dict[str, list[int]] = {}
        while self._released:
            job, index = self._released.popleft()
            released.setdefault(job, []).append(index)
        with self.changed:
            for job, indexes in released.items():
                if channel := self.channels.get(job):
                    channel.released += len(indexes)
                    here = [i for i in indexes if channel.outcomes.is_here(i)]
                    channel.dropped.update(set(indexes).difference(here))
                    self.free(sum(channel.outcomes.drop(index) for index in here))
                    if channel.problem:
                        if channel.is_forgotten:
                            self.forget(channel)
                        continue
                    ranges = [list(span) for span in spans(sorted(indexes))]
                    self._queue.append({"op": "release", "job": job, "ranges": ranges})

    def free(self, size: int) -> None:
        """Let the head send as much more."""
        if size:
            self._queue.append({"op": "credit", "size": size})

    async def _read(self, comm: Any) -> None:
        while True:
            messages = await comm.read(deserializers=("msgpack",))
            with self.changed:
                self._incoming.take(messages)
                self.arrived = self._forgotten + sum(c.arrived for c in self.channels.values())
                self.changed.notify_all()


def _require_plain(spec: dict[str, Any]) -> None:
    """Refuse at once what could not be sent later, where nobody would be told."""
    from msgpack import packb  # comes with Dask; a terminal's verbs need neither

    try:
        packb(spec)
    except (TypeError, ValueError, OverflowError) as error:  # of these is UnicodeEncodeError
        raise UsageError(f"job {spec['name']!a} cannot be sent: {error}") from None
