"""Strangers at a listener: not many at a time, not for long, and not a line in the log for each.

Until a caller has shown who it is, its connection waits at the `Door`. One that says nothing is
closed after a while; where too many wait, the one that has waited longest goes, so that a caller
with a certificate, which needs milliseconds, gets in however many strangers there are.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import resource
import time
import weakref
from collections.abc import Awaitable, Coroutine
from typing import Any

from tornado.httpserver import HTTPServer
from tornado.iostream import IOStream, SSLIOStream

logger = logging.getLogger("jupyter_cluster")

# How long a caller may take to show who it is, and how many may be at that at the same time.
HANDSHAKE_SECONDS = 20.0
MOST_WAITING = 128
LOG_SECONDS = 60.0
# Each node, client and caller takes a file; a limit without an end would say nothing.
MOST_FILES = 1 << 20


def allow_many_files() -> None:
    """Let this process have as many files open as it may: often it begins with 1024, which is for
    programs that use `select`. What it has forked before keeps the limit that it had."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = MOST_FILES if hard == resource.RLIM_INFINITY else min(hard, MOST_FILES)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        with contextlib.suppress(OSError, ValueError):  # of macOS: more than the kernel has
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


class Door:
    """Where callers of one listener wait until it is known who they are.

    Parameters
    ----------
    what
        The listener, for the log.
    """

    def __init__(
        self, what: str, most: int = MOST_WAITING, seconds: float = HANDSHAKE_SECONDS
    ) -> None:
        self._what, self._most, self._seconds = what, most, seconds
        self._waiting: dict[IOStream, asyncio.TimerHandle] = {}
        self._count, self._logged = 0, -LOG_SECONDS
        # Tornado has a line for each failed handshake.
        logging.getLogger("tornado.general").addFilter(_is_no_handshake)

    def enter(self, stream: IOStream) -> None:
        """A caller has come."""
        loop = asyncio.get_running_loop()
        why = f"it did not show who it is within {self._seconds:g} s"
        self._waiting[stream] = loop.call_later(self._seconds, self._turn_away, stream, why)
        if len(self._waiting) > self._most:
            self._turn_away(next(iter(self._waiting)), f"more than {self._most} were waiting")

    def leave(self, stream: IOStream) -> None:
        """It is known now, or has gone."""
        if timer := self._waiting.pop(stream, None):
            timer.cancel()

    def admit(self, stream: SSLIOStream) -> Coroutine[Any, Any, bool]:
        """A caller has come; to be awaited: whether it has a certificate of the cluster."""
        self.enter(stream)
        return self._shake_hands(stream)

    async def _shake_hands(self, stream: SSLIOStream) -> bool:
        is_known = False
        try:
            if not stream.closed():  # turned away by now, its handshake would never end
                await stream.wait_for_handshake()
                is_known = True
        except OSError as error:
            if stream in self._waiting:  # otherwise it was turned away, and that is noted
                self.note(f"its handshake failed: {error}")
        finally:
            self.leave(stream)
            if not is_known:
                stream.close()
        return is_known

    def _turn_away(self, stream: IOStream, why: str) -> None:
        self.leave(stream)
        if not stream.closed():
            self.note(why)
            stream.close()

    def note(self, why: str) -> None:
        """Somebody was refused: a line in the log, but no more than one a minute."""
        self._count += 1
        now = time.monotonic()
        if now - self._logged >= LOG_SECONDS:
            others = f", {self._count} since the last such line" if self._count > 1 else ""
            logger.warning("%s has refused a caller%s: %s", self._what, others, why)
            self._count, self._logged = 0, now


class SecureServer(HTTPServer):  # type: ignore[misc]
    """An HTTPS server with a `Door`: HTTP begins when the handshake has ended."""

    def initialize(self, *words: Any, door: Door, **options: Any) -> None:
        """Called by Tornado in place of a constructor."""
        super().initialize(*words, **options)
        self._door = door
        self._streams: weakref.WeakSet[SSLIOStream] = weakref.WeakSet()

    def close(self) -> None:
        """Close the connections, idle ones and those of waiting callers too; call `stop` first."""
        for stream in list(self._streams):
            stream.close()

    def handle_stream(self, stream: SSLIOStream, address: Any) -> Coroutine[Any, Any, None]:
        """A caller has come (called by Tornado)."""
        self._streams.add(stream)
        return self._serve(stream, address, self._door.admit(stream))

    async def _serve(self, stream: SSLIOStream, address: Any, admitted: Awaitable[bool]) -> None:
        if await admitted:
            super().handle_stream(stream, address)


class OpenServer(HTTPServer):  # type: ignore[misc]
    """An HTTP server with a `Door` that its handlers open: ``door.leave(stream)``."""

    def initialize(self, *words: Any, door: Door, **options: Any) -> None:
        """Called by Tornado in place of a constructor."""
        super().initialize(*words, **options)
        self._door = door

    def handle_stream(self, stream: IOStream, address: Any) -> None:
        """A caller has come (called by Tornado)."""
        self._door.enter(stream)
        super().handle_stream(stream, address)


def _is_no_handshake(record: logging.LogRecord) -> bool:
    return not str(record.msg).startswith(("SSL Error on", "error on read"))
