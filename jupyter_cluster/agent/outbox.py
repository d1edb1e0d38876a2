"""A slot's results on their way to the agent, in batches.

Results that are there wait for others at most a moment: a thread sends them on even while the
next task computes for an hour.
"""

from __future__ import annotations

import os
import threading
from io import BytesIO
from pathlib import Path
from pickle import HIGHEST_PROTOCOL, dumps  # by its name: user code may patch the module
from time import monotonic, sleep
from types import AsyncGeneratorType, GeneratorType
from typing import Any

from jupyter_cluster.agent.frames import Connection
from jupyter_cluster.codec import PLAIN, Pickler
from jupyter_cluster.described import class_name, reason_of
from jupyter_cluster.raised import dump_error
from jupyter_cluster.wire import LARGE_RESULT, MAX_ITEM, Block, Status

# Results of shorter tasks travel together: a message costs about 50 microseconds.
FLUSH_SECONDS = 0.02
HERE = os.path.dirname(__file__)


class Outbox:
    """Collects the results of one bundle after another.

    Parameters
    ----------
    connection
        To the agent.
    folder
        Where results go that are too large to travel.
    """

    def __init__(self, connection: Connection, folder: Path) -> None:
        self._connection = connection
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
        self._began = monotonic()
        self._statuses = bytearray()
        self._parts: list[bytes] = []
        self._size = 0

    def add(self, status: Status, value: Any) -> None:
        """Take the result of the next task."""
        status, data = self._pickled(status, value)
        if len(data) > LARGE_RESULT and status is Status.OK:
            status, data = self._store(data)
        with self._lock:
            self._statuses.append(status)
            self._parts.append(data)
            self._size += len(data)
            self._next += 1
            if self._size > LARGE_RESULT:
                self._send()
            elif len(self._parts) == 1:
                self._has_some.set()

    def _pickled(self, status: Status, value: Any) -> tuple[Status, bytes]:
        """A result as bytes, whatever the value does when it is looked at."""
        if status is Status.CANCELLED:
            return status, b""
        if status in (Status.ERROR, Status.FINAL):
            return status, dump_error(value, HERE)
        try:
            if type(value) in PLAIN:
                return status, dumps(value, HIGHEST_PROTOCOL)
            self._buffer.seek(0)
            self._buffer.truncate()
            self._pickler.dump_one(value)
            return status, self._buffer.getvalue()
        except BaseException as error:
            self._pickler = Pickler(self._buffer)  # the old one may be in the middle of something
            return Status.FINAL, dump_error(TypeError(_refusal(value, error)), HERE)

    def _store(self, data: bytes) -> tuple[Status, bytes]:
        """Leave a large value on this node, as a file of its own; its size travels."""
        path = self._folder / f"{self._job}-{self._next}"
        partial = path.with_suffix(".part")
        try:
            if (size := len(data)) > MAX_ITEM:
                raise OverflowError(f"the result has {size} bytes; at most {MAX_ITEM} can be kept")
            # For the node's owner alone, whatever umask the user's code has set.
            descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
            with os.fdopen(descriptor, "wb") as file:
                file.write(data)
            partial.replace(path)
        except (OSError, OverflowError) as error:
            return Status.ERROR, dump_error(error, HERE)
        return Status.STORED, str(size).encode()

    def tell(self, output: bytes) -> None:
        """Send what a cell has shown; before the results that follow."""
        with self._lock:
            self._connection.send({"output": output, "finished": False})

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
            message["block"] = Block.of(self._start, self._parts).pack()
            message["seconds"] = monotonic() - self._began
        elif not is_last:
            return
        self._connection.send(message)
        self._clear()

    def _send_on(self) -> None:
        while True:
            self._has_some.wait()
            self._has_some.clear()
            sleep(FLUSH_SECONDS)
            try:
                self.flush()
            except Exception:  # the connection is lost: the main thread notices by itself
                sleep(FLUSH_SECONDS)


def _refusal(value: Any, error: BaseException) -> str:
    said = f"the task returned a {class_name(value)} that cannot be sent back: {reason_of(error)}"
    if issubclass(type(value), (GeneratorType, AsyncGeneratorType)):
        said += ". Return what it gives, e.g. as a list"
    return said
