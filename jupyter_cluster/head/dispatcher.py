"""Which node gets which tasks: the first of the two levels of scheduling.

Late binding: tasks stay here until a node is about to be free. How many travel together follows
from their measured duration, and fewer do towards the end of a job, so that all nodes end at the
same time.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import sqlite3
import time
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import Any

from distributed.diagnostics.plugin import SchedulerPlugin

from jupyter_cluster.background import Guard, describe, report
from jupyter_cluster.errors import ClusterError
from jupyter_cluster.head import messages
from jupyter_cluster.head.bundles import bundle_size
from jupyter_cluster.head.cell_sessions import CellSessions
from jupyter_cluster.head.code import digests
from jupyter_cluster.head.intake import Intake
from jupyter_cluster.head.job import SENT, Job, JobSpec, Range
from jupyter_cluster.head.jobs import Jobs
from jupyter_cluster.head.link import Key, NodeLink, Outstanding, as_key, posting
from jupyter_cluster.head.placement import Placement
from jupyter_cluster.head.sender import Sender
from jupyter_cluster.resources import CPU, Resources, marked, unmarked
from jupyter_cluster.wire import PROTOCOL

logger = logging.getLogger("jupyter_cluster.head")

# How long a node may take to hand over a piece of a large result.
CALL_SECONDS = 10.0
# How long a node may work on what this head has never heard of, until its client submits it again.
STRANGER_SECONDS = 60.0
# How long nodes keep function and modules of a job that is over: the next often has the same.
CODE_SECONDS = 60.0
# How long nothing is sent after the disk could not be read.
REST_SECONDS = 1.0
# A node says what it uses every 2 s; one that has missed five of these is out of contact.
SILENT_LOOKS = 10


class Dispatcher(SchedulerPlugin):  # type: ignore[misc]
    """Speaks with the agents over the streams that Dask keeps to its workers.

    Attributes
    ----------
    nodes : dict
        Every node that said hello and was not given up, by its id.
    paused : bool
        Nothing is sent, e.g. until the nodes are back after a restart of the head.
    """

    name = "jupyter-cluster"

    def __init__(
        self,
        log: Callable[[str, str], None],
        is_member: Callable[[str], bool],
        on_node: Callable[[NodeLink], None],
        on_lines: Callable[[str, list[list[Any]]], None],
        value_of: Callable[[str], Awaitable[bytes]],
        cell_sessions: CellSessions,
    ) -> None:
        self.cell_sessions = cell_sessions
        self.nodes: dict[str, NodeLink] = {}
        self.paused = False
        self.on_reclaim: Callable[[str, str], None] = lambda _node, _why: None
        self.on_broken: Callable[[str, str], None] = lambda _node, _why: None
        self._by_address: dict[str, NodeLink] = {}
        self._intake = Intake(self._by_address, self.plan, self._end_stranger, log)
        self._sender = Sender(value_of, self._on_unsent)
        self._log = log
        self._is_member = is_member
        self._on_node = on_node
        self._on_lines = on_lines
        self._strangers: dict[tuple[str, Key], NodeLink] = {}
        self._planned = False
        self._dispatching = Guard(
            "sending tasks to nodes",
            lambda error: log("error", f"tasks could not be sent: {describe(error)}"),
        )

    def use(self, jobs: Jobs) -> None:
        """Dispatch these jobs; they are made after this, since they call it."""
        self.jobs = self._intake.jobs = self._sender.jobs = jobs
        jobs.inputs.on_read = self.plan

    # -- membership ---------------------------------------------------------------------------

    async def start(self, scheduler: Any) -> None:
        """Take part in the scheduler's streams (called by Dask)."""
        self._scheduler = scheduler
        handlers: dict[str, Callable[..., None]] = {
            "jc-hello": self.on_hello,
            "jc-settled": self.on_settled,
            "jc-results": self._intake.on_results,
            "jc-ended": self.on_ended,
            "jc-returned": self.on_returned,
            "jc-lines": self.on_lines,
            "jc-usage": self.on_usage,
            "jc-output": self._intake.on_output,
            "jc-values": self._intake.on_values,
            "jc-session-end": self.on_session_end,
            "jc-notice": self.on_notice,
            "jc-pressure": self.on_pressure,
        }
        for operation, handler in handlers.items():
            scheduler.stream_handlers[operation] = self._guarded(operation, handler)

    def _guarded(self, operation: str, handler: Callable[..., None]) -> Callable[..., None]:
        """What a node says is checked first; what cannot be taken costs no other node's stream."""

        def guarded(worker: str, **message: Any) -> None:
            try:
                messages.check(operation, message)
                handler(worker, **message)
            except Exception as error:
                self._on_refused(worker, operation, message, error)

        return guarded

    def _on_refused(
        self, worker: str, operation: str, message: dict[str, Any], error: Exception
    ) -> None:
        """Nobody waits for ever for what a node has said in vain, and the node does not repeat it.

        A node that cannot say what it is or what it has is ended; of anything else the tasks that
        it is about fail.
        """
        link = self._by_address.get(worker)
        name = link.id if link is not None else worker
        why = f"{name} has sent what the head cannot take ({operation}): {describe(error)}"
        with Guard("a message of a node", lambda _error: self._log("error", why)):
            # Only what is wrong with the head itself needs a trace.
            raise ClusterError(why) if isinstance(error, ValueError) else error
        if operation in ("jc-hello", "jc-settled"):
            if stream := self._scheduler.stream_comms.get(worker):
                posting(stream.send)({"op": "jc-end"})
            self.on_broken(link.id if link is not None else str(message.get("node")), why)
            return
        with contextlib.suppress(TypeError, ValueError, KeyError):  # where it names its tasks
            name, start, stop, _attempt = message["key"]
            if job := self.jobs.by_id.get(name):
                most = len(job.states)
                self.jobs.fail(job, max(0, min(start, most)), max(0, min(stop, most)), why)
        if link is not None and type(message.get("seq")) is int:
            self._intake.acknowledge(link, message["seq"])

    def remove_worker(self, scheduler: Any, worker: str, **_ignored: Any) -> None:
        """A connection was lost (called by Dask); what the node runs may still come."""
        link = self._by_address.pop(worker, None)
        if link is not None and link.address == worker:
            link.lost_since = time.monotonic()
            link.settled = False
            self._on_node(link)

    def on_hello(
        self,
        worker: str,
        protocol: int,
        node: str,
        type: str,
        resources: dict[str, int],
        pid: int,
        stored: list[str],
        sessions: list[str],
    ) -> None:
        """An agent has connected, for the first time or again."""
        stream = self._scheduler.stream_comms[worker]
        if protocol != PROTOCOL:
            self._log("error", f"node {node} speaks protocol {protocol}, the head {PROTOCOL}")
            stream.send({"op": "jc-end"})
            return
        if not self._is_member(node):  # given up before; what it had is run elsewhere
            stream.send({"op": "jc-end"})
            return
        stream.interval = 0  # Dask would gather messages for 5 ms
        send = posting(stream.send)
        link = self.nodes.get(node)
        if link is None:
            capacity = marked(Resources.from_units(resources), type)
            link = self.nodes[node] = NodeLink(node, type, capacity, worker, pid, send)
            for session in self.cell_sessions.on_node(node):  # those from before a restart
                link.reserve(session.held)
        link.address, link.pid, link.send, link.lost_since = worker, pid, send, None
        link.sent.clear()
        link.values.clear()
        link.settled, link.silent_looks, link.pressure = False, 0, ""
        self._by_address[worker] = link
        self._forget_unknown(link, stored)
        for name in sessions:
            if (known := self.cell_sessions.get(name)) is None or known.node != node:
                link.send({"op": "jc-end-session", "session": name})

    def _forget_unknown(self, link: NodeLink, stored: list[str]) -> None:
        """Large results on a node that nobody will ask for."""
        known = {f"{job}-{at}" for job, at in self.jobs.results.on_node(link.id)}
        if gone := [name for name in stored if name not in known and not self._is_open(name)]:
            link.send({"op": "jc-forget", "stored": gone, "values": []})

    def _is_open(self, name: str) -> bool:
        job = self.jobs.by_id.get(name.partition("-")[0])
        return job is not None

    def on_settled(self, worker: str, bundles: list[list[Any]], jobs: Sequence[str] = ()) -> None:
        """An agent has sent again what was not acknowledged; this is what it still works on, and
        the jobs that it has processes of."""
        link = self._by_address.get(worker)
        if link is None:
            return
        held = {(job, start, stop, attempt) for job, start, stop, attempt in bundles}
        for key in [key for key in link.bundles if key not in held]:
            self._give_back(link, key)
        self._forget_strangers(link)
        for key in held - set(link.bundles):
            self._adopt(link, key)
        link.jobs.update(jobs)
        for name in jobs:
            if (job := self.jobs.by_id.get(name)) is None or job.finished is not None:
                self.job_over(name)
        link.settled = True
        self._on_node(link)
        self.plan()

    def _adopt(self, link: NodeLink, key: Key) -> None:
        """The node works on something that this head has not sent: it was restarted."""
        name, start, stop, _attempt = key
        job = self.jobs.by_id.get(name)
        self._strangers.pop((link.id, key), None)
        if self._may_still_come(key):
            self._strangers[link.id, key] = link
            asyncio.get_running_loop().call_later(STRANGER_SECONDS, self._end_stranger, link, key)
            return
        if job is None or job.cancelled:
            link.send({"op": "jc-cancel", "job": name, "ranges": [[start, stop]]})
            return
        for a, b in job.open_ranges(start, stop):
            job.set_states(a, b, SENT)
        link.hold(Outstanding(key, self._held_by(job)))

    def _may_still_come(self, key: Key) -> bool:
        """Whether the head before this one died before these tasks were in the journal: their
        client submits them again."""
        job = self.jobs.by_id.get(key[0])
        if job is None:
            return key[0] not in self.jobs.deleted
        return not job.cancelled and key[2] > len(job.states)

    def _forget_strangers(self, link: NodeLink) -> None:
        self._strangers = {at: one for at, one in self._strangers.items() if one is not link}

    def _adopt_strangers(self) -> None:
        for (_node, key), link in list(self._strangers.items()):
            if not self._may_still_come(key):
                self._adopt(link, key)

    def _end_stranger(self, link: NodeLink, key: Key) -> None:
        """No client has come for it, or too much has: nobody will ever read what it gives."""
        if self._strangers.pop((link.id, key), None) is not None:
            link.send({"op": "jc-cancel", "job": key[0], "ranges": [[key[1], key[2]]]})

    def give_up(self, node: str) -> None:
        """A node is gone for good: what it had and did not report is sent to others."""
        link = self.nodes.pop(node, None)
        if link is not None:
            self._by_address.pop(link.address, None)
            for key in list(link.bundles):
                self._give_back(link, key)
            self._forget_strangers(link)
        self.cell_sessions.node_lost(node, f"its node {node} is gone")
        # Also of a node that this head has never met: it died with the head before this one.
        if lost := self.jobs.lose_stored(node):
            self._log("warning", f"{lost} large results went with {node}; they are computed again")
        self.plan()

    def _give_back(self, link: NodeLink, key: Key) -> None:
        link.let_go(key)
        job = self.jobs.by_id.get(key[0])
        if job is not None and link.reclaimed and not job.is_cell:
            self.jobs.give_back(job, key[1], key[2], key[3])
        elif job is not None:
            self.jobs.requeue(job, key[1], key[2], key[3])

    # -- what agents say ----------------------------------------------------------------------

    def on_usage(self, worker: str, cpu: float, memory: int) -> None:
        """What a node's slots use."""
        if link := self._by_address.get(worker):
            link.cpu, link.memory, link.silent_looks = cpu, memory, 0
            if link.lost_since is not None:
                link.lost_since = None
                self._on_node(link)
                self.plan()

    def look_for_silence(self) -> None:
        """Notice nodes whose connection is up while their machine hangs; called once a second.

        Looks are counted and not seconds: a head that was busy itself has looked as seldom, and
        must not take all its nodes for silent.
        """
        for link in list(self._by_address.values()):
            link.silent_looks += 1
            if link.silent_looks >= SILENT_LOOKS and link.lost_since is None:
                link.lost_since = time.monotonic()
                self._on_node(link)

    def on_notice(self, worker: str, when: str) -> None:
        """A node will be taken back by whom it is rented from."""
        link = self._by_address.get(worker)
        if link is not None and not link.reclaimed:
            link.reclaimed = True
            self.on_reclaim(link.id, f"it will be taken back at {when}")

    def on_pressure(self, worker: str, why: str) -> None:
        """A node's disk refuses what work needs there; empty once it does not any more."""
        link = self._by_address.get(worker)
        if link is None or bool(link.pressure) == bool(why):
            return
        if why:
            link.pressed_since = time.monotonic()
            self._log("warning", f"{link.id} gets no work: its disk refuses files: {why}")
        else:
            self._log("node", f"{link.id} gets work again: its disk takes files")
        link.pressure = why
        self._on_node(link)
        self.plan()

    def on_session_end(self, worker: str, seq: int, session: str, why: str, was_busy: bool) -> None:
        """The process of a session has ended."""
        if (link := self._by_address.get(worker)) is None:
            return
        known = self.cell_sessions.get(session)
        if known is not None and known.node == link.id:
            link.reserve(known.held, -1)
            self.cell_sessions.ended(session, why, is_known=was_busy)
        self._intake.acknowledge(link, seq)
        self.plan()

    def on_ended(self, worker: str, key: list[Any], busy: int) -> None:
        """A bundle is done with."""
        if link := self._by_address.get(worker):
            self._strangers.pop((link.id, as_key(key)), None)
            link.let_go(as_key(key))
            self.plan()

    def on_returned(
        self, worker: str, keys: list[list[Any]], parts: list[tuple[list[Any], int, int]]
    ) -> None:
        """Bundles, and parts of bundles, that the node gives back unstarted."""
        if link := self._by_address.get(worker):
            for key in keys:
                self._return(link, as_key(key))
            for (name, _start, _stop, attempt), start, stop in parts:
                if job := self.jobs.by_id.get(name):
                    self.jobs.give_back(job, start, stop, attempt)
            self.plan()

    def _return(self, link: NodeLink, key: Key) -> None:
        """A node has not started a bundle, and will not."""
        self._strangers.pop((link.id, key), None)
        bundle = link.let_go(key)
        if job := self.jobs.by_id.get(key[0]):
            if bundle is not None and bundle.begins_session:
                link.reserve(unmarked(job.shape) - bundle.shape, -1)
                self.cell_sessions.unbind(job.spec.session)
                job.pinned = False
            self.jobs.give_back(job, key[1], key[2], key[3])

    def on_lines(self, worker: str, lines: list[list[Any]]) -> None:
        """What user code has written."""
        if link := self._by_address.get(worker):
            self._on_lines(link.id, lines)

    # -- what others ask for ------------------------------------------------------------------

    def cancel(self, job: str, ranges: Iterable[tuple[int, int]]) -> None:
        """Stop these tasks wherever they run."""
        wanted = list(ranges)
        for link in self.nodes.values():
            if link.lost_since is None and any(
                key[0] == job and key[1] < stop and start < key[2]
                for key in link.bundles
                for start, stop in wanted
            ):
                link.send({"op": "jc-cancel", "job": job, "ranges": [list(r) for r in wanted]})

    def job_over(self, job: str) -> None:
        """Nodes end what it has started there, and drop its code where no other job needs it."""
        for link in self.nodes.values():
            if job in link.jobs:
                link.jobs.discard(job)
                link.send({"op": "jc-over", "job": job})
        if known := self.jobs.by_id.get(job):
            asyncio.get_running_loop().call_later(CODE_SECONDS, self._drop_code, known.spec)

    def _drop_code(self, spec: JobSpec) -> None:
        unneeded = set(digests(spec)).difference(
            *(digests(job.spec) for job in self.jobs.by_id.values() if job.finished is None)
        )
        for link in self.nodes.values():
            if gone := sorted(unneeded & link.sent):
                link.sent.difference_update(gone)
                link.send({"op": "jc-drop-code", "digests": gone})

    def drain(self, node: str) -> None:
        """Send nothing more to a node and take back what it has not started."""
        if (link := self.nodes.get(node)) and not link.draining:
            link.draining = True
            link.send({"op": "jc-recall"})

    def drop_values(self, job: str, start: int, stop: int) -> None:
        """Values of refs that were brought to nodes will not be read again."""
        for link in self.nodes.values():
            keys = [key for key in link.values if _names(key, job, start, stop)]
            if keys:
                link.values.difference_update(keys)
                link.send({"op": "jc-forget", "stored": [], "values": keys})

    def drop_stored(self, node: str, name: str) -> None:
        """A large result on a node will not be read again."""
        if (link := self.nodes.get(node)) and link.lost_since is None:
            link.send({"op": "jc-forget", "stored": [name], "values": []})

    def call(self, node: str, **message: Any) -> Awaitable[Any]:
        """Call a handler of a node's own port.

        Raises
        ------
        KeyError, OSError
            The node is gone, out of contact, or does not answer in time.
        """
        link = self.nodes[node]
        return self._call(link, message)

    async def _call(self, link: NodeLink, message: dict[str, Any]) -> Any:
        if link.lost_since is not None:
            raise OSError(f"{link.id} is out of contact")
        operation = message.pop("op")
        handler = getattr(self._scheduler.rpc(link.address), operation)
        return await asyncio.wait_for(handler(**message), CALL_SECONDS)

    # -- dispatching --------------------------------------------------------------------------

    def plan(self) -> None:
        """Dispatch when the loop gets to it: many changes, one round."""
        if self._strangers:
            self._adopt_strangers()
        self._intake.retry_early()
        if not self._planned and not self.paused:
            self._planned = True
            asyncio.get_running_loop().call_soon(self._dispatch)

    def _dispatch(self) -> None:
        self._planned = False
        with self._dispatching:
            self._dispatch_all()

    def _dispatch_all(self) -> None:
        ready = self.jobs.ready
        placement = Placement(self.nodes.values(), ready)
        for job in [job for job in ready.values() if job.is_cell]:
            self._send_cells(job, placement)
            if not job.queued:
                ready.pop(job.id, None)
        open_jobs = [job for job in ready.values() if not job.is_cell] if placement.nodes else []
        while open_jobs:
            # One bundle of each job in turn: no job waits for another one's end.
            for job in tuple(open_jobs):
                link = placement.choose(job)
                size = bundle_size(job, placement.slots(job.shape))
                sent = link is not None and self._send_bundle(job, size, link)
                if not sent:
                    open_jobs.remove(job)
                if not job.queued:
                    ready.pop(job.id, None)
        self._sender.flush()
        self._serve_next_first()
        if placement.has_free_node() and not ready:
            self._recall_stuck(placement.nodes)

    def _recall_stuck(self, nodes: list[NodeLink]) -> None:
        """There is room elsewhere for what waits behind a task that takes its time."""
        for link in nodes:
            if link.is_stuck():
                link.recalled = time.monotonic()
                link.send({"op": "jc-recall"})

    def _serve_next_first(self) -> None:
        """The job that was first is last in the next round."""
        if len(self.jobs.ready) > 1:
            first = next(iter(self.jobs.ready))
            self.jobs.ready[first] = self.jobs.ready.pop(first)

    def _send_cells(self, job: Job, placement: Placement) -> None:
        """Cells go first, each to the node that it has to run on, or to one that has room."""
        session = self.cell_sessions.get(job.spec.session) if job.spec.session else None
        for index, attempt in job.queued_tasks():
            pinned = job.spec.nodes[index] if job.spec.nodes else session.node if session else ""
            shape = self._held_by(job)
            if pinned and (why := self._why_never(job.task_name(index), pinned, shape)):
                self.jobs.fail(job, index, index + 1, why)
                continue
            link = self.nodes[pinned] if pinned else placement.choose(job)
            if link is None or not link.accepts or not link.has_room(shape, None):
                continue
            if not self._has_inputs(job, Range(index, index + 1, attempt), link):
                continue
            taken = job.take_one(index, attempt)
            begins_session = session is not None and not pinned
            if session is not None and begins_session:
                self.cell_sessions.bind(session, link.id)
                link.reserve(session.held)
                job.pinned = True
            self._send(job, taken, link, begins_session)

    def _why_never(self, cell: str, node: str, shape: Resources) -> str:
        """Why a cell cannot run on the node that it has to run on; empty where it can."""
        link = self.nodes.get(node)
        if link is None or link.draining:
            return f"node {node}, where {cell} has to run, is gone"
        if not shape.fits(link.capacity):
            return (
                f"node {node}, where {cell} has to run, has {unmarked(link.capacity)} and cannot"
                f" hold the {unmarked(shape)} that it asks for"
            )
        return ""

    def _has_inputs(self, job: Job, task: Range, link: NodeLink) -> bool:
        try:
            return bool(self.jobs.inputs.find(job, task.start, task.stop))
        except Exception as error:
            self._on_unsendable(job, task, link, error)
            return False

    def _held_by(self, job: Job) -> Resources:
        """What a bundle of a job holds of its node: of a session the CPUs, the rest it has."""
        shape = unmarked(job.shape)
        session = self.cell_sessions.get(job.spec.session) if job.spec.session else None
        return shape.only(CPU) if session is not None and session.node else job.shape

    def _send_bundle(self, job: Job, size: int, link: NodeLink) -> bool:
        taken = job.take(size)
        if taken is None:
            return False
        return self._send(job, taken, link)

    def _send(self, job: Job, taken: Range, link: NodeLink, begins_session: bool = False) -> bool:
        """False while the inputs are being read: a round follows when they are there."""
        link.reserved_for = ""
        try:
            return self._sender.add(job, taken, link, self._held_by(job), begins_session)
        except Exception as error:
            self._on_unsendable(job, taken, link, error)
            return True

    def _on_unsendable(self, job: Job, taken: Range, link: NodeLink, error: Exception) -> None:
        """Tasks that cannot be sent now are sent later; those that never can be fail."""
        key = (job.id, taken.start, taken.stop, taken.attempt)
        if isinstance(error, sqlite3.Error | OSError):  # the disk: it concerns all jobs
            self._pause(REST_SECONDS)
            self._return(link, key)
            raise error
        report(f"sending tasks of job {job.spec.name!r}", error)
        self._return(link, key)
        why = f"the head cannot send it: {describe(error)}"
        self.jobs.fail(job, taken.start, taken.stop, why)

    def _pause(self, seconds: float) -> None:
        """Send nothing for a while."""
        if not self.paused:
            self.paused = True
            asyncio.get_running_loop().call_later(seconds, self.go_on)

    def go_on(self) -> None:
        """Send from now on."""
        self.paused = False
        self.plan()

    def _on_unsent(self, link: NodeLink, key: Key) -> None:
        self._return(link, key)
        self.plan()


def _names(ref: str, job: str, start: int, stop: int) -> bool:
    name, _, position = ref.partition(":")
    return name == job and start <= int(position) < stop
