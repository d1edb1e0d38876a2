"""Messages between an agent and its children: msgpack in frames over a Unix socket pair.

msgpack rather than pickle: what comes out of a child was touched by user code, and the agent
must not execute it. A frame begins with a mark, so that bytes which user code has written to a
descriptor that is not its own are found out at once, and with its length, which has a limit.
"""

from __future__ import annotations

import os
import socket
import struct
from typing import Any

import msgpack

_MARK = b"\x93jc\x01"
_HEADER = struct.Struct("<4sQ")
# What a slot sends is at most a result of `LARGE_RESULT`, an error, or a picture that a cell shows.
FROM_SLOT_BYTES = 256_000_000
# A bundle has one argument of `MAX_ITEM`, or many small ones, and its function.
TO_SLOT_BYTES = 4_000_000_000


class ProtocolError(Exception):
    """What came in is not what the other end says: somebody else has written there."""


def pack(message: Any) -> bytes:
    """A message as a frame."""
    body: bytes = msgpack.packb(message, use_bin_type=True)
    return _HEADER.pack(_MARK, len(body)) + body


def receive(sock: socket.socket, limit: int = TO_SLOT_BYTES) -> Any:
    """The next message from a blocking socket; None when the other end is gone.

    Raises
    ------
    ProtocolError
        It is none.
    OSError
        The descriptor was closed.
    """
    header = _read(sock, _HEADER.size)
    if header is None:
        return None
    body = _read(sock, _length(header, 0, limit))
    return None if body is None else _unpack(body)


def _read(sock: socket.socket, size: int) -> bytearray | None:
    buffer = bytearray(size)
    view, filled = memoryview(buffer), 0
    while filled < size:
        try:
            n = sock.recv_into(view[filled:])
        except ConnectionResetError:
            return None
        if n == 0:
            return None
        filled += n
    return buffer


def _length(buffer: bytearray, at: int, limit: int) -> int:
    mark, size = _HEADER.unpack_from(buffer, at)
    if mark != _MARK:
        raise ProtocolError("bytes that are no message")
    if size > limit:
        raise ProtocolError(f"a message of {size} bytes, where {limit} are the most")
    return int(size)


def _unpack(body: bytes | bytearray) -> Any:
    try:
        return msgpack.unpackb(body, raw=False)
    except Exception as error:  # msgpack has no common class for what it raises
        raise ProtocolError("a message that cannot be read") from error


class Reader:
    """Collects bytes as they come and gives out whole messages.

    Attributes
    ----------
    is_within_message : bool
        Whether the rest of a message is to come.
    """

    def __init__(self, limit: int = FROM_SLOT_BYTES) -> None:
        self._limit = limit
        self._buffer = bytearray()

    @property
    def is_within_message(self) -> bool:
        return bool(self._buffer)

    def feed(self, data: bytes) -> list[Any]:
        """The messages that these bytes complete.

        Raises
        ------
        ProtocolError
            What came is none.
        """
        buffer, messages, at = self._buffer, [], 0
        buffer += data
        while len(buffer) - at >= _HEADER.size:
            start = at + _HEADER.size
            end = start + _length(buffer, at, self._limit)
            if len(buffer) < end:
                break
            messages.append(_unpack(buffer[start:end]))
            at = end
        if at:
            del buffer[:at]
        return messages


class Connection:
    """A slot's end of its connection to the agent, within reach of the user's code.

    That code may close the descriptor, or put another file in its place; it may fork, and the
    child must not speak for the slot.
    """

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self._pid = os.getpid()
        self._file = self._identity()

    def _identity(self) -> tuple[int, int]:
        status = os.fstat(self._sock.fileno())
        return status.st_dev, status.st_ino

    def check(self) -> None:
        """Make sure that it is still the one that it was.

        Raises
        ------
        OSError
            It was closed, or is another process's.
        """
        if os.getpid() != self._pid or self._identity() != self._file:
            raise ConnectionError("the connection of the slot is not its own any more")

    def send(self, message: Any) -> None:
        """Send a message, whole."""
        self.check()
        self._sock.sendall(pack(message))

    def receive(self) -> Any:
        """The next message; None when the agent is gone."""
        self.check()
        return receive(self._sock)
