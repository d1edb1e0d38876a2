"""Which bundle runs in which slot: the second of the two levels of scheduling.

The head sends bundles to a node; here they get a slot as soon as the node's resources allow. The
sum of what runs never exceeds the node.
"""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, Protocol

import psutil

from jupyter_cluster.agent.bundle import Bundle
from jupyter_cluster.agent.shared import INTERRUPTED
from jupyter_cluster.agent.devices import Devices
from jupyter_cluster.agent.frames import Reader, pack
from jupyter_cluster.agent.slot import Slot, describe_end
from jupyter_cluster.errors import ClusterError
from jupyter_cluster.model import GPU, MEMORY, UNITS, Resources, format_bytes, format_seconds
from jupyter_cluster.wire import Block, Status

WATCH_SECONDS = 0.2


class Listener(Protocol):
    """Who is told what happens in the pool."""

    def on_results(self, bundle: Bundle, statuses: bytes, block: Block, seconds: float) -> None: ...
    def on_ended(self, bundle: Bundle) -> None: ...
    def on_line(self, job: str, slot: int, stream: str, text: str) -> None: ...
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
    ) -> None:
        self._free = resources
        self._devices = Devices(resources.by_name.get(GPU, 0) // UNITS)
        self._has_devices = bool(resources.by_name.get(GPU))
        self._folder = folder
        self._listener = listener
        self._code_of = code_of
        self._queue: list[Bundle] = []
        self._slots: dict[int, Slot] = {}
        self._count = 0
        self._max_idle = max(1, resources.by_name.get("CPU", UNITS) // UNITS)
        self._zygote = zygote
        self._reader = Reader()
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(zygote, self._read_zygote)
        self._watch()

    # -- what the service asks for ------------------------------------------------------------

    def submit(self, bundles: Iterable[Bundle]) -> None:
        """Run these as soon as there is room."""
        self._queue += bundles
        self._pump()

    def bundles(self) -> list[Bundle]:
        """All that are queued or running."""
        return [slot.bundle for slot in self._slots.values() if slot.bundle] + self._queue

    @property
    def busy(self) -> int:
        """How many slots are running a bundle."""
        return sum(1 for slot in self._slots.values() if slot.bundle)

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
                    slot.interrupt() if at and start <= at[0] < stop else slot.stop_after_task()
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
        waiting: list[Bundle] = []
        for bundle in self._queue:
            if not bundle.shape.fits(self._free) or not self._start(bundle):
                waiting.append(bundle)
        self._queue = waiting

    def _start(self, bundle: Bundle) -> bool:
        devices = self._devices.take(bundle.shape.by_name.get(GPU, 0))
        if devices is None:  # enough in sum, but spread over several devices
            return False
        bundle.devices = devices
        self._free -= bundle.shape
        environment = dict(bundle.environment)
        if self._has_devices:
            visible = ",".join(map(str, devices))
            environment["variables"] = {"CUDA_VISIBLE_DEVICES": visible}
        slot = self._slot_for(json.dumps(environment, sort_keys=True), environment)
        slot.bundle = bundle
        if slot.pid:
            self._hand_over(slot)
        return True

    def _slot_for(self, key: str, environment: dict[str, Any]) -> Slot:
        idle = [s for s in self._slots.values() if s.bundle is None and s.exit_code is None]
        for slot in idle:
            if slot.key == key:
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
        if slot.function != bundle.function:
            message["code"] = self._code_of(bundle.function)
            slot.function = bundle.function
        slot.shared.reset()
        slot.send(message)

    # -- what slots say -----------------------------------------------------------------------

    def _on_message(self, slot: Slot, message: dict[str, Any]) -> None:
        bundle: Bundle | None = slot.bundle
        if bundle is None:
            return
        if "block" in message:
            block = Block.unpack(message["block"])
            bundle.reported(block.stop)
            self._listener.on_results(bundle, message["statuses"], block, message["seconds"])
        if message["finished"]:
            self._release(slot)
            self._after(bundle)

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
        self._free += bundle.shape
        self._devices.give_back(bundle.devices, bundle.shape.by_name.get(GPU, 0))

    def _on_line(self, slot: Slot, stream: str, text: str) -> None:
        self._listener.on_line(slot.bundle.job if slot.bundle else "", slot.number, stream, text)

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
            self._release(slot)
            self._blame(slot, bundle, code)
        self._retire(slot)
        if bundle is not None:
            self._after(bundle)

    def _blame(self, slot: Slot, bundle: Bundle, code: int) -> None:
        """The process died: report the task that it was at, and leave the others alone."""
        if not bundle.blocks:
            return
        at = slot.shared.view[0]
        index = int(at) if at >= bundle.next else bundle.next
        stopped_by_us = slot.shared.view[2] == INTERRUPTED and slot.doom is None
        if stopped_by_us:
            return
        bundle.drop(index, index + 1)
        status, text = slot.doom or (
            Status.CRASHED,
            f"its process {describe_end(code, list(slot.tail))}",
        )
        block = Block.of(index, [text.encode()])
        self._listener.on_results(bundle, bytes([status]), block, 0.0)

    # -- the watchdog -------------------------------------------------------------------------

    def _watch(self) -> None:
        for slot in self._slots.values():
            if slot.bundle and slot.doom is None and slot.exit_code is None:
                self._check(slot, slot.bundle)
        self._watcher = self._loop.call_later(WATCH_SECONDS, self._watch)

    def _check(self, slot: Slot, bundle: Bundle) -> None:
        at = slot.running
        if at and bundle.timeout is not None and at[1] > bundle.timeout:
            limit = format_seconds(bundle.timeout)
            slot.doom = (Status.TIMEOUT, f"it ran longer than its timeout of {limit}")
        allowed = bundle.shape.by_name.get(MEMORY, 0) / UNITS
        if allowed and slot.pid and (used := _memory(slot.pid)) > allowed:
            slot.doom = (
                Status.MEMORY,
                f"it used {format_bytes(used)}, more than its memory of {format_bytes(allowed)}",
            )
        if slot.doom:
            slot.kill()


def _memory(pid: int) -> float:
    """Resident bytes of a process and all it has started."""
    try:
        process = psutil.Process(pid)
        family = [process, *process.children(recursive=True)]
        return sum(one.memory_info().rss for one in family)
    except psutil.Error:
        return 0.0
