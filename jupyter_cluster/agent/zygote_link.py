"""The agent's end of a zygote: slots are forked, signalled and ended through it alone."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from typing import Any, Protocol

from jupyter_cluster.agent import zygote
from jupyter_cluster.agent.frames import ProtocolError, Reader
from jupyter_cluster.background import Guard


class Master(Protocol):
    """Who is told what a zygote says of its slots."""

    def on_forked(self, number: int, pid: int) -> None: ...
    def on_unforked(self, number: int, why: str) -> None: ...
    def on_exit(self, number: int, code: int) -> None: ...


class ZygoteLink:
    """Speaks with one zygote.

    Parameters
    ----------
    on_lost
        Called when the zygote has died; the kernel has ended its slots with it.
    """

    def __init__(
        self, connection: socket.socket, master: Master, on_lost: Callable[[ZygoteLink], None]
    ) -> None:
        self._connection = connection
        self._master = master
        self._on_lost = on_lost
        self._reader = Reader()
        self._guard = Guard("taking what a zygote says")
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(connection, self._read)

    def fork(self, number: int, descriptors: list[int], **order: Any) -> None:
        """Have a slot forked.

        Raises
        ------
        OSError
            The descriptors cannot be sent.
        """
        self._tell(tuple(descriptors), op="slot", slot=number, **order)

    def fork_zygote(
        self, preload: list[str], master: Master, on_lost: Callable[[ZygoteLink], None]
    ) -> ZygoteLink:
        """Have a zygote forked that imports these modules before it forks.

        Raises
        ------
        OSError
            Too many files are open.
        """
        ours, theirs = socket.socketpair()
        with theirs:
            self._tell((theirs.fileno(),), op="zygote", preload=preload)
        return ZygoteLink(ours, master, on_lost)

    def signal(self, number: int, what: int) -> None:
        """Send a slot a signal."""
        self._try(op="signal", slot=number, number=what)

    def kill(self, number: int) -> None:
        """End a slot and all that it has started, now."""
        self._try(op="kill", slot=number)

    def retire(self, number: int) -> None:
        """A slot's connection was closed: see to it that the slot ends."""
        self._try(op="retire", slot=number)

    def close(self) -> None:
        """Have all its slots ended, and then itself."""
        if self._connection.fileno() >= 0:
            self._loop.remove_reader(self._connection)
            self._connection.close()

    def _try(self, **message: Any) -> None:
        try:
            self._tell((), **message)
        except OSError:
            pass  # it has died, and its slots with it: `_read` says so

    def _tell(self, descriptors: tuple[int, ...], **message: Any) -> None:
        zygote.order(self._connection, message, descriptors)

    def _read(self) -> None:
        data = b""
        messages: list[Any] = []
        try:
            data = self._connection.recv(65536, socket.MSG_DONTWAIT)
            messages = self._reader.feed(data)
        except BlockingIOError:
            return
        except (OSError, ProtocolError):
            data = b""
        for message in messages:
            with self._guard:
                self._take(message)
        if not data:
            self.close()
            self._on_lost(self)

    def _take(self, message: dict[str, Any]) -> None:
        if message["op"] == "forked":
            self._master.on_forked(message["slot"], message["pid"])
        elif message["op"] == "failed":
            self._master.on_unforked(message["slot"], message["why"])
        else:
            self._master.on_exit(message["slot"], message["code"])
