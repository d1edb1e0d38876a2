"""Which bundle runs in which slot: the second of the two levels of scheduling.

The head sends bundles to a node; here they get a slot as soon as the node's resources allow. The
sum of what runs never exceeds the node.
"""

from __future__ import annotations

import asyncio
import socket
import threading
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, Protocol

from jupyter_cluster.agent.bundle import Bundle
from jupyter_cluster.agent.devices import Devices
from jupyter_cluster.agent.frames import ProtocolError
from jupyter_cluster.agent.nursery import Nursery
from jupyter_cluster.agent.output import Output, encode
from jupyter_cluster.agent.reports import Report
from jupyter_cluster.agent.runner import CONNECTION_LOST
from jupyter_cluster.agent.shared import INTERRUPTED
from jupyter_cluster.agent.slot import GRACE_SECONDS, Slot, describe_end
from jupyter_cluster.agent.usage import Usage
from jupyter_cluster.agent.watchdog import doom_of
from jupyter_cluster.background import Guard
from jupyter_cluster.errors import ClusterError
from jupyter_cluster.resources import CPU, GPU, UNITS, Resources
from jupyter_cluster.wire import Block, Status

WATCH_SECONDS = 0.2
USAGE_SECONDS = 2.0
# How long the cell of a session may take to end when it is interrupted: with its process all
# that the session holds would be lost.
SESSION_GRACE_SECONDS = 5.0


class Listener(Protocol):
    """Who is told what happens in the pool."""

    def on_results(self, bundle: Bundle, statuses: bytes, block: Block, seconds: float) -> None: ...
    def on_ended(self, bundle: Bundle) -> None: ...
    def on_line(self, job: str, slot: int, stream: str, text: str) -> None: ...
    def on_values(self, job: str, statuses: bytes, block: Block) -> None: ...
    def on_output(self, bundle: Bundle, data: bytes) -> None: ...
    def on_session_end(self, session: str, why: str, was_busy: bool) -> None: ...
    def on_usage(self, cpu: float, memory: int) -> None: ...
    def on_fatal(self, error: ClusterError) -> None: ...


class Pool:
    """The slots of one node."""

    def __init__(
        self,
        resources: Resources,
        folder: Path,
        zygote: socket.socket,
        listener: Listener,
        code_of: Callable[[str], bytes],
        node: str = "",
        lacks_files: Callable[[Bundle], bool] = lambda _bundle: False,
    ) -> None:
        self._node = node
        self._lacks_files = lacks_files
        self._free = resources
        self._devices = Devices(resources.by_name.get(GPU, 0) // UNITS)
        self._has_devices = bool(resources.by_name.get(GPU))
        self._folder = folder
        self._listener = listener
        self._code_of = code_of
        self._queue: list[Bundle] = []
        self._sessions: dict[str, Slot] = {}
        max_idle = max(1, resources.by_name.get("CPU", UNITS) // UNITS)
        self._nursery = Nursery(zygote, folder / "results", self, max_idle)
        self._slots = self._nursery.slots
        self._loop = asyncio.get_running_loop()
        self._thread = threading.get_ident()
        self._usage = Usage()
        self._usage_due = 0.0
        self._measuring = Guard("measuring what slots use")
        self._checking = Guard("checking the slots")
        self._watch()

    # -- what the service asks for ------------------------------------------------------------

    def submit(self, bundles: Iterable[Bundle]) -> None:
        """Run these as soon as there is room; somebody sits and waits for a cell."""
        self._queue = sorted([*self._queue, *bundles], key=lambda bundle: not bundle.is_cell)
        self._pump()

    def bundles(self) -> list[Bundle]:
        """All that are queued or running."""
        return [slot.bundle for slot in self._slots.values() if slot.bundle] + self._queue

    @property
    def busy(self) -> int:
        """How many slots are running a bundle."""
        return sum(1 for slot in self._slots.values() if slot.bundle)

    @property
    def sessions(self) -> list[str]:
        """The sessions that live here."""
        return list(self._sessions)

    @property
    def jobs(self) -> list[str]:
        """The jobs that have a slot here."""
        return list({slot.job for slot in self._slots.values() if slot.job})

    @property
    def code(self) -> set[str]:
        """Digests of the functions and modules that something here needs."""
        bundles = self.bundles()
        paths = [str(bundle.environment.get("code_path", "")) for bundle in bundles]
        paths += [slot.code_path for slot in self._slots.values()]
        return {bundle.function for bundle in bundles} | {Path(path).name for path in paths}

    def end_session(self, session: str) -> None:
        """End a session with all it holds; a cell that runs in it fails."""
        if slot := self._sessions.get(session):
            slot.doom = (Status.CRASHED, f"its session {session!r} was ended")
            slot.kill()

    def end_job(self, job: str) -> None:
        """A job is over: what it has started on this node ends."""
        self._nursery.end_job(job)

    def recall(self, count: int | None = None) -> list[Bundle]:
        """Take back bundles that have not been started, the newest first; all where no count."""
        keep = 0 if count is None else max(0, len(self._queue) - count)
        taken, self._queue = self._queue[keep:], self._queue[:keep]
        return taken

    def take_back(self, which: Callable[[Bundle], bool]) -> list[Bundle]:
        """Take back bundles that have not been started, those of which this is true."""
        queue, self._queue = self._queue, [one for one in self._queue if not which(one)]
        return [bundle for bundle in queue if which(bundle)]

    def take_back_behind(self, seconds: float) -> list[tuple[Bundle, int, int]]:
        """Take back tasks that wait, in a slot, behind one that has run this long."""
        parts = []
        for slot in self._slots.values():
            at, bundle = slot.running, slot.bundle
            if bundle is None or at is None or at[1] < seconds:
                continue
            slot.stop_after_task()
            now = slot.running  # looked at again: the slot may have gone on meanwhile
            start = (now or at)[0] + 1
            if start < bundle.stop:
                bundle.drop(start, bundle.stop)
                parts.append((bundle, start, bundle.stop))
        return parts

    def cancel(self, job: str, ranges: Iterable[tuple[int, int]]) -> None:
        """Drop these tasks; those that run are interrupted."""
        for start, stop in ranges:
            for bundle in self.bundles():
                if bundle.job == job and bundle.start < stop and start < bundle.stop:
                    bundle.drop(start, stop)
            for slot in self._slots.values():
                bundle = slot.bundle
                if bundle and bundle.job == job and bundle.start < stop and start < bundle.stop:
                    at = slot.running
                    if at and start <= at[0] < stop:
                        slot.interrupt(SESSION_GRACE_SECONDS if slot.session else GRACE_SECONDS)
                    else:
                        slot.stop_after_task()
        for bundle in [b for b in self._queue if not b.blocks]:
            self._queue.remove(bundle)
            self._listener.on_ended(bundle)

    def close(self) -> None:
        """End every slot now."""
        self._watcher.cancel()
        self._nursery.close()

    # -- starting -----------------------------------------------------------------------------

    def _pump(self) -> None:
        queue, self._queue = self._queue, []
        for at, bundle in enumerate(queue):
            try:
                started = self._start(bundle)
            except BaseException:
                self._queue += queue[at:]
                raise
            if not started:
                self._queue.append(bundle)

    def on_room(self) -> None:
        """There may be room for more."""
        self._pump()

    def _start(self, bundle: Bundle) -> bool:
        if self._lacks_files(bundle):
            return False
        if bundle.session and (slot := self._sessions.get(bundle.session)):
            return self._go_on(slot, bundle)
        if bundle.session and not bundle.begins_session:
            if not any(b.begins_session and b.session == bundle.session for b in self._queue):
                self._loop.call_soon(self._refuse, bundle)
                return True
            return False
        if self._nursery.is_paused or not bundle.shape.fits(self._free):
            return False
        devices = self._devices.take(bundle.shape.by_name.get(GPU, 0))
        if devices is None:  # enough in sum, but spread over several devices
            return False
        environment = dict(bundle.environment)
        if self._has_devices:
            visible = ",".join(map(str, devices))
            environment["variables"] = {"CUDA_VISIBLE_DEVICES": visible}
        if bundle.is_cell:
            environment["cells"] = True  # a shell has changed the process for other tasks
        try:
            slot = self._nursery.slot_for(bundle, environment, devices)
        except OSError as error:
            self._devices.give_back(devices, bundle.shape.by_name.get(GPU, 0))
            self._postpone(bundle, str(error))
            return False
        bundle.devices, bundle.taken = devices, bundle.shape
        self._free -= bundle.shape
        if bundle.session:
            self._settle(slot, bundle)
        slot.bundle = bundle
        if slot.pid:
            self._hand_over(slot)
        return True

    def _settle(self, slot: Slot, bundle: Bundle) -> None:
        """A session begins: its memory and its GPUs are its own until it ends, CPUs are not."""
        bundle.taken = bundle.shape.only(CPU)
        slot.session, slot.held = bundle.session, bundle.shape - bundle.taken
        slot.devices, bundle.devices = bundle.devices, ()
        self._sessions[bundle.session] = slot

    def _go_on(self, slot: Slot, bundle: Bundle) -> bool:
        """Run a cell in its session, one after another."""
        needed = bundle.shape.only(CPU)
        if slot.bundle or slot.exit_code is not None or not needed.fits(self._free):
            return False
        bundle.taken = needed
        self._free -= needed
        slot.bundle = bundle
        self._hand_over(slot)
        return True

    def _refuse(self, bundle: Bundle) -> None:
        text = f"session {bundle.session!r} is not on this node any more, nor are its variables"
        self._report(bundle, bundle.next, Status.CRASHED, text)
        self._after(bundle)

    def on_ready(self, slot: Slot) -> None:
        """A slot has its process."""
        if slot.bundle:
            self._hand_over(slot)

    def on_unstarted(self, slot: Slot, why: str) -> None:
        """A process has not come as far as to take its bundle: nothing of it has begun."""
        bundle: Bundle | None = slot.bundle
        if bundle is None:
            return
        bundle.starts += 1
        self._release(slot)
        if slot.session:
            self._unsettle(slot)
        self._queue.insert(0, bundle)
        self._postpone(bundle, why)

    def _postpone(self, bundle: Bundle, why: str) -> None:
        if self._nursery.note_failure(why):
            text = f"[a process cannot be started on this node: {why}; it is tried again]"
            self._listener.on_line(bundle.job, 0, "stderr", text)

    def _hand_over(self, slot: Slot) -> None:
        bundle: Bundle = slot.bundle
        message: dict[str, Any] = {
            "job": bundle.job,
            "kind": bundle.kind,
            "fn": bundle.function,
            "refs": {key: str(self._folder / "values" / key) for key in bundle.refs},
            "blocks": [block.pack() for block in bundle.to_run],
        }
        if bundle.is_cell:
            message["environment"] = bundle.environment
            self._show(bundle, [{"type": "begin", "node": self._node}])
        elif slot.function != bundle.function:
            message["code"] = self._code_of(bundle.function)
            slot.function = bundle.function
        slot.code_path = str(bundle.environment.get("code_path", ""))
        if bundle.is_alone and not slot.session:
            slot.is_spent = True
        slot.shared.reset()
        slot.send(message)

    # -- what slots say -----------------------------------------------------------------------

    def on_report(self, slot: Slot, report: Report) -> None:
        """Results and output of a slot.

        Raises
        ------
        ProtocolError
            They are not of what it was given.
        """
        bundle: Bundle | None = slot.bundle
        if bundle is None or slot.lost:
            return
        self._nursery.note_success()
        if report.output is not None:
            self._listener.on_output(bundle, report.output)
        if report.block is not None:
            self._on_block(slot, bundle, report, report.block)
        if report.finished:
            if bundle.is_cell:
                self._end_output(slot, bundle)
            self._release(slot)
            if slot.is_spent:
                self._nursery.retire(slot)
            self._after(bundle)

    def _on_block(self, slot: Slot, bundle: Bundle, report: Report, block: Block) -> None:
        if report.job != bundle.job:
            if not bundle.is_cell:
                raise ProtocolError("results of another job")
            self._listener.on_values(report.job, report.statuses, block)
            return
        if block.start < bundle.start or bundle.stop < block.stop:
            raise ProtocolError("results of other tasks")
        if bundle.is_cell:  # all output is there before the result
            self._end_output(slot, bundle)
        if slot.doom and report.statuses == bytes([Status.CANCELLED]):  # a session obeyed in time
            (status, text), slot.doom = slot.doom, None
            self._report(bundle, block.start, status, text)
            return
        self._listener.on_results(bundle, report.statuses, block, report.seconds)
        bundle.reported(block.stop)

    def _after(self, bundle: Bundle) -> None:
        """The slot has let go of the bundle: run again what it has left out."""
        if bundle.blocks:
            self._queue.insert(0, bundle)
        else:
            self._listener.on_ended(bundle)
        self._pump()

    def _release(self, slot: Slot) -> None:
        bundle: Bundle = slot.bundle
        slot.bundle = None
        if slot.exit_code is None:
            slot.doom = None  # a session whose cell ended after all
        self._free += bundle.taken
        self._devices.give_back(bundle.devices, bundle.shape.by_name.get(GPU, 0))

    def on_line(self, slot: Slot, stream: str, text: str) -> None:
        """A line that was written to a descriptor of a slot."""
        if slot.bundle and slot.bundle.is_cell:
            self._raw_output(slot, slot.bundle).write(stream, f"{text}\n")
            return
        # Not the job of its bundle: the last lines of a task come when that has ended.
        self._listener.on_line("" if slot.session else slot.job, slot.number, stream, text)

    # -- what cells show ----------------------------------------------------------------------

    def _raw_output(self, slot: Slot, bundle: Bundle) -> Output:
        """For lines that did not come through the shell: of programs, of libraries in C."""
        if slot.output is None:

            def send(data: bytes) -> None:
                if threading.get_ident() == self._thread:
                    self._listener.on_output(bundle, data)
                else:
                    self._loop.call_soon_threadsafe(self._listener.on_output, bundle, data)

            slot.output = Output(send)
        return slot.output

    def _show(self, bundle: Bundle, events: list[dict[str, Any]]) -> None:
        self._listener.on_output(bundle, encode(events))

    def _end_output(self, slot: Slot, bundle: Bundle) -> None:
        """A cell shows no more; only the first call counts."""
        if bundle.is_over:
            return
        bundle.is_over = True
        slot.read_pipes()
        if slot.output is not None:
            slot.output.end()
            slot.output = None
        began = slot.shared.view[1]
        self._show(bundle, [{"type": "end", "seconds": time.monotonic() - began if began else 0}])

    # -- what becomes of processes ------------------------------------------------------------

    def on_fatal(self, error: ClusterError) -> None:
        """No slot can be started any more."""
        self._listener.on_fatal(error)

    def on_exit(self, slot: Slot, code: int) -> None:
        """The process of a slot has ended."""
        if code == CONNECTION_LOST:
            slot.lost = slot.lost or "its connection to the agent was closed or written to"
        bundle: Bundle | None = slot.bundle
        if bundle is not None:
            if bundle.is_cell:
                self._end_output(slot, bundle)
            self._blame(slot, bundle, code)
            self._release(slot)
        if slot.session:
            self._leave_session(slot, code, was_busy=bundle is not None)
        if bundle is not None:
            self._after(bundle)

    def _unsettle(self, slot: Slot) -> None:
        """A session gives back what was its own."""
        del self._sessions[slot.session]
        self._free += slot.held
        self._devices.give_back(slot.devices, slot.held.by_name.get(GPU, 0))

    def _leave_session(self, slot: Slot, code: int, was_busy: bool) -> None:
        self._unsettle(slot)
        why = slot.doom[1] if slot.doom else self._end_of(slot, code)
        self._listener.on_session_end(slot.session, why, was_busy)
        self._pump()

    def _blame(self, slot: Slot, bundle: Bundle, code: int) -> None:
        """The process died: report the task that it was at, and leave the others alone."""
        if not bundle.blocks:
            return
        stopped_by_us = slot.shared.view[2] == INTERRUPTED and slot.doom is None
        if stopped_by_us and not slot.lost:
            return
        if slot.lost and slot.doom is None and not bundle.is_alone:
            bundle.one_by_one = True  # the task that did it may have ended before this one
            return
        at = slot.running
        index = max(at[0], bundle.next) if at and not slot.lost else bundle.next
        status, text = slot.doom or (Status.CRASHED, self._end_of(slot, code))
        if slot.session:
            text += f"; with it went session {slot.session!r} and its variables"
        self._report(bundle, index, status, text)

    def _end_of(self, slot: Slot, code: int) -> str:
        if slot.lost:
            return f"its process was ended: {slot.lost}"
        return f"its process {describe_end(code, list(slot.tail))}"

    def _report(self, bundle: Bundle, index: int, status: Status, text: str) -> None:
        """A task did not end by itself."""
        bundle.drop(index, index + 1)
        block = Block.of(index, [text.encode()])
        self._listener.on_results(bundle, bytes([status]), block, 0.0)

    # -- the watchdog -------------------------------------------------------------------------

    def _watch(self) -> None:
        self._watcher = self._loop.call_later(WATCH_SECONDS, self._watch)
        if time.monotonic() > self._usage_due:
            self._usage_due = time.monotonic() + USAGE_SECONDS
            with self._measuring:
                pids = [s.pid for s in self._slots.values() if s.pid and s.exit_code is None]
                self._listener.on_usage(*self._usage.look(pids))
        for slot in list(self._slots.values()):
            if slot.bundle and slot.doom is None and slot.exit_code is None:
                with self._checking:
                    self._check(slot, slot.bundle)

    def _check(self, slot: Slot, bundle: Bundle) -> None:
        slot.doom = doom_of(slot, bundle)
        if slot.doom is None:
            slot.check()
            return
        if slot.session and slot.doom[0] is Status.TIMEOUT:
            slot.interrupt(SESSION_GRACE_SECONDS)
        else:
            slot.kill()
