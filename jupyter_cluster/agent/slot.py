"""The agent's end of one slot: its process, its connection, the tail of what it wrote."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import time
from collections import deque
from collections.abc import Callable
from typing import Any

from jupyter_cluster.agent.frames import ProtocolError, Reader, pack
from jupyter_cluster.agent.output import Output
from jupyter_cluster.agent.reports import Report, read_report
from jupyter_cluster.agent.shared import IDLE, INTERRUPTED, STOPPED, Shared
from jupyter_cluster.agent.zygote_link import ZygoteLink
from jupyter_cluster.background import describe, report
from jupyter_cluster.resources import Resources
from jupyter_cluster.wire import Status

TAIL_LINES = 20
# How long an interrupted task may take to end before its process is killed.
GRACE_SECONDS = 0.5
# A process whose connection has ended should end itself in this time.
EOF_SECONDS = 1.0
# After its last task it should say the rest of a message in this time, and take a bundle in that.
REST_SECONDS, MUTE_SECONDS = 5.0, 60.0
# A full pipe is empty after so many reads: who writes as fast as we read must not keep us.
PIPE_READS = 16
_CHUNK = 1 << 20


class Slot:
    """A child process that runs user code, one bundle at a time.

    Attributes
    ----------
    key : str
        What the process was made for (job, devices, modules); it is reused for nothing else.
    job : str
        The job whose tasks it runs; empty while it waits for its first.
    function, code_path : str
        Of its last bundle: the function that it has, and the folder of modules.
    doom : tuple or None
        Why the agent is ending it, as the status and sentence for the task at hand.
    lost : str
        Why it can no longer be understood; empty while it can. Which task is to blame is not known.
    is_spent : bool
        It gets no other bundle: its job is over, or a task of it was interrupted.
    session : str
        The session that it keeps, which holds `held` and `devices` of the node; empty for others.
    output : Output or None
        Takes the lines that a cell writes past its shell.

    Raises
    ------
    OSError
        Too many files are open.
    """

    def __init__(self, number: int, on_line: Callable[[Slot, str, str], None]) -> None:
        self.number = number
        self.job = ""
        self.key = ""
        self.pid = 0
        self.exit_code: int | None = None
        self.bundle: Any = None
        self.function = self.code_path = ""
        self.doom: tuple[Status, str] | None = None
        self.lost = ""
        self.is_spent = False
        self.session = ""
        self.held = Resources()
        self.devices: tuple[int, ...] = ()
        self.output: Output | None = None
        self.tail: deque[str] = deque(maxlen=TAIL_LINES)
        self._on_line = on_line
        self._reader = Reader()
        self._heard = time.monotonic()
        self._loop = asyncio.get_running_loop()
        self._outbox = bytearray()
        self._closed = False
        self._pipes: dict[int, tuple[str, bytearray]] = {}
        with contextlib.ExitStack() as undo:
            self._open(undo)
            undo.pop_all()

    def _open(self, undo: contextlib.ExitStack) -> None:
        self._sock, self._theirs = socket.socketpair()
        undo.callback(self._sock.close)
        undo.callback(self._theirs.close)
        self._sock.setblocking(False)
        self._their_ends = [Shared.new_descriptor()]
        undo.callback(self._close_theirs)
        self.shared = Shared(self._their_ends[0])
        undo.callback(self.shared.close)
        self.shared.reset()
        for name in ("stdout", "stderr"):
            ours, theirs = os.pipe()
            undo.callback(os.close, ours)
            os.set_blocking(ours, False)
            self._pipes[ours] = (name, bytearray())
            self._their_ends.append(theirs)

    def begin(
        self, zygote: ZygoteLink, on_report: Callable[[Slot, Report], None], **order: Any
    ) -> None:
        """Have the process forked, and listen to it.

        Parameters
        ----------
        order
            What the process is to be, for the zygote.

        Raises
        ------
        OSError
            It cannot be.
        """
        self._zygote = zygote
        self._on_report = on_report
        # The zygote expects these in this order.
        descriptors = [self._theirs.fileno(), *self._their_ends]
        try:
            zygote.fork(self.number, descriptors, **order)
        except OSError:
            self.close()
            raise
        finally:
            self._theirs.close()
            self._close_theirs()
        self._loop.add_reader(self._sock, self._read)
        for descriptor in self._pipes:
            self._loop.add_reader(descriptor, self._read_pipe, descriptor)

    def _close_theirs(self) -> None:
        for descriptor in self._their_ends:
            os.close(descriptor)

    def enter(self, job: str, key: str, environment: dict[str, Any]) -> None:
        """Be for this job from now on."""
        self.job, self.key = job, key
        self.send({"environment": environment})

    def is_of(self, zygote: ZygoteLink) -> bool:
        """Whether this zygote has forked it."""
        return self._zygote is zygote

    def send(self, message: dict[str, Any]) -> None:
        """Queue a message for the child."""
        self._heard = time.monotonic()
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
        if data:
            self._take(data)
            return
        # As a rule its process has ended, and the zygote will say how.
        self._loop.remove_reader(self._sock)
        self._loop.call_later(EOF_SECONDS, self.lose, "its connection to the agent was closed")

    def _take(self, data: bytes) -> None:
        self._heard = time.monotonic()
        try:
            for message in self._reader.feed(data):
                self._on_report(self, read_report(message))
        except ProtocolError as error:
            self.lose(f"its connection to the agent was written to: {error}")
        except Exception as error:  # of the agent's own: the tasks are run again
            report("taking the results of a slot", error)
            self.lose(f"its results could not be taken: {describe(error)}")

    def lose(self, why: str) -> None:
        """End the process: what it has to say can no longer be known."""
        if not self.lost and not self._closed:
            self.lost = why
            self._loop.remove_reader(self._sock)
            self.kill()

    def check(self) -> None:
        """Whether it says what it has to: that it takes its bundle, and the rest of a message."""
        is_at_work = self.shared.view[0] != IDLE or not self.shared.is_ready
        if self.bundle is None or is_at_work or self._outbox:
            return
        silence = time.monotonic() - self._heard
        if self._reader.is_within_message and silence > REST_SECONDS:
            self.lose("the rest of what it has to say did not come")
        elif silence > MUTE_SECONDS:
            self.lose("it did not get its tasks: its connection to the agent was read from")

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
        """Whether another bundle of its job may have it, or another job its place."""
        is_alive = self.exit_code is None and not self.lost
        return bool(self.job) and self.bundle is None and is_alive and not self.session

    @property
    def running(self) -> tuple[int, float] | None:
        """Position and age in seconds of the task at hand; None between tasks."""
        at = self.shared.running
        if at is None or self.bundle is None:
            return None
        return at if self.bundle.start <= at[0] < self.bundle.stop else None

    def stop_after_task(self) -> None:
        """Leave out what follows the task at hand in the bundle."""
        self.shared.view[2] = STOPPED

    def interrupt(self, grace: float = GRACE_SECONDS) -> None:
        """Stop the task at hand and what follows it in the bundle: asked first, then killed."""
        self.shared.view[2] = INTERRUPTED
        self.is_spent = not self.session  # what the task has started ends with the process
        if self.pid:
            self._zygote.signal(self.number, signal.SIGINT)
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
            self._zygote.kill(self.number)

    def drain(self) -> None:
        """Take what the child had still sent and written before it ended."""
        try:
            while not self.lost and (data := self._sock.recv(_CHUNK)):
                self._take(data)
        except OSError:
            pass
        self.read_pipes()

    def read_pipes(self) -> None:
        """Take what the child has written so far."""
        for descriptor in self._pipes:
            with contextlib.suppress(OSError):
                for _ in range(PIPE_READS):
                    if not self._read_pipe(descriptor):
                        break

    def retire(self) -> None:
        """Let the process go: it ends when its connection closes, and is ended if it does not."""
        self._zygote.retire(self.number)
        self.close()

    def close(self) -> None:
        """Give everything back."""
        if self._closed:
            return
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
