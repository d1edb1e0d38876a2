"""Forks slots: a small process without threads, split off before the agent starts any.

Forking takes 5 ms where starting Python and its imports takes a second, and forking from a
process with threads and an event loop is not safe; so the agent keeps this one for it.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import select
import signal
import socket
import sys
import traceback
from pathlib import Path
from typing import Any, NoReturn

from jupyter_cluster.agent import runner
from jupyter_cluster.agent.frames import pack, receive
from jupyter_cluster.agent.shared import Shared

_PR_SET_PDEATHSIG = 1
_DESCRIPTORS = 4  # connection, shared memory, stdout, stderr


def start(umask: int) -> socket.socket:
    """Fork the zygote; returns the agent's end of the connection to it.

    To be called before the process has threads or an event loop.

    Parameters
    ----------
    umask
        The user's own, for the files that tasks write.
    """
    ours, theirs = socket.socketpair()
    if os.fork() == 0:
        ours.close()
        try:
            _Zygote(theirs, umask).serve()
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(0)
    theirs.close()
    return ours


class _Zygote:
    def __init__(self, agent: socket.socket, umask: int) -> None:
        self._agent = agent
        self._umask = umask
        self._children: set[int] = set()
        self._woken, wake = os.pipe()
        os.set_blocking(wake, False)
        os.set_blocking(self._woken, False)
        # A child's end wakes the loop through this pipe; the handler itself does nothing.
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.set_wakeup_fd(wake, warn_on_full_buffer=False)
        # Ctrl-C in the terminal is the client's business.
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        self._wake = wake

    def serve(self) -> None:
        """Until the agent is gone; then every child is ended with whatever it has started."""
        try:
            while True:
                waiting: list[Any] = [self._agent, self._woken]
                ready, _, _ = select.select(waiting, [], [])
                if self._woken in ready:
                    with contextlib.suppress(BlockingIOError):
                        os.read(self._woken, 4096)
                    self._reap()
                if self._agent in ready and not self._fork_one():
                    return
        except (BrokenPipeError, ConnectionResetError):
            return
        finally:
            for pid in self._children:
                kill_group(pid)

    def _fork_one(self) -> bool:
        message, descriptors, _, _ = socket.recv_fds(self._agent, 1, _DESCRIPTORS)
        if not message:
            return False
        order = receive(self._agent)
        if order is None:
            return False
        pid = os.fork()
        if pid == 0:
            self._become_slot(descriptors, order)
        for descriptor in descriptors:
            os.close(descriptor)
        self._children.add(pid)
        self._agent.sendall(pack({"op": "forked", "slot": order["slot"], "pid": pid}))
        return True

    def _reap(self) -> None:
        while self._children:
            pid, status = os.waitpid(-1, os.WNOHANG)
            if pid == 0:
                return
            self._children.discard(pid)
            kill_group(pid)  # what the child has started and left behind
            code = os.waitstatus_to_exitcode(status)
            self._agent.sendall(pack({"op": "ended", "pid": pid, "code": code}))

    def _become_slot(self, descriptors: list[int], order: dict[str, Any]) -> NoReturn:
        code = 1
        try:
            connection, memory, out, err = descriptors
            os.setsid()
            os.umask(self._umask)
            _die_with_parent()
            signal.set_wakeup_fd(-1)
            for number in (signal.SIGCHLD, signal.SIGTERM):
                signal.signal(number, signal.SIG_DFL)
            for descriptor in (self._agent.fileno(), self._woken, self._wake):
                os.close(descriptor)
            nothing = os.open(os.devnull, os.O_RDONLY)
            for source, target in ((nothing, 0), (out, 1), (err, 2)):
                os.dup2(source, target)
                os.close(source)
            shared = Shared(memory)
            os.close(memory)
            sock = socket.socket(fileno=connection)
            runner.main(sock, shared, Path(order["results"]), order["environment"])
            code = 0
        except BaseException:
            traceback.print_exc()
        finally:
            with contextlib.suppress(Exception):
                sys.stdout.flush()
                sys.stderr.flush()
            os._exit(code)


def kill_group(pid: int) -> None:
    """End a slot and everything that it has started."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, signal.SIGKILL)


def _die_with_parent() -> None:
    """On Linux the kernel ends the slot with the zygote; elsewhere it ends after its task."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
