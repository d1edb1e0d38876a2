"""Where slots come from and go: forked when there is work, let go when their job is over."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import signal
import socket
import time
from pathlib import Path
from typing import Any, Protocol

from jupyter_cluster.agent.bundle import Bundle
from jupyter_cluster.agent.reports import Report
from jupyter_cluster.agent.slot import Slot, describe_end
from jupyter_cluster.agent.zygote_link import ZygoteLink
from jupyter_cluster.errors import ClusterError

logger = logging.getLogger("jupyter_cluster.agent")

# Pauses between attempts to start a process, and for how long to try where none runs.
FIRST_PAUSE, LONGEST_PAUSE, GIVE_UP_SECONDS = 0.1, 5.0, 60.0
# A bundle for which so many processes have died before they took a task is to blame for it.
MAX_STARTS = 5
# How long after a job has taken its first process another one is forked in advance.
SPARE_SECONDS = 0.05
# How long the processes of a job stay that is over.
LEAVE_SECONDS = 0.3
# What slots for cells have imported before they are forked.
_CELL_MODULES = ["jupyter_cluster.agent.shell"]


class Keeper(Protocol):
    """Who is told of slots."""

    def on_report(self, slot: Slot, report: Report) -> None: ...
    def on_line(self, slot: Slot, stream: str, text: str) -> None: ...
    def on_ready(self, slot: Slot) -> None: ...
    def on_unstarted(self, slot: Slot, why: str) -> None: ...
    def on_exit(self, slot: Slot, code: int) -> None: ...
    def on_room(self) -> None: ...
    def on_fatal(self, error: ClusterError) -> None: ...


class Nursery:
    """The slots of one node.

    A slot is reused for bundles of one job with the same devices, folder and modules: a job never
    sees what another one has done to its process. Cells outside a session have a slot each.

    Parameters
    ----------
    max_idle
        How many slots without work may stay for what comes next of their job.

    Attributes
    ----------
    slots : dict
        All of them, by number; also those forked in advance, one for each zygote.
    """

    def __init__(self, zygote: socket.socket, results: Path, keeper: Keeper, max_idle: int) -> None:
        self.slots: dict[int, Slot] = {}
        self._results = results
        self._keeper = keeper
        self._max_idle = max_idle
        self._count = 0
        self._loop = asyncio.get_running_loop()
        self._zygote = ZygoteLink(zygote, self, self._on_zygote_lost)
        self._cell_zygote: ZygoteLink | None = None
        self._spares: dict[ZygoteLink, Slot] = {}
        self._closed = False
        self._loop.call_soon(self._fork_spare, self._zygote)
        self._failing_since: float | None = None
        self._pause = FIRST_PAUSE
        self._not_before = 0.0

    @property
    def is_paused(self) -> bool:
        """Whether a process could not be started a moment ago."""
        return time.monotonic() < self._not_before

    def slot_for(
        self, bundle: Bundle, environment: dict[str, Any], devices: tuple[int, ...]
    ) -> Slot:
        """A slot for a bundle: one of its job that has nothing to do, or a new one.

        Raises
        ------
        OSError
            No process can be started now.
        """
        key = json.dumps([bundle.job, environment], sort_keys=True)
        idle = [slot for slot in self.slots.values() if slot.is_idle]
        if not bundle.is_cell:
            for slot in idle:
                if slot.key == key and not slot.is_spent:
                    return slot
        for slot in [slot for slot in idle if set(slot.devices) & set(devices)]:
            idle.remove(slot)
            self.retire(slot)  # it may still hold memory of a device
        for slot in idle[: max(0, len(idle) - self._max_idle + 1)]:
            self.retire(slot)
        slot = self._make(bundle, key, environment)
        slot.devices = devices
        return slot

    def _make(self, bundle: Bundle, key: str, environment: dict[str, Any]) -> Slot:
        zygote = self._zygote
        if bundle.is_cell:
            if self._cell_zygote is None:
                self._cell_zygote = zygote.fork_zygote(
                    _CELL_MODULES, self, self._on_cell_zygote_lost
                )
            zygote = self._cell_zygote
        slot = self._spares.pop(zygote, None) or self._fork(zygote)
        slot.enter(bundle.job, key, environment)
        self._loop.call_later(SPARE_SECONDS, self._fork_spare, zygote)
        return slot

    def _fork(self, zygote: ZygoteLink) -> Slot:
        self._count += 1
        slot = Slot(self._count, self._keeper.on_line)
        slot.begin(zygote, self._keeper.on_report, results=str(self._results))
        self.slots[slot.number] = slot
        return slot

    def _fork_spare(self, zygote: ZygoteLink) -> None:
        """One in advance, so that the next job need not wait for its process."""
        if not self._closed and zygote not in self._spares and not self.is_paused:
            with contextlib.suppress(OSError):  # the next job tries it again
                self._spares[zygote] = self._fork(zygote)

    def _forget_spare(self, slot: Slot) -> None:
        self._spares = {link: spare for link, spare in self._spares.items() if spare is not slot}

    def retire(self, slot: Slot) -> None:
        """Let a slot go."""
        del self.slots[slot.number]
        slot.retire()

    def end_job(self, job: str) -> None:
        """A job is over: its slots go, and with them all that it has started."""
        for slot in [slot for slot in self.slots.values() if slot.job == job and not slot.session]:
            slot.is_spent = True
        # In a moment: the next job's processes come first.
        self._loop.call_later(LEAVE_SECONDS, self._retire_spent)

    def _retire_spent(self) -> None:
        for slot in [slot for slot in self.slots.values() if slot.is_idle and slot.is_spent]:
            self.retire(slot)

    def close(self) -> None:
        """End every slot now."""
        self._closed = True
        for slot in self.slots.values():
            slot.close()
        self.slots.clear()
        if self._cell_zygote is not None:
            self._cell_zygote.close()
        self._zygote.close()  # they end what is left

    # -- starts that fail ---------------------------------------------------------------------

    def note_failure(self, why: str) -> bool:
        """A process could not be started: it is tried again after a pause, and given up after many.

        Returns
        -------
        bool
            Whether it is the first failure after a success.
        """
        now = time.monotonic()
        is_first = self._failing_since is None
        if self._failing_since is None:
            self._failing_since = now
            logger.warning("a slot cannot be started, it is tried again: %s", why)
        others = any(slot.shared.is_ready for slot in self.slots.values())
        if not others and now - self._failing_since > GIVE_UP_SECONDS:
            self._keeper.on_fatal(ClusterError(f"no process can be started on this node: {why}"))
        self._not_before = now + self._pause
        self._loop.call_later(self._pause, self._keeper.on_room)
        self._pause = min(2 * self._pause, LONGEST_PAUSE)
        return is_first

    def note_success(self) -> None:
        """Processes can be started."""
        self._failing_since, self._pause, self._not_before = None, FIRST_PAUSE, 0.0

    # -- what zygotes say ---------------------------------------------------------------------

    def on_forked(self, number: int, pid: int) -> None:
        """A slot has its process."""
        if slot := self.slots.get(number):
            slot.pid = pid
            if slot.lost:
                slot.kill()
            else:
                self._keeper.on_ready(slot)

    def on_unforked(self, number: int, why: str) -> None:
        """A slot could not be forked."""
        if slot := self.slots.pop(number, None):
            self._forget_spare(slot)
            slot.close()
            self._keeper.on_unstarted(slot, why)

    def on_exit(self, number: int, code: int) -> None:
        """The process of a slot has ended."""
        if (slot := self.slots.get(number)) is None:
            return
        slot.exit_code = code
        self._forget_spare(slot)
        slot.drain()
        del self.slots[number]
        is_unborn = not slot.shared.is_ready and slot.doom is None and slot.bundle is not None
        if is_unborn and slot.bundle.starts < MAX_STARTS:
            self._keeper.on_unstarted(slot, f"its process {describe_end(code, list(slot.tail))}")
        else:
            self._keeper.on_exit(slot, code)
        slot.close()

    def _on_zygote_lost(self, _link: ZygoteLink) -> None:
        self._keeper.on_fatal(ClusterError("the process that starts slots has died"))

    def _on_cell_zygote_lost(self, link: ZygoteLink) -> None:
        """Its slots have ended with it; the next cell gets another one."""
        self._cell_zygote = None
        self._spares.pop(link, None)
        for slot in [slot for slot in self.slots.values() if slot.is_of(link)]:
            self.on_exit(slot.number, -signal.SIGKILL)
