"""The way to a node by SSH: login, host key, proxy.

Settings that were measured: without TCP_NODELAY a command takes 53 ms instead of 9; AES-GCM is
twice as fast as paramiko's first choice; TCP_USER_TIMEOUT notices a dead peer that keepalive alone
does not.
"""

from __future__ import annotations

import logging
import re
import signal
import socket
import subprocess
import tempfile
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import paramiko
from paramiko.common import (
    MSG_CHANNEL_CLOSE,
    MSG_CHANNEL_FAILURE,
    MSG_CHANNEL_REQUEST,
    MSG_CHANNEL_WINDOW_ADJUST,
)
from paramiko.pkey import UnknownKeyType
from paramiko.ssh_exception import (
    AuthenticationException,
    SSHException,
)

from jupyter_cluster.errors import SetupError
from jupyter_cluster.nodes.session import PACKET, WINDOW, Ssh

CONNECT_SECONDS = 10.0
# A host that is slow, as at its first boot, gets more time for each handshake than for the one
# before, up to so many times the first one's.
_MOST_PATIENCE = 3
_LOGIN_SECONDS = 30.0
_PROXY_SECONDS, _PROXY_BYTES = 2.0, 2**16
# A peer that acknowledges nothing for so long is gone.
DEAD_SECONDS = 20.0
_KEEPALIVE_SECONDS = 10
_RETRY_SECONDS = 0.5
_CIPHERS = ("aes128-gcm@openssh.com", "aes256-gcm@openssh.com", "aes128-ctr", "aes256-ctr")

# What goes wrong on a connection is raised; the library's own lines about it are for who asks.
_LOG = "jupyter_cluster.ssh"
logging.getLogger(_LOG).addHandler(logging.NullHandler())


@dataclass(frozen=True)
class Login:
    """How to log in to a cluster's nodes."""

    user: str
    key: Path
    port: int = 22
    proxy_command: str | None = None


class WrongHostError(SetupError):
    """The host shows another key than the one that was pinned."""


class WrongLoginError(SetupError):
    """The host does not take the user or the key."""


class HostKeys:
    """Host keys that were seen, pinned at the first connection and kept in a file."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()

    def check(self, machine: str, key: str) -> None:
        """Pin a key, or compare it with the one that was pinned.

        Raises
        ------
        WrongHostError
            They differ.
        """
        with self._lock:
            known = self._read()
            if known.setdefault(machine, key) != key:
                raise WrongHostError(
                    f"{machine} shows another SSH host key than before: it is another machine, or"
                    f" somebody is in between. If that is as it should be, delete its line from"
                    f" {self._path}",
                    "connecting",
                )
            text = "".join(f"{name} {value}\n" for name, value in sorted(known.items()))
            self._path.write_text(text)

    def _read(self) -> dict[str, str]:
        try:
            lines = self._path.read_text().splitlines()
        except FileNotFoundError:
            return {}
        return dict(line.split(" ", 1) for line in lines if " " in line)


def connect(
    address: str,
    login: Login,
    machine: str,
    host_keys: HostKeys,
    through: Any = None,
    seconds: float | None = None,
) -> Ssh:
    """Connect once.

    Parameters
    ----------
    machine
        What the host key is pinned under: addresses change, a machine's name does not.
    through
        A channel of another connection that leads to the host's SSH port.
    seconds
        How long the handshake may take.

    Raises
    ------
    WrongHostError, WrongLoginError
        Trying again will not help.
    SetupError
        It cannot be reached now.
    """
    try:
        way = through or _way(address, login)
    except OSError as error:
        raise _silent(address, error) from error
    try:
        transport = _Transport(way)
    except (OSError, EOFError, SSHException) as error:
        way.close()
        raise _silent(address, error, way) from error
    try:
        _shake_hands(transport, seconds or CONNECT_SECONDS)
        key = transport.get_remote_server_key()
        host_keys.check(machine, f"{key.get_name()} {key.get_base64()}")
        _log_in(transport, address, login)
    except (OSError, EOFError, SSHException) as error:
        transport.close()
        raise _silent(address, error, way) from error
    except BaseException:
        transport.close()
        raise
    return Ssh(transport, address)


def _on_request(channel: paramiko.Channel, message: paramiko.Message) -> None:
    """The library overlooks how a program ends that is killed by a signal."""
    begin = message.packet.tell()
    if message.get_text() == "exit-signal":
        message.get_boolean()
        name = f"SIG{message.get_text()}"
        known = signal.Signals.__members__
        channel.exit_status = 128 + (int(known[name]) if name in known else 0)
        channel.status_event.set()
    else:
        message.packet.seek(begin)
        channel._handle_request(message)  # type: ignore[attr-defined]


class _Transport(paramiko.Transport):
    _channel_handler_table = {  # noqa: RUF012 - as in the library
        **paramiko.Transport._channel_handler_table,  # type: ignore[attr-defined]
        MSG_CHANNEL_REQUEST: _on_request,
    }

    def __init__(self, way: Any) -> None:
        super().__init__(way, default_window_size=WINDOW, default_max_packet_size=PACKET)
        self._closed: set[int] = set()  # channels, by the server's numbers

    def _parse_channel_open_success(self, message: paramiko.Message) -> None:
        begin = message.packet.tell()
        message.get_int()  # our number
        self._closed.discard(message.get_int())  # the server may use one again
        message.packet.seek(begin)
        super()._parse_channel_open_success(message)  # type: ignore[misc]

    def _send_message(self, data: paramiko.Message) -> None:
        """Send nothing of a channel after its end.

        The library makes a message under the channel's lock and sends it outside: what one thread
        has made, another one's end of the channel may overtake. OpenSSH then ends the whole
        connection, of which this channel was one of many (paramiko's issues 1115 and 1705).
        """
        kind, *number = bytes(data.packet.getbuffer()[:5])
        channel = int.from_bytes(number, "big")
        if MSG_CHANNEL_WINDOW_ADJUST <= kind <= MSG_CHANNEL_FAILURE:
            if channel in self._closed:
                return
            if kind == MSG_CHANNEL_CLOSE:
                self._closed.add(channel)
        super()._send_message(data)  # type: ignore[misc]


def _silent(address: str, error: BaseException, way: Any = None) -> SetupError:
    reason = str(error) or type(error).__name__
    if isinstance(way, _Proxy) and (said := way.said()):
        reason = f"auth.ssh_proxy_command says: {said}"
    return SetupError(f"SSH to {address} does not answer: {reason}", "connecting")


def _shake_hands(transport: paramiko.Transport, seconds: float) -> None:
    transport.set_log_channel(_LOG)
    transport.get_security_options().ciphers = _CIPHERS
    transport.set_keepalive(_KEEPALIVE_SECONDS)
    transport.auth_timeout = _LOGIN_SECONDS
    transport.banner_timeout = transport.handshake_timeout = 2 * seconds  # ours comes first
    transport.start_client(timeout=seconds)
    if not transport.initial_kex_done:  # after its time-out the library returns as if all was well
        raise TimeoutError(f"no handshake within {seconds:.0f} s")


class _Proxy(socket.socket):
    """One end of a pair of sockets; at the other one is a program that leads to the host."""

    def __init__(self, command: str) -> None:
        ours, theirs = socket.socketpair()
        super().__init__(fileno=ours.detach())
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115 - closed with the socket
        with theirs:
            # As OpenSSH runs it. Ctrl-C is not meant for it: it carries what we do about that.
            self._process = subprocess.Popen(
                ["sh", "-c", f"trap '' INT; exec {command}"],
                stdin=theirs.fileno(),
                stdout=theirs.fileno(),
                stderr=self._errors,
            )
        self._said = ""

    def said(self) -> str:
        """The last line that it has written about itself."""
        return self._said

    def close(self) -> None:
        if self.fileno() == -1:
            return
        super().close()
        self._process.terminate()
        try:
            self._process.wait(_PROXY_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        with self._errors as file:
            file.seek(0)
            lines = file.read(_PROXY_BYTES).decode(errors="replace").split("\n")
        self._said = next((line.strip() for line in reversed(lines) if line.strip()), "")


def _way(address: str, login: Login) -> socket.socket:
    if login.proxy_command:
        values = {"%h": address, "%p": str(login.port), "%r": login.user, "%%": "%"}
        return _Proxy(re.sub("%[hpr%]", lambda found: values[found[0]], login.proxy_command))
    made = socket.create_connection((address, login.port), CONNECT_SECONDS)
    made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    if hasattr(socket, "TCP_USER_TIMEOUT"):  # Linux
        made.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, int(DEAD_SECONDS * 1000))
    return made


def _log_in(transport: paramiko.Transport, address: str, login: Login) -> None:
    try:
        key = paramiko.PKey.from_path(login.key)
    except (OSError, ValueError, TypeError, SSHException, UnknownKeyType) as error:
        raise WrongLoginError(
            f"the SSH key {login.key} cannot be used: {error}", "connecting"
        ) from error
    began = time.monotonic()
    try:
        transport.auth_publickey(login.user, key)
    except AuthenticationException as error:
        # The library calls it a refusal too when nobody has answered.
        if not transport.is_active() or time.monotonic() - began > _LOGIN_SECONDS - 1:
            raise
        raise WrongLoginError(
            f"{address} does not let user {login.user!r} in with the key {login.key}: check"
            " auth.ssh_user (it depends on the image: ubuntu, ec2-user, admin …) and"
            " auth.ssh_private_key",
            "connecting",
        ) from error


def wait_for(
    address: str,
    login: Login,
    machine: str,
    host_keys: HostKeys,
    deadline: float,
    patience: float = 30.0,
) -> Ssh:
    """Connect to a host that is booting; tried again until the deadline (monotonic clock).

    Parameters
    ----------
    patience
        Seconds during which a refused login is tried again: the user's key is put in place by the
        host's first boot, after its SSH server has started.

    Raises
    ------
    SetupError
        It did not come up in time, or does not let us in.
    """
    refused_since: float | None = None
    overdue = 0
    while True:
        longest = CONNECT_SECONDS * min(1 + overdue, _MOST_PATIENCE)
        seconds = max(CONNECT_SECONDS, min(longest, deadline - time.monotonic()))
        try:
            return connect(address, login, machine, host_keys, seconds=seconds)
        except WrongHostError:
            raise
        except WrongLoginError:
            refused_since = refused_since or time.monotonic()
            if time.monotonic() > min(deadline, refused_since + patience):
                raise
        except SetupError as error:
            refused_since = None
            overdue += isinstance(error.__cause__, TimeoutError)
            if time.monotonic() > deadline:
                raise
        time.sleep(_RETRY_SECONDS)
