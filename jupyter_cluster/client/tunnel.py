"""The way to a head on another host: a port on this machine for each port of the head, over SSH.

What passes is mutual TLS from end to end; the tunnel only carries it. It makes its SSH connection
when somebody needs it, and again when that is lost.
"""

from __future__ import annotations

import contextlib
import re
import socket
import threading
import time
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from jupyter_cluster.background import start_thread
from jupyter_cluster.client.forks import track
from jupyter_cluster.client.registry import HOST_FILE, Entry
from jupyter_cluster.errors import ConnectionLostError, SetupError

_PIECE = 2**16
_ADDRESS = re.compile(r"[a-z]+://[^/]+:[0-9]{1,5}")
# After a failed connection, others wait this long: many callers must not knock at once.
_PAUSE_SECONDS = 0.5


class _Tunnels:
    """Those of this process, by the folder of their cluster."""

    def __init__(self) -> None:
        self.changed = threading.Lock()
        self.by_folder: dict[Path, Tunnel] = {}
        track(self)

    def leave_to_parent(self) -> None:
        """In a forked process: its threads are not here, so that nothing would come through."""
        for tunnel in self.by_folder.values():
            tunnel.abandon()
        self.by_folder = {}


_tunnels = _Tunnels()


def address_of(entry: Entry, what: str) -> str:
    """Where this process reaches the head's ``scheduler`` or ``endpoint``; empty while unknown.

    Raises
    ------
    ConnectionLostError
        The head's host cannot be reached now.
    """
    address = str(entry.read("head.json").get(what, ""))
    if address and not _ADDRESS.fullmatch(address):
        raise ConnectionLostError(entry.damage("head.json"))
    if not address or not entry.is_hosted:
        return address
    where = urlsplit(address)
    port = tunnel_of(entry).port_to(where.hostname or "", where.port or 0)
    return f"{where.scheme}://127.0.0.1:{port}"


def tunnel_of(entry: Entry) -> Tunnel:
    """This process's tunnel to a cluster's head."""
    with _tunnels.changed:
        return _tunnels.by_folder.setdefault(entry.folder, Tunnel(entry))


def why_closed(entry: Entry) -> str:
    """Why the way to a cluster's head is closed; empty where it is open, or none was needed.

    Who comes through sees a lost connection and no more.
    """
    tunnel = _tunnels.by_folder.get(entry.folder)
    return tunnel.problem if tunnel else ""


def close_tunnel(entry: Entry) -> None:
    """End it; the next use makes a new one."""
    with _tunnels.changed:
        tunnel = _tunnels.by_folder.pop(entry.folder, None)
    if tunnel is not None:
        tunnel.close()


class Tunnel:
    """Forwards connections over one SSH connection.

    Attributes
    ----------
    problem : str
        Why the last one could not be made, and what to do; empty once one is.
    """

    def __init__(self, entry: Entry) -> None:
        self._entry = entry
        self._ports: dict[tuple[str, int], socket.socket] = {}
        self._lock = threading.Lock()
        self._ssh: Any = None
        self._failed_at = 0.0
        self.problem = ""

    def ssh(self) -> Any:
        """The SSH connection to the head's host, made now where there is none.

        Raises
        ------
        ConnectionLostError
            The host does not answer, or is another one than before.
        """
        from jupyter_cluster.nodes.ssh import HostKeys, connect

        with self._lock:
            if self._ssh is not None and self._ssh.is_open:
                return self._ssh
            if time.monotonic() - self._failed_at < _PAUSE_SECONDS:
                raise ConnectionLostError(self.problem)
            host = self._entry.read(HOST_FILE)
            if not host.get("address"):
                raise ConnectionLostError(f"cluster {self._entry.name!r} has no head yet")
            keys = HostKeys(self._entry.folder / "known_hosts")
            try:
                self._ssh = connect(host["address"], login_of(host), host["machine"], keys)
            except SetupError as error:
                self._failed_at = time.monotonic()
                name = self._entry.name
                self.problem = (
                    f"{error}; `connect {name}` finds the way again, e.g. from another network"
                )
                raise ConnectionLostError(self.problem) from error
            self.problem = ""
            return self._ssh

    def port_to(self, host: str, port: int) -> int:
        """A port here that leads to one there."""
        with self._lock:
            if (host, port) not in self._ports:
                listener = socket.create_server(("127.0.0.1", 0), backlog=64)
                self._ports[host, port] = listener
                start_thread(
                    f"tunnel to {host}:{port}",
                    partial(self._accept, listener, host, port),
                    lambda _error: self._give_up(host, port),
                )
            return int(self._ports[host, port].getsockname()[1])

    def close(self) -> None:
        """End it with all its connections."""
        with self._lock:
            for listener in self._ports.values():
                # Closing alone does not wake a thread that waits in accept.
                with contextlib.suppress(OSError):
                    listener.shutdown(socket.SHUT_RDWR)
                listener.close()
            self._ports.clear()
            if self._ssh is not None:
                self._ssh.close()

    def abandon(self) -> None:
        """Close what a forked process has inherited, without ending it for its parent."""
        for listener in list(self._ports.values()):
            listener.close()

    def _give_up(self, host: str, port: int) -> None:
        """Nobody listens at this port any more: the next use makes a new one."""
        with self._lock:
            if (listener := self._ports.pop((host, port), None)) is not None:
                listener.close()

    def _accept(self, listener: socket.socket, host: str, port: int) -> None:
        while True:
            try:
                made, _address = listener.accept()
            except OSError:
                return
            start_thread(
                f"through the tunnel to {host}:{port}", partial(self._forward, made, host, port)
            )

    def _forward(self, made: socket.socket, host: str, port: int) -> None:
        with contextlib.closing(made):  # who asked sees a lost connection and tries again
            try:
                channel = self.ssh().channel(host, port)
            except (ConnectionLostError, OSError):
                return
            with contextlib.closing(channel):
                made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                back = start_thread(f"back from {host}:{port}", partial(_pump, channel, made))
                _pump(made, channel)
                back.join()


def _pump(source: Any, target: Any) -> None:
    try:
        while data := source.recv(_PIECE):
            target.sendall(data)
    except (OSError, EOFError):
        pass  # either end has gone; the other one is told below
    finally:
        for end, how in ((target, socket.SHUT_WR), (source, socket.SHUT_RD)):
            with contextlib.suppress(OSError, EOFError):
                end.shutdown(how)


def login_of(host: dict[str, Any]) -> Any:
    """How to log in, as the registry knows it."""
    from jupyter_cluster.nodes.ssh import Login

    return Login(host["user"], Path(host["key"]), host["port"], host.get("proxy_command"))
