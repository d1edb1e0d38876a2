"""Which bundle runs in which slot: the second of the two levels of scheduling.

The head sends bundles to a node; here they get a slot as soon as the node's resources allow. The
sum of what runs never exceeds the node.
"""

from __future__ import annotations

import asyncio
import json
import socket
import threading
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, Protocol

from jupyter_cluster.agent.bundle import Bundle
from jupyter_cluster.agent.devices import Devices
from jupyter_cluster.agent.frames import Reader, pack
from jupyter_cluster.agent.output import Output, encode
from jupyter_cluster.agent.shared import INTERRUPTED
from jupyter_cluster.agent.slot import GRACE_SECONDS, Slot, describe_end
from jupyter_cluster.agent.usage import Usage
from jupyter_cluster.agent.watchdog import doom_of
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
    ) -> None:
        self._node = node
        self._free = resources
        self._devices = Devices(resources.by_name.get(GPU, 0) // UNITS)
        self._has_devices = bool(resources.by_name.get(GPU))
        self._folder = folder
        self._listener = listener
        self._code_of = code_of
        self._queue: list[Bundle] = []
        self._slots: dict[int, Slot] = {}
        self._sessions: dict[str, Slot] = {}
        self._count = 0
        self._max_idle = max(1, resources.by_name.get("CPU", UNITS) // UNITS)
        self._zygote = zygote
        self._reader = Reader()
        self._loop = asyncio.get_running_loop()
        self._thread = threading.get_ident()
        self._loop.add_reader(zygote, self._read_zygote)
        self._usage = Usage()
        self._usage_due = 0.0
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

    def end_session(self, session: str) -> None:
        """End a session with all it holds; a cell that runs in it fails."""
        if slot := self._sessions.get(session):
            slot.doom = (Status.CRASHED, f"its session {session!r} was ended")
            slot.kill()

    def recall(self, count: int | None = None) -> list[Bundle]:
        """Take back bundles that have not been started, the newest first; all where no count."""
        keep = 0 if count is None else max(0, len(self._queue) - count)
        taken, self._queue = self._queue[keep:], self._queue[:keep]
        return taken

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
        self._loop.remove_reader(self._zygote)
        for slot in self._slots.values():
            slot.kill()
            slot.close()
        self._slots.clear()
        self._zygote.close()  # the zygote ends whatever is left

    # -- starting -----------------------------------------------------------------------------

    def _pump(self) -> None:
        queue, self._queue = self._queue, []
        for bundle in queue:
            if not self._start(bundle):
                self._queue.append(bundle)

    def _start(self, bundle: Bundle) -> bool:
        if bundle.session and (slot := self._sessions.get(bundle.session)):
            return self._go_on(slot, bundle)
        if bundle.session and not bundle.begins_session:
            if not any(b.begins_session and b.session == bundle.session for b in self._queue):
                self._loop.call_soon(self._refuse, bundle)
                return True
            return False
        if not bundle.shape.fits(self._free):
            return False
        devices = self._devices.take(bundle.shape.by_name.get(GPU, 0))
        if devices is None:  # enough in sum, but spread over several devices
            return False
        bundle.devices, bundle.taken = devices, bundle.shape
        self._free -= bundle.shape
        environment = dict(bundle.environment)
        if self._has_devices:
            visible = ",".join(map(str, devices))
            environment["variables"] = {"CUDA_VISIBLE_DEVICES": visible}
        if bundle.is_cell:
            environment["cells"] = True  # a shell has changed the process for other tasks
        slot = self._slot_for(json.dumps(environment, sort_keys=True), environment)
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

    def _slot_for(self, key: str, environment: dict[str, Any]) -> Slot:
        idle = [s for s in self._slots.values() if s.is_idle]
        for slot in idle:
            if slot.key == key and not environment.get("session"):
                return slot
        for slot in idle[: max(0, len(idle) - self._max_idle + 1)]:
            self._retire(slot)
        self._count += 1
        slot = Slot(self._count, key, self._on_line)
        self._slots[slot.number] = slot
        order = {
            "slot": slot.number,
            "environment": environment,
            "results": str(self._folder / "results"),
        }
        socket.send_fds(self._zygote, [b"F"], slot.descriptors())
        self._zygote.sendall(pack(order))
        slot.begin(self._on_message)
        return slot

    def _hand_over(self, slot: Slot) -> None:
        bundle: Bundle = slot.bundle
        message: dict[str, Any] = {
            "job": bundle.job,
            "kind": bundle.kind,
            "fn": bundle.function,
            "refs": {key: str(self._folder / "values" / key) for key in bundle.refs},
            "blocks": [block.pack() for block in bundle.blocks],
        }
        if bundle.is_cell:
            message["environment"] = bundle.environment
            self._show(bundle, [{"type": "begin", "node": self._node}])
        elif slot.function != bundle.function:
            message["code"] = self._code_of(bundle.function)
            slot.function = bundle.function
        slot.shared.reset()
        slot.send(message)

    # -- what slots say -----------------------------------------------------------------------

    def _on_message(self, slot: Slot, message: dict[str, Any]) -> None:
        bundle: Bundle | None = slot.bundle
        if bundle is None:
            return
        if "output" in message:
            self._listener.on_output(bundle, message["output"])
        if "block" in message:
            self._on_block(slot, bundle, message)
        if message["finished"]:
            if bundle.is_cell:
                self._end_output(slot, bundle)
            self._release(slot)
            self._after(bundle)

    def _on_block(self, slot: Slot, bundle: Bundle, message: dict[str, Any]) -> None:
        statuses, block = message["statuses"], Block.unpack(message["block"])
        if message["job"] != bundle.job:
            self._listener.on_values(message["job"], statuses, block)
            return
        if bundle.is_cell:  # all output is there before the result
            self._end_output(slot, bundle)
        if slot.doom and statuses == bytes([Status.CANCELLED]):  # a session that obeyed in time
            (status, text), slot.doom = slot.doom, None
            self._report(bundle, block.start, status, text)
            return
        bundle.reported(block.stop)
        self._listener.on_results(bundle, statuses, block, message["seconds"])

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

    def _on_line(self, slot: Slot, stream: str, text: str) -> None:
        if slot.bundle and slot.bundle.is_cell:
            self._raw_output(slot, slot.bundle).write(stream, f"{text}\n")
            return
        self._listener.on_line(slot.bundle.job if slot.bundle else "", slot.number, stream, text)

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

    def _retire(self, slot: Slot) -> None:
        slot.close()  # the child sees the end of its connection and exits
        del self._slots[slot.number]

    # -- what the zygote says -----------------------------------------------------------------

    def _read_zygote(self) -> None:
        data = b""
        try:
            data = self._zygote.recv(65536, socket.MSG_DONTWAIT)
        except BlockingIOError:
            return
        except OSError:
            pass
        if not data:
            self._loop.remove_reader(self._zygote)
            for slot in self._slots.values():
                slot.kill()
            self._listener.on_fatal(ClusterError("the process that starts slots has died"))
            return
        for message in self._reader.feed(data):
            if message["op"] == "forked":
                self._on_forked(message["slot"], message["pid"])
            else:
                self._on_exit(message["pid"], message["code"])

    def _on_forked(self, number: int, pid: int) -> None:
        slot = self._slots.get(number)
        if slot is None:
            return
        slot.pid = pid
        if slot.bundle:
            self._hand_over(slot)

    def _on_exit(self, pid: int, code: int) -> None:
        slot = next((s for s in self._slots.values() if s.pid == pid), None)
        if slot is None:
            return
        slot.exit_code = code
        slot.drain()
        bundle: Bundle | None = slot.bundle
        if bundle is not None:
            if bundle.is_cell:
                self._end_output(slot, bundle)
            self._release(slot)
            self._blame(slot, bundle, code)
        if slot.session:
            self._leave_session(slot, code, was_busy=bundle is not None)
        self._retire(slot)
        if bundle is not None:
            self._after(bundle)

    def _leave_session(self, slot: Slot, code: int, was_busy: bool) -> None:
        del self._sessions[slot.session]
        self._free += slot.held
        self._devices.give_back(slot.devices, slot.held.by_name.get(GPU, 0))
        why = slot.doom[1] if slot.doom else f"its process {describe_end(code, list(slot.tail))}"
        self._listener.on_session_end(slot.session, why, was_busy)
        self._pump()

    def _blame(self, slot: Slot, bundle: Bundle, code: int) -> None:
        """The process died: report the task that it was at, and leave the others alone."""
        if not bundle.blocks:
            return
        at = slot.shared.view[0]
        index = int(at) if at >= bundle.next else bundle.next
        stopped_by_us = slot.shared.view[2] == INTERRUPTED and slot.doom is None
        if stopped_by_us:
            return
        status, text = slot.doom or (
            Status.CRASHED,
            f"its process {describe_end(code, list(slot.tail))}",
        )
        if slot.session:
            text += f"; with it went session {slot.session!r} and its variables"
        self._report(bundle, index, status, text)

    def _report(self, bundle: Bundle, index: int, status: Status, text: str) -> None:
        """A task did not end by itself."""
        bundle.drop(index, index + 1)
        block = Block.of(index, [text.encode()])
        self._listener.on_results(bundle, bytes([status]), block, 0.0)

    # -- the watchdog -------------------------------------------------------------------------

    def _watch(self) -> None:
        if time.monotonic() > self._usage_due:
            self._usage_due = time.monotonic() + USAGE_SECONDS
            pids = [s.pid for s in self._slots.values() if s.pid and s.exit_code is None]
            self._listener.on_usage(*self._usage.look(pids))
        for slot in self._slots.values():
            if slot.bundle and slot.doom is None and slot.exit_code is None:
                self._check(slot, slot.bundle)
        self._watcher = self._loop.call_later(WATCH_SECONDS, self._watch)

    def _check(self, slot: Slot, bundle: Bundle) -> None:
        slot.doom = doom_of(slot, bundle)
        if slot.doom is None:
            return
        if slot.session and slot.doom[0] is Status.TIMEOUT:
            slot.interrupt(SESSION_GRACE_SECONDS)
        else:
            slot.kill()
