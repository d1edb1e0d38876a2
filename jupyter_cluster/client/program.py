"""A user's command at the other end of an SSH connection, with this terminal or these pipes."""

from __future__ import annotations

import codecs
import contextlib
import os
import select
import shutil
import signal
import sys
import threading
from collections.abc import Iterator
from typing import Any, TextIO

from jupyter_cluster.errors import SetupError
from jupyter_cluster.nodes.command import Answer, Exchange, Who, execute, request
from jupyter_cluster.nodes.node import Node

_PIECE = 2**15
# What a program may take to end after Ctrl-C before it is told again, and more clearly.
_END_SECONDS = 5.0
_LEAVE_SECONDS = 2.0
_INSISTENT = ("INT", "TERM", "KILL")
INTERRUPTED, UNREAD = 130, 141


def is_terminal() -> bool:
    """Whether somebody sits here who sees what comes."""
    return sys.stdin is not None and sys.stdin.isatty() and sys.stdout.isatty()


def run(node: Node, command: str) -> int:
    """Run a command where tasks run, as if it ran here; returns its exit code.

    Raises
    ------
    SetupError
        The connection was lost, or the node's shell runs no commands.
    """
    with _ends_are_heard():
        if is_terminal():
            return interact(node, node.terminal(command))
        return _Piped(node, node.program(command)).run()


@contextlib.contextmanager
def _ends_are_heard() -> Iterator[None]:
    """Whoever ends us, or closes our terminal, ends what runs over there."""

    def leave(number: int, _frame: object) -> None:
        raise SystemExit(128 + number)

    if threading.current_thread() is not threading.main_thread():
        yield  # a kernel's cell may run anywhere; it has signals of its own
        return
    before = {number: signal.signal(number, leave) for number in (signal.SIGTERM, signal.SIGHUP)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


# -- with a terminal ------------------------------------------------------------------------------


def interact(node: Node, command: str) -> int:
    """Run a command with this terminal as its own; returns its exit code."""
    import termios
    import tty

    columns, lines = shutil.get_terminal_size()
    channel = node.ssh.open()
    answer = Answer()

    def resize(_number: int, _frame: object) -> None:
        width, height = shutil.get_terminal_size()
        channel.resize_pty(width, height)

    before = signal.signal(signal.SIGWINCH, resize)
    settings = termios.tcgetattr(sys.stdin)
    try:
        channel.get_pty(os.environ.get("TERM", "xterm"), columns, lines)
        tty.setraw(sys.stdin.fileno())
        request(channel, command)
        _carry(channel, sys.stdin.fileno(), sys.stdout.fileno(), answer)
    finally:
        termios.tcsetattr(sys.stdin, termios.TCSADRAIN, settings)
        signal.signal(signal.SIGWINCH, before)
        if not channel.exit_status_ready() and answer.who is not None:
            _end(node, answer.who, "HUP")
    code = int(channel.recv_exit_status())
    channel.close()
    return _checked(node, code, answer)


def _carry(channel: Any, source: int, target: int, answer: Answer) -> None:
    """Keys there, output here, until the other end has no more to say."""
    watched = [channel, source]
    while True:
        ready, _, _ = select.select(watched, [], [])
        if channel in ready:
            data = channel.recv(_PIECE)
            if not data:
                return
            _write(target, answer.add(data))
        if source in ready:
            keys = os.read(source, 1024)
            if keys:
                channel.sendall(keys)
            else:
                watched.remove(source)
                channel.shutdown_write()


def _write(target: int, data: bytes) -> None:
    while data:
        data = data[os.write(target, data) :]


def _checked(node: Node, code: int, answer: Answer) -> int:
    if code == -1:
        raise SetupError(f"the SSH connection to {node.ssh.address} was lost")
    if not answer.has_begun and answer.noise:
        print(answer.noise, file=sys.stderr)
    return code


def _end(node: Node, who: Who, name: str) -> None:
    with contextlib.suppress(SetupError, OSError):  # it has ended, or nobody can be reached
        node.end(who, name)


# -- with pipes -----------------------------------------------------------------------------------


class _Piped:
    """A command whose input and outputs are those of this process."""

    def __init__(self, node: Node, command: str) -> None:
        self._node, self._command = node, command
        self._answer = Answer()
        self._sinks = (_Sink(sys.stdout), _Sink(sys.stderr))
        self._ended = threading.Event()
        self._code = -1
        self._error: BaseException | None = None

    def run(self) -> int:
        """To its end; Ctrl-C is passed on, and said more clearly to what does not listen."""
        thread = threading.Thread(target=self._work, name="exec", daemon=True)
        thread.start()
        insisted = 0
        while True:
            try:
                wait = _END_SECONDS if insisted else None
                while not self._ended.wait(0.2 if wait is None else wait):
                    if wait is not None:
                        insisted = self._insist(insisted)
                break
            except KeyboardInterrupt:
                insisted = self._insist(insisted)
            except SystemExit:
                self._insist(1)
                self._ended.wait(_LEAVE_SECONDS)
                self._sweep()
                raise
        if insisted:
            self._sweep()
        if self._error is not None:
            raise self._error
        return INTERRUPTED if insisted else _checked(self._node, self._code, self._answer)

    def _insist(self, level: int) -> int:
        """Tell it to end; returns how often it was told."""
        if level >= len(_INSISTENT):
            raise SetupError(f"the program on {self._node.ssh.address} does not end")
        if self._answer.who is None:
            raise SystemExit(INTERRUPTED)  # nothing of the user's has begun
        _end(self._node, self._answer.who, _INSISTENT[level])
        return level + 1

    def _sweep(self) -> None:
        """What it has left in its group does not outlive it."""
        if self._answer.who is not None:
            _end(self._node, self._answer.who, "KILL")

    def _work(self) -> None:
        try:
            with self._node.ssh.open() as channel:
                self._code = execute(channel, self._command, Exchange(self._take, self._keys()))
        except BrokenPipeError:  # who has read what it writes has gone, as with `| head`
            self._code = UNREAD
            if self._answer.who is not None:
                _end(self._node, self._answer.who, "TERM")
        except BaseException as error:  # whoever waits raises it
            is_lost = isinstance(error, (OSError, EOFError))
            text = f"the SSH connection to {self._node.ssh.address} was lost: {error}"
            self._error = SetupError(text) if is_lost else error
        finally:
            with contextlib.suppress(OSError):
                for sink in self._sinks:
                    sink.end()
            self._ended.set()

    def _take(self, data: bytes, is_error: bool) -> None:
        self._sinks[is_error].write(data if is_error else self._answer.add(data))

    def _keys(self) -> Iterator[bytes]:
        """What is piped in, as it comes; a notebook has nothing to give."""
        source = _input() if self._sinks[0].has_bytes else None
        if source is None:
            return
        while not self._ended.is_set():
            if not select.select([source], [], [], 0.2)[0]:
                continue
            data = os.read(source, _PIECE)
            if not data:
                return
            yield data


def _input() -> int | None:
    """What is piped into this process, or typed; none where others read the terminal now."""
    try:
        source = sys.stdin.fileno()
        is_behind = os.isatty(source) and os.tcgetpgrp(source) != os.getpgrp()
    except (AttributeError, OSError, ValueError):
        return None
    return None if is_behind else source


class _Sink:
    """Bytes for a stream of text, which in a notebook has no bytes below it."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._bytes = getattr(stream, "buffer", None)
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")

    @property
    def has_bytes(self) -> bool:
        """Whether it is a file, a pipe or a terminal."""
        return self._bytes is not None

    def write(self, data: bytes) -> None:
        """Pass a piece on at once."""
        if not data:
            return
        if self._bytes is not None:
            self._bytes.write(data)
            self._bytes.flush()
        else:
            self._stream.write(self._decoder.decode(data))
            self._stream.flush()

    def end(self) -> None:
        """Pass on what is left of a letter."""
        if self._bytes is None and (rest := self._decoder.decode(b"", True)):
            self._stream.write(rest)
