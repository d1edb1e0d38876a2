"""What runs in a slot's process: user code, and nothing else of ours than this loop.

The loop takes bundles from the agent, calls the function for each task and sends the results back
in batches. It imports neither Dask nor the agent.
"""

from __future__ import annotations

import asyncio
import inspect
import os
import pickle
import signal
import socket
import sys
import time
from array import array
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from types import FrameType
from typing import Any, TextIO

from jupyter_cluster.codec import Pickler, dump_error, resolving
from jupyter_cluster.wire import IN_TASK, LARGE_RESULT, MAX_ITEM, Block, Status

from .cells import IDLE, Cells
from .frames import pack, receive

# Results of tasks shorter than this travel together: one message costs about 50 microseconds.
FLUSH_SECONDS = 0.02
_HERE = os.path.dirname(__file__)


class Interrupted(KeyboardInterrupt):
    """The agent interrupts the task at hand because it was cancelled."""


class Runner:
    """Runs bundles, one after another, until the agent closes the connection."""

    def __init__(self, sock: socket.socket, cells: Cells, results: Path) -> None:
        self._sock = sock
        self._cells = cells
        self.results = results
        self._function: Callable[..., Any] | None = None
        self._function_id = ""
        self._in_task = False
        signal.signal(signal.SIGINT, self._on_interrupt)

    def serve(self) -> None:
        """Until the agent is gone."""
        while (message := receive(self._sock)) is not None:
            self._run(message)
            self._send({"op": "finished"})

    def _on_interrupt(self, _signal: int, _frame: FrameType | None) -> None:
        if self._in_task:  # otherwise it came too late: the task has just ended
            raise Interrupted

    def _send(self, message: dict[str, Any]) -> None:
        self._sock.sendall(pack(message))

    def _run(self, bundle: dict[str, Any]) -> None:
        call, is_map = self._load(bundle), bundle["kind"] == "map"
        for packed in bundle["blocks"]:
            block = Block.unpack(packed)
            batch = _Batch(self, bundle["job"], block.start)
            with resolving(bundle["refs"]):
                for index, item in enumerate(block.items(), block.start):
                    if self._cells.view[2]:
                        break
                    batch.add(*self._call(call, is_map, index, item))
            batch.flush()

    def _load(self, bundle: dict[str, Any]) -> Callable[..., Any]:
        """The bundle's function; where it cannot be loaded, one that says so for every task."""
        if bundle["fn"] != self._function_id or self._function is None:
            try:
                self._function = pickle.loads(bundle["code"])
                self._function_id = bundle["fn"]
            except BaseException as error:
                self._function = None
                return _raiser(error)
        return self._function

    def _call(
        self, call: Callable[..., Any], is_map: bool, index: int, item: memoryview
    ) -> tuple[Status, Any]:
        view = self._cells.view
        view[1] = time.monotonic()
        view[0] = index
        try:
            self._in_task = True
            if is_map:
                value = call(pickle.loads(item))
            else:
                args, kwargs = pickle.loads(item)
                value = call(*args, **kwargs)
            if inspect.iscoroutine(value):
                value = asyncio.run(value)
            self._in_task = False
            return Status.OK, value
        except Interrupted:
            self._in_task = False
            return Status.CANCELLED, None
        except BaseException as error:
            self._in_task = False
            return Status.ERROR, error
        finally:
            view[0] = IDLE


class _Batch:
    """Results of consecutive tasks on their way to the agent."""

    def __init__(self, runner: Runner, job: str, start: int) -> None:
        self._runner, self._job, self._next = runner, job, start
        self._buffer = BytesIO()
        self._pickler = Pickler(self._buffer)
        self._clear(start)

    def _clear(self, start: int) -> None:
        self._start = start
        self._began = time.monotonic()
        self._statuses = bytearray()
        self._ends = array("Q")
        self._buffer.seek(0)
        self._buffer.truncate()

    def add(self, status: Status, value: Any) -> None:
        """Take one result; send what is there when it is large or old enough."""
        buffer, before = self._buffer, self._buffer.tell()
        if status is Status.OK:
            try:
                self._pickler.dump_one(value)
            except BaseException as error:
                buffer.seek(before)
                buffer.truncate()
                status, value = Status.ERROR, _unsendable(value, error)
        if status is Status.ERROR:
            buffer.write(dump_error(value, _HERE))
        size = buffer.tell() - before
        if size > LARGE_RESULT and status is Status.OK:
            status = self._store(before, size)
        self._statuses.append(status)
        self._ends.append(buffer.tell())
        self._next += 1
        if time.monotonic() - self._began > FLUSH_SECONDS or buffer.tell() > LARGE_RESULT:
            self.flush()

    def _store(self, before: int, size: int) -> Status:
        """Leave a large value on this node, as a file of its own."""
        buffer, status = self._buffer, Status.STORED
        try:
            if size > MAX_ITEM:
                raise OverflowError(f"the result has {size} bytes; at most {MAX_ITEM} can be kept")
            path = self._runner.results / f"{self._job}-{self._next}"
            partial = path.with_suffix(".part")
            partial.write_bytes(buffer.getbuffer()[before : before + size])
            partial.replace(path)
        except (OSError, OverflowError) as error:
            status = Status.ERROR
            buffer.seek(before)
            buffer.truncate()
            buffer.write(dump_error(error, _HERE))
            return status
        buffer.seek(before)
        buffer.truncate()
        buffer.write(str(size).encode())
        return status

    def flush(self) -> None:
        """Send what has been collected."""
        if self._statuses:
            self._runner._send(
                {
                    "op": "results",
                    "job": self._job,
                    "statuses": bytes(self._statuses),
                    "block": Block(self._start, 0, self._ends, self._buffer.getvalue()).pack(),
                    "seconds": time.monotonic() - self._began,
                }
            )
        self._clear(self._next)


def _raiser(error: BaseException) -> Callable[..., Any]:
    def fail(*_args: Any, **_kwargs: Any) -> None:
        raise error

    return fail


def _unsendable(value: Any, error: BaseException) -> BaseException:
    return TypeError(
        f"the task returned a {type(value).__name__} that cannot be sent back: {error}"
    )


def enter(environment: dict[str, Any]) -> None:
    """Make the process what the bundle's environment asks for: folder, modules, devices."""
    os.environ[IN_TASK] = "1"
    for name, value in environment.get("variables", {}).items():
        os.environ[name] = value
    folder = environment.get("folder")
    if folder and os.path.isdir(folder):
        os.chdir(folder)
    code = environment.get("code_path")
    if code:
        sys.path.insert(0, code)
    # The descriptors lead to the agent now. Lines appear there as they are printed, and survive
    # a crash.
    sys.stdout, sys.stderr = _line_by_line(1), _line_by_line(2)


def _line_by_line(descriptor: int) -> TextIO:
    return os.fdopen(descriptor, "w", buffering=1, errors="backslashreplace", closefd=False)


def main(sock: socket.socket, cells: Cells, results: Path, environment: dict[str, Any]) -> None:
    """The life of a slot's process."""
    enter(environment)
    Runner(sock, cells, results).serve()
