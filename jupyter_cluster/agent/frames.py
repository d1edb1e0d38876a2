"""Messages between an agent and its children: length-prefixed msgpack over a Unix socket pair.

msgpack rather than pickle: what comes out of a child was touched by user code, and the agent
must not execute it.
"""

from __future__ import annotations

import socket
import struct
from typing import Any

import msgpack

_LENGTH = struct.Struct("<Q")


def pack(message: Any) -> bytes:
    """A message as a frame."""
    body: bytes = msgpack.packb(message, use_bin_type=True)
    return _LENGTH.pack(len(body)) + body


def receive(sock: socket.socket) -> Any:
    """The next message from a blocking socket; None when the other end is gone."""
    header = _read(sock, _LENGTH.size)
    if header is None:
        return None
    body = _read(sock, _LENGTH.unpack(header)[0])
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


def _unpack(body: bytes | bytearray | memoryview) -> Any:
    return msgpack.unpackb(body, raw=False)


class Reader:
    """Collects bytes as they come and gives out whole messages."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    def feed(self, data: bytes) -> list[Any]:
        """The messages that these bytes complete."""
        buffer, messages, at = self._buffer, [], 0
        buffer += data
        while len(buffer) - at >= _LENGTH.size:
            (size,) = _LENGTH.unpack_from(buffer, at)
            end = at + _LENGTH.size + size
            if len(buffer) < end:
                break
            messages.append(_unpack(memoryview(buffer)[at + _LENGTH.size : end].tobytes()))
            at = end
        if at:
            del buffer[:at]
        return messages
