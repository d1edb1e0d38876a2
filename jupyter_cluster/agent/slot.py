"""The agent's end of one slot: its process, its connection, the tail of what it wrote."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import time
from collections import deque
from collections.abc import Callable
from typing import Any

from jupyter_cluster.agent.frames import Reader, pack
from jupyter_cluster.agent.output import Output
from jupyter_cluster.agent.shared import IDLE, INTERRUPTED, STOPPED, Shared
from jupyter_cluster.agent.zygote import kill_group
from jupyter_cluster.resources import Resources
from jupyter_cluster.wire import Status

TAIL_LINES = 20
# How long an interrupted task may take to end before its process is killed.
GRACE_SECONDS = 0.5
_CHUNK = 1 << 20


class Slot:
    """A child process that runs user code, one bundle at a time.

    Attributes
    ----------
    key : str
        What the process was made for (devices, modules); it is reused for nothing else.
    doom : tuple or None
        Why the agent is ending it, as the status and sentence for the task at hand.
    session : str
        The session that it keeps, which holds `held` and `devices` of the node; empty for others.
    output : Output or None
        Takes the lines that a cell writes past its shell.
    """

    def __init__(self, number: int, key: str, on_line: Callable[[Slot, str, str], None]) -> None:
        self.number = number
        self.key = key
        self.pid = 0
        self.exit_code: int | None = None
        self.bundle: Any = None
        self.function = ""
        self.doom: tuple[Status, str] | None = None
        self.session = ""
        self.held = Resources()
        self.devices: tuple[int, ...] = ()
        self.output: Output | None = None
        self.tail: deque[str] = deque(maxlen=TAIL_LINES)
        self._on_line = on_line
        self._reader = Reader()
        self._loop = asyncio.get_running_loop()
        self._outbox = bytearray()
        self._closed = False
        self._sock, self._theirs = socket.socketpair()
        self._sock.setblocking(False)
        self._shared_descriptor = Shared.new_descriptor()
        self.shared = Shared(self._shared_descriptor)
        self.shared.reset()
        self._pipes: dict[int, tuple[str, bytearray]] = {}
        self._their_ends: list[int] = []
        for name in ("stdout", "stderr"):
            ours, theirs = os.pipe()
            os.set_blocking(ours, False)
            self._pipes[ours] = (name, bytearray())
            self._their_ends.append(theirs)

    def descriptors(self) -> list[int]:
        """What the child is to inherit, in the order in which the zygote expects it."""
        return [self._theirs.fileno(), self._shared_descriptor, *self._their_ends]

    def begin(self, on_message: Callable[[Slot, dict[str, Any]], None]) -> None:
        """The descriptors are on their way to the child: close ours and listen."""
        self._theirs.close()
        os.close(self._shared_descriptor)
        for descriptor in self._their_ends:
            os.close(descriptor)
        self._on_message = on_message
        self._loop.add_reader(self._sock, self._read)
        for descriptor in self._pipes:
            self._loop.add_reader(descriptor, self._read_pipe, descriptor)

    def send(self, message: dict[str, Any]) -> None:
        """Queue a message for the child."""
        self._outbox += pack(message)
        self._write()

    def _write(self) -> None:
        try:
            while self._outbox:
                sent = self._sock.send(memoryview(self._outbox)[:_CHUNK])
                del self._outbox[:sent]
        except BlockingIOError:
            self._loop.add_writer(self._sock, self._write)
            return
        except OSError:  # the child is gone; the zygote will say so
            self._outbox.clear()
        self._loop.remove_writer(self._sock)

    def _read(self) -> None:
        try:
            data = self._sock.recv(_CHUNK)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            self._loop.remove_reader(self._sock)
            return
        for message in self._reader.feed(data):
            self._on_message(self, message)

    def _read_pipe(self, descriptor: int) -> bool:
        try:
            data = os.read(descriptor, 65536)
        except BlockingIOError:
            return False
        name, buffer = self._pipes[descriptor]
        buffer += data
        *lines, rest = bytes(buffer).split(b"\n")
        if not data and rest:
            lines, rest = [*lines, rest], b""
        buffer[:] = rest[-65536:]
        for line in lines:
            text = line.decode(errors="backslashreplace")
            if name == "stderr":
                self.tail.append(text)
            self._on_line(self, name, text)
        if not data:
            self._loop.remove_reader(descriptor)
        return bool(data)

    @property
    def is_idle(self) -> bool:
        """Whether another bundle may have it, or its place."""
        return self.bundle is None and self.exit_code is None and not self.session

    @property
    def running(self) -> tuple[int, float] | None:
        """Position and age in seconds of the task at hand; None between tasks."""
        index, began = self.shared.view[0], self.shared.view[1]
        return None if index == IDLE else (int(index), time.monotonic() - began)

    def stop_after_task(self) -> None:
        """Leave out what follows the task at hand in the bundle."""
        self.shared.view[2] = STOPPED

    def interrupt(self, grace: float = GRACE_SECONDS) -> None:
        """Stop the task at hand and what follows it in the bundle: asked first, then killed."""
        self.shared.view[2] = INTERRUPTED
        if not self.pid:
            return
        try:
            os.kill(self.pid, signal.SIGINT)
        except ProcessLookupError:
            return
        self._loop.call_later(grace, self._kill_if_still_at, self._task)

    @property
    def _task(self) -> tuple[float, float]:
        """Position and start of the task at hand: no other run of any task has the same."""
        return self.shared.view[0], self.shared.view[1]

    def _kill_if_still_at(self, task: tuple[float, float]) -> None:
        # Not told by the bundle: what is left of it may run in this very slot by now.
        if not self._closed and self._task == task:
            self.kill()

    def kill(self) -> None:
        """End the process and whatever it has started, now."""
        if self.pid and self.exit_code is None:
            kill_group(self.pid)

    def drain(self) -> None:
        """Take what the child had still sent and written before it ended."""
        try:
            while data := self._sock.recv(_CHUNK):
                for message in self._reader.feed(data):
                    self._on_message(self, message)
        except OSError:
            pass
        self.read_pipes()

    def read_pipes(self) -> None:
        """Take what the child has written so far."""
        for descriptor in self._pipes:
            try:
                while self._read_pipe(descriptor):
                    pass
            except OSError:
                pass

    def close(self) -> None:
        """Give everything back; the process is gone or goes when its connection closes."""
        self._closed = True
        self._loop.remove_reader(self._sock)
        self._loop.remove_writer(self._sock)
        for descriptor in self._pipes:
            self._loop.remove_reader(descriptor)
            os.close(descriptor)
        self._pipes.clear()
        self._sock.close()
        self.shared.close()


def describe_end(code: int, tail: list[str]) -> str:
    """How a process ended, in words, with the last lines of what it wrote to stderr."""
    if code < 0:
        try:
            name = signal.Signals(-code).name
        except ValueError:
            name = "unknown"
        how = f"was ended by signal {-code} ({name})"
        if -code == signal.SIGKILL:
            how += ", often the kernel's answer to memory running out"
    else:
        how = f"exited with code {code}"
    # The first line is a sentence of its own: events and tables show no more.
    return how + ("\nThe last lines of its stderr:\n" + "\n".join(tail) if tail else "")
