"""HTTPS connections that stand idle, kept for the next question: making one costs several times it.

They are the process's, not those of who asks: what is kept by an object that is in a circle is
found unclosed where Python collects it in another order.
"""

from __future__ import annotations

import atexit
import http.client
import threading
import time

from jupyter_cluster.client.forks import track

Connection = http.client.HTTPSConnection
Key = tuple[str, float, str]
# To one head.
MAX_IDLE = 4
# Not for longer: a laptop may have slept, and nobody would have told it that they are dead.
KEEP_SECONDS = 30.0


class ConnectionPool:
    """Idle connections by what they were made for: whose certificates, and the head's address."""

    def __init__(self) -> None:
        self.changed = threading.Lock()
        self._idle: dict[Key, list[tuple[float, Connection]]] = {}
        track(self)
        atexit.register(self.close)

    def take(self, key: Key) -> Connection | None:
        """A connection, now the caller's alone."""
        with self.changed:
            self._drop_old()
            idle = self._idle.get(key)
            return idle.pop()[1] if idle else None

    def keep(self, key: Key, connection: Connection) -> None:
        """Keep a connection on which nothing is under way."""
        with self.changed:
            self._drop_old()
            idle = self._idle.setdefault(key, [])
            if len(idle) < MAX_IDLE:
                idle.append((time.time(), connection))
                return
        connection.close()

    def close(self) -> None:
        """Close them all."""
        with self.changed:
            self._close()

    def leave_to_parent(self) -> None:
        """In a forked process: these connections are of the parent, which does not notice."""
        self._close()

    def _close(self) -> None:
        for idle in self._idle.values():
            for _since, connection in idle:
                connection.close()
        self._idle.clear()

    def _drop_old(self) -> None:
        now = time.time()
        for key, idle in list(self._idle.items()):
            while idle and not 0 <= now - idle[0][0] < KEEP_SECONDS:
                idle.pop(0)[1].close()
            if not idle:
                del self._idle[key]


pool = ConnectionPool()
