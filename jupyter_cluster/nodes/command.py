"""One command at the other end of an SSH channel: its input, its outputs, its end.

It ends when it has exited, also where something that it has left in the background keeps its
output open; and it is given up at its deadline, whether it prints or not.
"""

from __future__ import annotations

import re
import secrets
import select
import shlex
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

import paramiko
from paramiko.ssh_exception import SSHException

from jupyter_cluster.background import start_thread

# A channel is made, and a command accepted, within so long, or the connection is dead.
ANSWER_SECONDS = 10.0
# What a command has written on its last legs comes within so long after its exit code...
_QUIET_SECONDS = 0.5
# ...and what goes on writing after it is somebody that it has left behind.
_LEFT_SECONDS = 3.0
_PAUSE_SECONDS = 0.2
_PIECE = 2**16
# What is kept for an error message, and the longest line that is passed on as one.
TAIL_BYTES = 64 * 2**10
LINE_BYTES = 8 * 2**10
# An answer that is longer is none: the index of a million files has about 150 MB.
ANSWER_BYTES = 256 * 2**20

# What an answer begins with: before it a shell may print what its own start has to say.
_MARK = "jupyter_cluster-answers:"
_MARK_LINE = re.compile(rf"{_MARK}([ \w]*)\r?\n".encode())
_VARIABLE = "JUPYTER_CLUSTER_RUN"
# The group is the third word after the program's name (see proc(5)).
_GROUP = "sed 's/.*) //' {}/stat 2>/dev/null | cut -d' ' -f3"

OnLine = Callable[[str], None]
OnOutput = Callable[[bytes, bool], None]
OnError = Callable[[bytes], None]


@dataclass(frozen=True)
class Who:
    """A group of processes on a node, and the mark in the environment of all that are in it.

    The number of a group that has ended may be a stranger's by now; the mark is no one else's.
    """

    group: int
    mark: str


class OverdueError(Exception):
    """It has not ended by its deadline."""


@dataclass(frozen=True)
class Exchange:
    """What goes into a command, and where what it writes goes.

    Attributes
    ----------
    on_output : callable
        Takes each piece as it comes, and whether it is from stderr.
    deadline : float or None
        When it must have ended (monotonic clock).
    """

    on_output: OnOutput
    source: Iterable[bytes] = ()
    deadline: float | None = None


def execute(channel: paramiko.Channel, command: str, exchange: Exchange) -> int:
    """Run a command to its end; returns its exit code, -1 where the connection was lost.

    Raises
    ------
    OverdueError
        It goes on beyond its deadline.
    OSError, EOFError, SSHException
        The connection was lost.
    """
    request(channel, command)
    feeder = Feeder(channel, exchange.source)
    _listen(channel, exchange, feeder)
    feeder.raise_error()
    while not channel.status_event.wait(_PAUSE_SECONDS):  # it has closed its outputs and goes on
        _check(channel, exchange.deadline)
        feeder.raise_error()
    channel.close()  # what it has left behind keeps it open
    return int(channel.exit_status)


def stream(channel: paramiko.Channel, command: str, on_error: OnError) -> Iterator[bytes]:
    """What a command writes to stdout, piece by piece; its exit code is left in the channel."""
    request(channel, command)
    channel.shutdown_write()
    poll = select.poll()
    poll.register(channel.fileno(), select.POLLIN)
    found: list[bytes] = []

    def take(data: bytes, is_error: bool) -> None:
        (on_error if is_error else found.append)(data)

    while True:
        poll.poll(_PAUSE_SECONDS * 1000)
        is_over = channel.eof_received or channel.closed  # asked before what came is taken
        if not _take(channel, take):
            if is_over:
                return
            _check(channel, None)
        yield from found
        found.clear()


def request(channel: paramiko.Channel, command: str) -> None:
    """Start a command; a peer that does not answer is as good as gone."""
    timer = threading.Timer(ANSWER_SECONDS, channel.close)
    timer.daemon = True
    timer.start()
    try:
        channel.exec_command(command)
    finally:
        timer.cancel()


def _listen(channel: paramiko.Channel, exchange: Exchange, feeder: Feeder) -> None:
    """Pass its outputs on until they end, or it has ended and nothing more comes."""
    poll = select.poll()
    poll.register(channel.fileno(), select.POLLIN)
    exited: float | None = None
    heard = time.monotonic()
    while True:
        poll.poll(_PAUSE_SECONDS * 1000)
        now = time.monotonic()
        if _take(channel, exchange.on_output):
            heard = now
        elif channel.eof_received or channel.closed or feeder.has_failed:
            return
        if channel.exit_status_ready():
            exited = exited or now
            if now - max(heard, exited) > _QUIET_SECONDS or now - exited > _LEFT_SECONDS:
                return
        _check(channel, exchange.deadline)


def _take(channel: paramiko.Channel, on_output: OnOutput) -> bool:
    """Pass on what has come; says whether there was any."""
    found = False
    if channel.recv_ready() and (data := channel.recv(_PIECE)):
        found = True
        on_output(data, False)
    if channel.recv_stderr_ready() and (data := channel.recv_stderr(_PIECE)):
        found = True
        on_output(data, True)
    return found


def _check(channel: paramiko.Channel, deadline: float | None) -> None:
    transport = channel.get_transport()
    if transport is None or not transport.is_active():
        raise EOFError("the peer is gone")
    if deadline is not None and time.monotonic() > deadline:
        raise OverdueError


class Feeder:
    """Sends a source to a command's input, on a thread, so that its output is read meanwhile."""

    def __init__(self, channel: paramiko.Channel, source: Iterable[bytes]) -> None:
        self._channel, self._source = channel, source
        self._error: BaseException | None = None
        start_thread("sending a command its input", self._run)

    @property
    def has_failed(self) -> bool:
        """Whether the source could not be read to its end."""
        return self._error is not None

    def raise_error(self) -> None:
        """Raise what the source has raised."""
        if self._error is not None:
            raise self._error

    def _run(self) -> None:
        try:
            for piece in self._source:
                if not self._send(piece):
                    return
            self._send(None)
        except BaseException as error:  # of the source: whoever waits for the command hears it
            self._error = error
            self._channel.close()

    def _send(self, piece: bytes | None) -> bool:
        """A command that has ended without reading all says why by its exit code."""
        try:
            if piece is None:
                self._channel.shutdown_write()
            else:
                self._channel.sendall(piece)
        except (OSError, EOFError, SSHException):
            return False
        return True


class Tail:
    """The last of what a command writes; its lines are told as they come."""

    def __init__(self, on_line: OnLine | None = None) -> None:
        self._on_line = on_line
        self._kept = bytearray()
        self._open = bytearray()

    def add(self, data: bytes) -> None:
        """Take a piece, which may begin and end anywhere in a line."""
        self._kept += data
        if len(self._kept) > 2 * TAIL_BYTES:
            del self._kept[:-TAIL_BYTES]
        if self._on_line is None:
            return
        *lines, rest = data.split(b"\n")
        for line in lines:
            self._grow(line)
            self._tell()
        self._grow(rest)

    def _grow(self, data: bytes) -> None:
        self._open += data
        while len(self._open) > LINE_BYTES:
            rest = self._open[LINE_BYTES:]
            del self._open[LINE_BYTES:]
            self._tell()
            self._open += rest

    def end(self) -> None:
        """Tell the line that has no end."""
        if self._open:
            self._tell()

    @property
    def text(self) -> str:
        """The last that was written."""
        return bytes(self._kept[-TAIL_BYTES:]).decode(errors="replace")

    def last_lines(self, count: int = 15) -> str:
        """The last lines, as a terminal would show them."""
        lines = [seen(line) for line in self.text.split("\n") if line.strip()]
        return "\n".join(lines[-count:])

    def _tell(self) -> None:
        line = bytes(self._open).decode(errors="replace")
        self._open.clear()
        if self._on_line is not None:
            self._on_line(seen(line))


def seen(line: str) -> str:
    """What a terminal shows of a line: of a progress bar that returns to its begin, the last."""
    return line.rstrip("\r").rpartition("\r")[2]


class Answer:
    """What a command writes to stdout after a mark, and who it is.

    What stands before the mark are the words of the shell's own start, e.g. of a ``.bashrc``.

    Attributes
    ----------
    who : Who or None
        What the mark says of the process.
    """

    def __init__(self) -> None:
        self._data = bytearray()
        self.has_begun = False
        self.who: Who | None = None

    def add(self, data: bytes) -> bytes:
        """Take a piece; returns what of it belongs to the answer."""
        if self.has_begun:
            return data
        self._data += data
        if found := _MARK_LINE.search(self._data):
            self.has_begun = True
            words = found[1].decode().split()
            if len(words) == 2 and words[0].isdigit():
                self.who = Who(int(words[0]), words[1])
            after = bytes(self._data[found.end() :])
            self._data.clear()
            return after
        del self._data[:-TAIL_BYTES]
        return b""

    @property
    def noise(self) -> str:
        """What came instead of the mark."""
        return bytes(self._data).decode(errors="replace").strip()


def answering(script: str) -> str:
    """A shell script whose answer can be told from what the shell's own start has printed."""
    return f"echo {_MARK}; {script}"


def endable(script: str, shell: str = "bash") -> str:
    """As `answering`; it says who it is, too, so that it can be ended."""
    mark = secrets.token_hex(8)
    inner = f'echo "{_MARK} $({_GROUP.format("/proc/$$")}) {mark}"; {script}'
    return f"{_VARIABLE}={mark} exec {shell} -c {shlex.quote(inner)}"


def ending(who: Who, signal: str) -> str:
    """A shell script that sends a signal to a group, where one with its mark is in it."""
    marked = f"grep -lsz '^{_VARIABLE}={who.mark}$' /proc/[0-9]*/environ"
    kill = f"kill -s {signal} -- -{who.group} 2>/dev/null"
    return (
        f'for jc_one in $({marked}); do if [ "$({_GROUP.format("${jc_one%/*}")})" = {who.group} ];'
        f" then sudo -n {kill} || {kill}; break; fi; done; true"
    )
