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

from jupyter_cluster.client.absence import Absence
from jupyter_cluster.client.channel import JobChannel, Part
from jupyter_cluster.client.registry import Entry
from jupyter_cluster.client.tunnel import address_of
from jupyter_cluster.errors import ClusterError, ConnectionLostError, GetTimeoutError
from jupyter_cluster.trust import Role, dask_security, require_role
from jupyter_cluster.wire import PROTOCOL, Block, spans

RECONNECT_SECONDS = 0.2
# How long the head may be away before calls that wait for it give up.
AWAY_SECONDS = 60.0
# The same for a head on another host: a laptop sleeps, a train is in a tunnel.
AWAY_HOSTED_SECONDS = 4 * 3600.0
# Bytes of inputs that may be on their way to the head's journal.
MAX_UNTAKEN = 64_000_000
RELEASE_SECONDS = 0.2
# Messages that may arrive twice. Submissions are repeated from what is kept of them; a fetch by
# who waits for it.
_REPEATABLE = {"cancel", "delete", "leave"}


class Connection:
    """Speaks with the head of one cluster on a thread of its own.

    Attributes
    ----------
    changed : Condition
        Guards all channels; notified whenever something has come.
    arrived : int
        How many tasks have ended so far, of all channels.
    connections : int
        How often a connection was made: what was asked for on one goes with it.
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
        self._connected = False
        self.connections = 0
        self._away_since = time.monotonic()
        self._absence = Absence(entry)
        self._wake: asyncio.Event
        self._loop: asyncio.AbstractEventLoop
        started = threading.Event()
        self._thread = threading.Thread(
            target=self._run, args=(started,), name=f"jupyter_cluster {entry.name}", daemon=True
        )
        self._thread.start()
        started.wait()

    # -- for the other threads ----------------------------------------------------------------

    def open(self, channel: JobChannel) -> None:
        """Submit a job, or follow one."""
        with self.changed:
            self.channels[channel.job] = channel
        for message in channel.opening:
            self._queue.append(message)
        self.wake()

    def send(self, **message: Any) -> None:
        """Send a message that need not be repeated after a reconnection."""
        self._queue.append(message)
        self.wake()

    def wake(self) -> None:
        """There is something to send."""
        self.raise_if_lost()
        with contextlib.suppress(RuntimeError):  # the loop has just closed
            self._loop.call_soon_threadsafe(self._wake.set)

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

    def close(self) -> None:
        """Take leave: refs and values of this client are dropped, jobs go on."""
        if self._closed:
            return
        with contextlib.suppress(ClusterError):
            self.send(op="leave")
        self._closed = True
        with contextlib.suppress(RuntimeError):
            self._loop.call_soon_threadsafe(self._wake.set)
        self._thread.join(5)
        with self.changed:
            self.changed.notify_all()

    # -- the thread ---------------------------------------------------------------------------

    def _run(self, started: threading.Event) -> None:
        async def main() -> None:
            self._loop = asyncio.get_running_loop()
            self._wake = asyncio.Event()
            started.set()
            await self._stay_connected()

        asyncio.run(main())

    async def _stay_connected(self) -> None:
        while not self._closed and self._failure is None:
            comm = None
            try:
                comm = await self._connect()
                await self._converse(comm)
            except (OSError, TimeoutError, PermissionError, EOFError, ConnectionLostError):
                pass  # tried again; who waits is told after AWAY_SECONDS
            except ValueError as error:
                if "IOStream" not in str(error):
                    raise
                # Tornado's word for a connection that was closed before its TLS began.
            finally:
                if comm is not None:
                    comm.abort()
            if self._connected:
                self._connected, self._away_since = False, time.monotonic()
            if not self._closed:
                await self._give_up_if_for_good()
                await asyncio.sleep(RECONNECT_SECONDS)

    async def _give_up_if_for_good(self) -> None:
        if reason := await asyncio.to_thread(self._absence.why_for_good):
            self._fail(ConnectionLostError(reason))

    def _fail(self, error: ClusterError) -> None:
        with self.changed:
            self._failure = error
            self.changed.notify_all()

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
            },
            serializers=("msgpack",),
        )
        return comm

    async def _converse(self, comm: Any) -> None:
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

    def _say_again(self) -> None:
        """After a reconnection: all that the head may not have, and where we left off."""
        if not self._connected and self._away_since and not self.channels:
            return
        with self.changed:
            again: list[dict[str, Any]] = []
            for channel in self.channels.values():
                again += channel.opening
                again += [message for _stop, _size, message in channel.untaken]
                if channel.sealed:
                    again.append({"op": "seal", "job": channel.job})
                again.append(channel.following)
            self._queue.extendleft(reversed(again))
        self._wake.set()

    async def _write(self, comm: Any) -> None:
        while True:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._wake.wait(), RELEASE_SECONDS)
            self._wake.clear()
            self.collect_inputs()
            self._collect_released()
            batch = []
            while self._queue:
                batch.append(self._queue.popleft())
            if batch:
                try:
                    await comm.write(batch, serializers=("msgpack",))
                except BaseException:
                    self._queue.extendleft(m for m in reversed(batch) if m["op"] in _REPEATABLE)
                    raise
            if self._closed and not self._queue:
                await comm.close()
                return

    def collect_inputs(self) -> None:
        """Move what calls have gathered into the queue."""
        with self.changed:
            for channel in self.channels.values():
                if channel.outbox is not None:
                    for stop, size, message in channel.outbox():
                        channel.untaken.append((stop, size, message))
                        self._queue.append(message)

    def _collect_released(self) -> None:
        released: dict[str, list[int]] = {}
        while self._released:
            job, index = self._released.popleft()
            released.setdefault(job, []).append(index)
        with self.changed:
            for job, indexes in released.items():
                if channel := self.channels.get(job):
                    here = [i for i in indexes if channel.outcomes.is_here(i)]
                    channel.dropped.update(set(indexes).difference(here))
                    self._free(sum(channel.outcomes.drop(index) for index in here))
                    ranges = [list(span) for span in spans(sorted(indexes))]
                    self._queue.append({"op": "release", "job": job, "ranges": ranges})

    def _free(self, size: int) -> None:
        """Let the head send as much more."""
        if size:
            self._queue.append({"op": "credit", "size": size})

    async def _read(self, comm: Any) -> None:
        while True:
            messages = await comm.read(deserializers=("msgpack",))
            with self.changed:
                for message in messages:
                    getattr(self, f"_on_{message.pop('op')}")(**message)
                self.arrived = sum(one.outcomes.ended for one in self.channels.values())
                self.changed.notify_all()

    # -- what the head says (with the condition held) -----------------------------------------

    def _on_welcome(self, cluster: str) -> None:
        self._connected = True
        self._absence.is_over()
        self.connections += 1

    def _on_refused(self, text: str) -> None:
        self._failure = ConnectionLostError(text)

    def _on_taken(self, job: str, stop: int) -> None:
        if channel := self.channels.get(job):
            while channel.untaken and channel.untaken[0][0] <= stop:
                channel.untaken.popleft()

    def _on_results(self, job: str, node: str, statuses: bytes, block: list[Any]) -> None:
        if channel := self.channels.get(job):
            unpacked = Block.unpack(block)
            channel.outcomes.take(statuses, unpacked, node)
            if channel.dropped:
                gone = channel.dropped.intersection(range(unpacked.start, unpacked.stop))
                channel.dropped -= gone
                self._free(sum(channel.outcomes.drop(index) for index in gone))

    def _on_ended(self, job: str, start: int, states: bytes) -> None:
        if channel := self.channels.get(job):
            channel.outcomes.note(start, len(states))

    def _on_output(self, job: str, position: int, index: int, data: bytes) -> None:
        channel = self.channels.get(job)
        if channel is not None and position >= channel.next_output:
            channel.next_output = position + 1
            channel.outputs.append((index, data))

    def _on_job(self, info: dict[str, Any]) -> None:
        if channel := self.channels.get(info["id"]):
            channel.info = info

    def _on_problem(self, job: str, text: str) -> None:
        if channel := self.channels.get(job):
            channel.problem = text

    def _on_part(self, job: str, index: int, size: int, offset: int, data: bytes) -> None:
        if channel := self.channels.get(job):
            part = channel.parts.setdefault(index, Part(size))
            if offset == len(part.data):
                part.data += data

    def _on_gone(self, job: str, index: int, again: bool) -> None:
        if channel := self.channels.get(job):
            channel.parts.pop(index, None)
            channel.outcomes.reopen(index)
            if not again:
                channel.gone.add(index)
