"""Forks slots: a small process of its own, ``python -m jupyter_cluster.agent.zygote``.

Forking takes a few milliseconds where starting Python and its imports takes a hundred. What is
forked here has never imported the engine and has neither threads nor an event loop: user code
finds a plain Python. A zygote can also fork a zygote: for the next node of this machine, or one
that has imported more.

All that slots start ends with them. Each slot, and the zygote, is the *subreaper* of what it
starts: a process whose parent has ended becomes the slot's child, and the zygote's when the slot
has ended, whatever session or group it is in. So a process is only signalled by its parent, for
which the kernel keeps its number.
"""

from __future__ import annotations

import atexit
import contextlib
import ctypes
import fcntl
import gc
import importlib
import os
import resource
import select
import signal
import socket
import subprocess
import sys
import time
import traceback
from collections.abc import Collection
from pathlib import Path
from typing import Any, NoReturn

from jupyter_cluster.agent import runner
from jupyter_cluster.agent.frames import Connection, ProtocolError, pack, receive
from jupyter_cluster.agent.shared import Shared
from jupyter_cluster.wire import NODE_MARK

NAME = "jupyter_cluster.agent.zygote"
_PR_SET_PDEATHSIG, _PR_SET_CHILD_SUBREAPER = 1, 36
_DESCRIPTORS = 4  # connection, shared memory, stdout, stderr
# The slot's own descriptors are moved here, out of the way of code that numbers its own.
_HIGH = 1000
# How long a slot that was let go may take to end by itself.
RETIRE_SECONDS = 2.0
# How long the end of what slots have left behind may take.
END_SECONDS = 5.0


def start(folder: Path) -> tuple[socket.socket, subprocess.Popen[bytes]]:
    """Start a zygote; returns our end of the connection to it, and its process.

    Parameters
    ----------
    folder
        Of the cluster or the node: all that comes of this zygote carries it as a mark, in its
        environment.
    """
    ours, theirs = socket.socketpair()
    with theirs:
        words = [sys.executable, "-P", "-m", NAME, str(folder), str(theirs.fileno())]
        process = subprocess.Popen(
            words,
            stdin=subprocess.DEVNULL,
            pass_fds=[theirs.fileno()],
            start_new_session=True,
            env={**os.environ, NODE_MARK: str(folder)},
        )
    return ours, process


def order(
    zygote: socket.socket, message: dict[str, Any], descriptors: tuple[int, ...] = ()
) -> None:
    """Tell a zygote to do something; the descriptors are for what it forks."""
    socket.send_fds(zygote, [b"Z"], list(descriptors))
    zygote.sendall(pack(message))


class _Zygote:
    def __init__(self, master: socket.socket) -> None:
        self._master = master
        # Slots by process id, each with its number; a zygote has none.
        self._children: dict[int, int | None] = {}
        self._kill_at: dict[int, float] = {}
        self._woken, self._wake = os.pipe()
        os.set_blocking(self._wake, False)
        os.set_blocking(self._woken, False)
        # A child's end wakes the loop through this pipe; the handler itself does nothing.
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.set_wakeup_fd(self._wake, warn_on_full_buffer=False)
        # Ctrl-C in the terminal is the client's business.
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        adopt_orphans()

    def serve(self) -> None:
        """Until the master is gone; then every child is ended with whatever it has started."""
        try:
            while True:
                waiting: list[Any] = [self._master, self._woken]
                ready, _, _ = select.select(waiting, [], [], self._patience())
                if self._woken in ready:
                    with contextlib.suppress(BlockingIOError):
                        os.read(self._woken, 4096)
                    self._reap()
                for pid in [pid for pid, at in self._kill_at.items() if at <= time.monotonic()]:
                    self._kill_at.pop(pid)
                    self._kill(pid)
                if self._master in ready and not self._obey():
                    return
        except (BrokenPipeError, ConnectionResetError, ProtocolError):
            return
        finally:
            self._end_all()

    def _patience(self) -> float | None:
        if not self._kill_at:
            return None
        return max(0.0, min(self._kill_at.values()) - time.monotonic())

    # -- what the master says -----------------------------------------------------------------

    def _obey(self) -> bool:
        """Do what the next message says; False where there is no master any more."""
        tag, descriptors, _, _ = socket.recv_fds(self._master, 1, _DESCRIPTORS)
        try:
            message = receive(self._master) if tag else None
            if message is None:
                return False
            operation = message["op"]
            if operation in ("slot", "zygote"):
                self._fork(operation, descriptors, message)
            elif pid := self._pid_of(message["slot"]):
                if operation == "signal":
                    os.kill(pid, message["number"])
                elif operation == "kill":
                    self._kill(pid)
                elif operation == "retire":
                    self._kill_at[pid] = time.monotonic() + RETIRE_SECONDS
        finally:
            for descriptor in descriptors:
                os.close(descriptor)
        return True

    def _pid_of(self, slot: int) -> int | None:
        return next((pid for pid, number in self._children.items() if number == slot), None)

    def _fork(self, operation: str, descriptors: list[int], message: dict[str, Any]) -> None:
        expected = _DESCRIPTORS if operation == "slot" else 1
        try:
            if len(descriptors) != expected:
                raise OSError("the descriptors did not come: too many files are open")
            pid = os.fork()
        except OSError as error:  # too many processes, too little memory
            if operation == "slot":
                self._tell(op="failed", slot=message["slot"], why=str(error))
            return
        if pid == 0:
            become = self._become_slot if operation == "slot" else self._become_zygote
            become(descriptors, message)
        self._children[pid] = message.get("slot")
        if operation == "slot":
            self._tell(op="forked", slot=message["slot"], pid=pid)

    def _tell(self, **message: Any) -> None:
        self._master.sendall(pack(message))

    # -- children that end --------------------------------------------------------------------

    def _reap(self) -> None:
        """Take note of the children that have ended, and end what they have left behind."""
        while (reaped := _reap_one()) is not None:
            pid, status = reaped
            if pid not in self._children:
                continue
            slot = self._children.pop(pid)
            self._kill_at.pop(pid, None)
            if sys.platform != "linux":
                _kill_group(pid)
            if slot is not None:
                self._tell(op="ended", slot=slot, code=os.waitstatus_to_exitcode(status))
        _kill_children(self._children)

    def _kill(self, pid: int) -> None:
        """End a slot with all in its group; what has left the group becomes an orphan of ours."""
        _kill_group(pid)

    def _end_all(self) -> None:
        for pid in self._children:
            _kill_group(pid)
        end_children()

    # -- what is forked -----------------------------------------------------------------------

    def _leave(self) -> None:
        """In the child: be nobody's zygote."""
        signal.set_wakeup_fd(-1)
        for number in (signal.SIGCHLD, signal.SIGTERM, signal.SIGINT):
            signal.signal(number, signal.SIG_DFL)
        for descriptor in (self._master.fileno(), self._woken, self._wake):
            os.close(descriptor)
        _die_with_parent()
        os.setsid()

    def _become_zygote(self, descriptors: list[int], message: dict[str, Any]) -> NoReturn:
        try:
            self._leave()
            (descriptor,) = descriptors
            for name in message["preload"]:
                importlib.import_module(name)
            gc.freeze()
            _Zygote(socket.socket(fileno=descriptor)).serve()
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(0)

    def _become_slot(self, descriptors: list[int], message: dict[str, Any]) -> NoReturn:
        code = 1
        try:
            self._leave()
            adopt_orphans()
            connection, memory, out, err = descriptors
            nothing = os.open(os.devnull, os.O_RDONLY)
            for source, target in ((nothing, 0), (out, 1), (err, 2)):
                os.dup2(source, target)
            shared = Shared(memory)
            Shared.seal(memory)
            high = _moved_high(connection)
            os.closerange(3, high)
            signal.signal(signal.SIGINT, signal.default_int_handler)
            mine = Connection(socket.socket(fileno=high))
            runner.main(mine, shared, Path(message["results"]))
            code = 0
        except ConnectionError:
            code = runner.CONNECTION_LOST
        except BaseException:
            traceback.print_exc()
        finally:
            with contextlib.suppress(BaseException):
                atexit._run_exitfuncs()
            with contextlib.suppress(BaseException):
                sys.stdout.flush()
                sys.stderr.flush()
            os._exit(code)


def _moved_high(descriptor: int) -> int:
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    floor = _HIGH if limit == resource.RLIM_INFINITY else min(_HIGH, limit - 8)
    return fcntl.fcntl(descriptor, fcntl.F_DUPFD_CLOEXEC, max(8, floor))


def _kill_group(pid: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, signal.SIGKILL)


def _reap_one() -> tuple[int, int] | None:
    try:
        pid, status = os.waitpid(-1, os.WNOHANG)
    except ChildProcessError:
        return None
    return (pid, status) if pid else None


def wait_for(process: subprocess.Popen[bytes]) -> None:
    """Give a zygote that has lost its master time to end what is left."""
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(END_SECONDS)


def end_children() -> None:
    """End all children of this process, and theirs, which become its own."""
    deadline = time.monotonic() + END_SECONDS
    while time.monotonic() < deadline:
        _kill_children(())
        try:
            if os.waitpid(-1, os.WNOHANG)[0] == 0:
                time.sleep(0.002)
        except ChildProcessError:
            return  # there is none any more


def _kill_children(spared: Collection[int]) -> None:
    """Each that dies leaves its own children to us, and wakes us for them."""
    for pid in _children() - set(spared):
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.kill(pid, signal.SIGKILL)


def _children() -> set[int]:
    """The process ids of all children, adopted ones too; none where the system cannot say."""
    me = os.getpid()
    try:
        return {int(pid) for pid in Path(f"/proc/{me}/task/{me}/children").read_text().split()}
    except OSError:  # a kernel without this list
        return {pid for pid in _all_processes() if _parent_of(pid) == me}


def _all_processes() -> set[int]:
    with contextlib.suppress(OSError):
        return {int(name) for name in os.listdir("/proc") if name.isdigit()}
    return set()


def _parent_of(pid: int) -> int:
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return 0
    return int(text.rpartition(")")[2].split()[1])


def adopt_orphans() -> None:
    """On Linux: what this process has started stays below it, whatever ends in between."""
    _prctl(_PR_SET_CHILD_SUBREAPER, 1)


def _die_with_parent() -> None:
    """On Linux the kernel ends the slot with the zygote; elsewhere it ends after its task."""
    _prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def _prctl(option: int, value: int) -> None:
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(option, value, 0, 0, 0)


def main(folder: str, descriptor: str) -> None:
    """Be a zygote."""
    del folder  # is on the command line for people and for `down`
    master = socket.socket(fileno=int(descriptor))
    gc.collect()
    gc.freeze()  # the collector then leaves shared memory pages untouched after a fork
    _Zygote(master).serve()


if __name__ == "__main__":
    main(*sys.argv[1:])
