"""A slot's results on their way to the agent, in batches.

Results that are there wait for others at most a moment: a thread sends them on even while the
next task computes for an hour.
"""

from __future__ import annotations

import os
import pickle
import socket
import threading
import time
from array import array
from io import BytesIO
from pathlib import Path
from typing import Any

from jupyter_cluster.agent.frames import pack
from jupyter_cluster.codec import PLAIN, Pickler, dump_error
from jupyter_cluster.wire import LARGE_RESULT, MAX_ITEM, Block, Status

# Results of shorter tasks travel together: a message costs about 50 microseconds.
FLUSH_SECONDS = 0.02
HERE = os.path.dirname(__file__)


class Outbox:
    """Collects the results of one bundle after another.

    Parameters
    ----------
    sock
        The connection to the agent.
    folder
        Where results go that are too large to travel.
    """

    def __init__(self, sock: socket.socket, folder: Path) -> None:
        self._sock = sock
        self._folder = folder
        self._lock = threading.Lock()
        self._has_some = threading.Event()
        self._buffer = BytesIO()
        self._pickler = Pickler(self._buffer)
        self.begin("", 0)
        threading.Thread(target=self._send_on, name="outbox", daemon=True).start()

    def begin(self, job: str, start: int) -> None:
        """The next results are of consecutive tasks of this job, from `start` on."""
        self._job, self._next = job, start
        self._clear()

    def _clear(self) -> None:
        self._start = self._next
        self._began = time.monotonic()
        self._statuses = bytearray()
        self._ends = array("Q")
        self._buffer.seek(0)
        self._buffer.truncate()

    def add(self, status: Status, value: Any) -> None:
        """Take the result of the next task."""
        buffer = self._buffer
        with self._lock:
            before = buffer.tell()
            if status is Status.OK:
                if type(value) in PLAIN:
                    buffer.write(pickle.dumps(value, pickle.HIGHEST_PROTOCOL))
                else:
                    status = self._add_value(value, before)
            elif status is Status.ERROR:
                buffer.write(dump_error(value, HERE))
            after = buffer.tell()
            if after - before > LARGE_RESULT and status is Status.OK:
                status, after = self._store(before, after - before), buffer.tell()
            self._statuses.append(status)
            self._ends.append(after)
            self._next += 1
            if after > LARGE_RESULT:
                self._send()
            elif len(self._ends) == 1:
                self._has_some.set()

    def _add_value(self, value: Any, before: int) -> Status:
        try:
            self._pickler.dump_one(value)
        except BaseException as error:
            kind = type(value).__name__
            text = f"the task returned a {kind} that cannot be sent back: {error}"
            self._replace(before, dump_error(TypeError(text), HERE))
            return Status.ERROR
        return Status.OK

    def _store(self, before: int, size: int) -> Status:
        """Leave a large value on this node, as a file of its own."""
        path = self._folder / f"{self._job}-{self._next}"
        try:
            if size > MAX_ITEM:
                raise OverflowError(f"the result has {size} bytes; at most {MAX_ITEM} can be kept")
            partial = path.with_suffix(".part")
            # For the node's owner alone, whatever umask the user's code has set.
            descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
            with os.fdopen(descriptor, "wb") as file, self._buffer.getbuffer() as view:
                file.write(view[before : before + size])
            partial.replace(path)
        except (OSError, OverflowError) as error:
            self._replace(before, dump_error(error, HERE))
            return Status.ERROR
        self._replace(before, str(size).encode())
        return Status.STORED

    def _replace(self, before: int, data: bytes) -> None:
        self._buffer.seek(before)
        self._buffer.truncate()
        self._buffer.write(data)

    def flush(self) -> None:
        """Send what has been collected."""
        with self._lock:
            self._send()

    def finish(self) -> None:
        """Send what has been collected, and that the bundle has ended."""
        with self._lock:
            self._send(is_last=True)

    def _send(self, is_last: bool = False) -> None:
        message: dict[str, Any] = {"finished": is_last}
        if self._statuses:
            message["job"] = self._job
            message["statuses"] = bytes(self._statuses)
            message["block"] = Block(self._start, 0, self._ends, self._buffer.getvalue()).pack()
            message["seconds"] = time.monotonic() - self._began
        elif not is_last:
            return
        self._sock.sendall(pack(message))
        self._clear()

    def _send_on(self) -> None:
        while True:
            self._has_some.wait()
            self._has_some.clear()
            time.sleep(FLUSH_SECONDS)
            try:
                self.flush()
            except OSError:
                return  # the agent is gone; the main thread notices by itself
