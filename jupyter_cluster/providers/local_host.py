"""``python -m jupyter_cluster.providers.local_host FOLDER``: this machine as a cluster's host.

The one process that a local cluster starts from scratch. It imports the engine once, which takes
a second, and forks the head and the agents, which takes milliseconds. It restarts a head that
dies, and ends everything when it is told to or dies itself: its children hold the other end of a
pipe that closes with it.
"""

from __future__ import annotations

import contextlib
import fcntl
import gc
import importlib
import json
import os
import select
import signal
import socket
import subprocess
import sys
import time
import traceback
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn, TextIO

from jupyter_cluster.trust import write_private

HEAD = "head"
_ZYGOTE = "jupyter_cluster.agent.zygote"
_PRELOADED = ("jupyter_cluster.agent.service", "jupyter_cluster.head.service")
# A head that has never come up and dies this often is not started again.
MAX_STARTS = 5
# One that has come up is started again for ever, after ever longer pauses while it keeps dying: a
# disk that is full now has room one day.
FIRST_PAUSE, LONGEST_PAUSE = 0.5, 30.0
# A head that has lived so long has got over what its forerunner died of.
WELL_SECONDS = 60.0
END_SECONDS = 5.0
# Whoever looks whether we are alive holds the lock for a moment.
LOCK_SECONDS = 5.0
_SIGNALS = (signal.SIGCHLD, signal.SIGTERM)


@dataclass(slots=True)
class Child:
    """A process that was forked here.

    Attributes
    ----------
    kill_at : float or None
        When it is to be killed because it did not end by itself (monotonic clock).
    code : int or None
        How it ended: exit code, or minus the signal; None while it runs.
    """

    name: str
    pid: int
    kill_at: float | None = None
    code: int | None = None


class LocalHost:
    """Forks, watches and ends the processes of one local cluster."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._children: dict[str, Child] = {}
        self._deaths = 0
        self._started = 0.0
        self._start_at: float | None = None
        self._ending = False
        self._lock = _locked(folder / "lock")  # held for as long as we live
        self._lifeline, self._lifeline_end = os.pipe()
        self._woken, self._wake = os.pipe()
        for descriptor in (self._woken, self._wake):
            os.set_blocking(descriptor, False)
        self._head_socket: socket.socket | None = None
        self._received = b""
        self._zygote: tuple[socket.socket, subprocess.Popen[bytes]] | None = None

    def run(self) -> None:
        """Until the head ends in peace, or a signal says so."""
        for number in _SIGNALS:
            signal.signal(number, self._on_signal)
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.set_wakeup_fd(self._wake, warn_on_full_buffer=False)
        with contextlib.suppress(OSError):  # the first node tries it again
            self._start_zygote()  # it imports little, beside us
        for module in _PRELOADED:
            importlib.import_module(module)
        gc.collect()
        gc.freeze()  # the collector then leaves shared memory pages untouched after a fork
        if not self._ending:  # told to end while it was importing
            self._start_head()
        while not self._ending or self._running():
            self._wait()
            self._reap()
            self._kill_overdue()
            if self._start_at is not None and time.monotonic() >= self._start_at:
                self._start_head()
        self._end_zygote()

    def _on_signal(self, number: int, _frame: object) -> None:
        if number == signal.SIGTERM:
            self._end_all()

    def _running(self) -> list[Child]:
        return [child for child in self._children.values() if child.code is None]

    def _wait(self) -> None:
        waiting: list[Any] = [self._woken]
        if self._head_socket is not None:
            waiting.append(self._head_socket)
        is_due = self._start_at is not None or any(child.kill_at for child in self._running())
        ready, _, _ = select.select(waiting, [], [], 0.1 if is_due else None)
        if self._woken in ready:
            os.read(self._woken, 4096)
        if self._head_socket in ready:
            self._serve_head()

    # -- children -----------------------------------------------------------------------------

    def _start_zygote(self) -> None:
        """Where the slots of all nodes come from: it has not imported the engine."""
        self._zygote = importlib.import_module(_ZYGOTE).start(self._folder)

    def _end_zygote(self) -> None:
        """It ends all that tasks have left behind, and then itself."""
        if self._zygote is not None:
            connection, process = self._zygote
            connection.close()
            importlib.import_module(_ZYGOTE).wait_for(process)

    def _on_zygote_end(self, status: int) -> None:
        """The nodes end with theirs; the next one gets another."""
        if self._zygote is not None:
            connection, process = self._zygote
            connection.close()
            process.returncode = os.waitstatus_to_exitcode(status)
            self._zygote = None
            _say(f"the process that starts slots ended with {process.returncode}")

    def _fork_zygote(self) -> socket.socket:
        """One for a new node; returns the node's end of the connection to it."""
        if self._zygote is None:
            self._start_zygote()
        assert self._zygote is not None
        ours, theirs = socket.socketpair()
        order = {"op": "zygote", "preload": []}
        with theirs:
            importlib.import_module(_ZYGOTE).order(self._zygote[0], order, (theirs.fileno(),))
        return ours

    def _start_head(self) -> None:
        self._start_at, self._started = None, time.monotonic()
        ours, theirs = socket.socketpair()
        self._close_head_socket()
        self._head_socket, self._received = ours, b""
        control = str(theirs.fileno())
        argv = [str(self._folder), "--control", control, "--lifeline", str(self._lifeline)]
        try:
            self._fork(HEAD, "jupyter_cluster.head", argv)
        except OSError as error:  # no process or memory is left for it now
            self._on_head_end(f"could not be started: {error}")
        finally:
            theirs.close()

    def _close_head_socket(self) -> None:
        if self._head_socket is not None:
            self._head_socket.close()
            self._head_socket = None

    def _fork(self, name: str, module: str, argv: list[str]) -> None:
        # Blocked, so that no signal comes between the fork and the note of it, nor to a child that
        # still has our handlers.
        signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)
        try:
            pid = os.fork()
            if pid == 0:
                self._become(name, module, argv)
            self._children[name] = Child(name, pid)
        finally:
            signal.pthread_sigmask(signal.SIG_UNBLOCK, _SIGNALS)
        self._write_children()

    def _become(self, name: str, module: str, argv: list[str]) -> NoReturn:
        code = 1
        try:
            os.setsid()
            signal.set_wakeup_fd(-1)
            for number in (*_SIGNALS, signal.SIGINT):
                signal.signal(number, signal.SIG_DFL)
            signal.pthread_sigmask(signal.SIG_UNBLOCK, _SIGNALS)
            for descriptor in (self._lifeline_end, self._woken, self._wake):
                os.close(descriptor)
            if self._zygote is not None:
                self._zygote[0].close()
            self._lock.close()
            self._close_head_socket()
            log = self._folder / "logs" / f"{name}.log"
            descriptor = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
            os.dup2(descriptor, 1)
            os.dup2(descriptor, 2)
            os.close(descriptor)
            importlib.import_module(f"{module}.__main__").main(argv)
            code = 0
        except BaseException:
            traceback.print_exc()
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(code)

    def _write_children(self) -> None:
        """For people; nobody signals what is written there."""
        pids = {child.name: child.pid for child in self._running()}
        path = self._folder / "processes.json"
        try:
            write_private(path, json.dumps({"host": os.getpid(), **pids}).encode())
        except OSError as error:  # a full disk must not end the cluster
            _say(f"{path} cannot be written: {error}")

    def _reap(self) -> None:
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            if self._zygote is not None and pid == self._zygote[1].pid:
                self._on_zygote_end(status)
                continue
            child = next((c for c in self._children.values() if c.pid == pid), None)
            if child is None:
                continue
            child.code = os.waitstatus_to_exitcode(status)
            if child.name == HEAD:
                self._on_head_end(f"ended with {child.code}", in_peace=child.code == 0)
            elif child.kill_at is not None:
                del self._children[child.name]  # it was told to end
            self._write_children()

    def _on_head_end(self, how: str, in_peace: bool = False) -> None:
        if self._ending:
            return
        now = time.monotonic()
        self._deaths = 1 if now - self._started > WELL_SECONDS else self._deaths + 1
        never_up = not (self._folder / "head.json").exists()
        if in_peace or (never_up and self._deaths > MAX_STARTS):
            _say(f"the head {how}: ending the cluster")
            self._end_all()
            return
        # At once where it has died once or twice: somebody may wait for it.
        doubled = min(self._deaths - 3, 16)
        pause = min(LONGEST_PAUSE, FIRST_PAUSE * 2**doubled) if self._deaths > 2 else 0
        _say(f"the head {how}: starting it again" + (f" in {pause:g} s" if pause else ""))
        self._start_at = now + pause

    def _end(self, child: Child, seconds: float) -> None:
        if child.code is not None:
            del self._children[child.name]
        elif child.kill_at is None:
            child.kill_at = time.monotonic() + seconds
            _signal(child, signal.SIGTERM)

    def _end_all(self) -> None:
        self._ending, self._start_at = True, None
        for child in self._running():
            self._end(child, END_SECONDS)

    def _kill_overdue(self) -> None:
        for child in self._running():
            if child.kill_at is not None and time.monotonic() > child.kill_at:
                _signal(child, signal.SIGKILL)

    # -- what the head asks for ---------------------------------------------------------------

    def _serve_head(self) -> None:
        assert self._head_socket is not None
        try:
            data = self._head_socket.recv(65536)
        except OSError:
            data = b""
        if not data:
            self._close_head_socket()
            return
        *lines, self._received = (self._received + data).split(b"\n")
        for line in lines:
            try:
                answer = self._answer(json.loads(line))
            except Exception as error:  # a failure of one request must not end all processes
                answer = {"error": f"{type(error).__name__}: {error}"}
                _say(f"a request of the head failed: {answer['error']}")
            try:
                self._head_socket.sendall(json.dumps(answer).encode() + b"\n")
            except OSError:  # it died before its answer: the next head asks again
                self._close_head_socket()
                return

    def _answer(self, request: dict[str, Any]) -> Any:
        nodes = [child for child in self._children.values() if child.name != HEAD]
        if request["do"] == "start":
            if request["name"] not in self._children and not self._ending:
                self._start_node(request)
        elif request["do"] == "end":
            for child in [c for c in nodes if c.name in request["names"]]:
                self._end(child, request["seconds"])
        return [{"name": c.name, "pid": c.pid, "code": c.code} for c in nodes]

    def _start_node(self, request: dict[str, Any]) -> None:
        with self._fork_zygote() as zygote:
            descriptors = ["--lifeline", str(self._lifeline), "--zygote", str(zygote.fileno())]
            self._fork(request["name"], request["module"], [*request["argv"], *descriptors])


def _locked(path: Path) -> TextIO:
    """The lock of the cluster's folder.

    Raises
    ------
    BlockingIOError
        Another host has it.
    """
    file = os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT, 0o600), "w")
    deadline = time.monotonic() + LOCK_SECONDS
    while True:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return file
        except BlockingIOError:
            if time.monotonic() > deadline:
                file.close()
                raise
            time.sleep(0.01)


def _say(text: str) -> None:
    """A line for the log, where there is room for it."""
    with contextlib.suppress(OSError):
        print(text, flush=True)


def _signal(child: Child, number: int) -> None:
    try:
        os.kill(child.pid, number)
    except ProcessLookupError:
        pass  # it has just ended; the next reaping notices


def main(folder: Path) -> None:
    """Be the host of the cluster in this folder."""
    try:
        host = LocalHost(folder)
    except BlockingIOError:
        sys.exit(f"the cluster in {folder} is running already")
    host.run()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
