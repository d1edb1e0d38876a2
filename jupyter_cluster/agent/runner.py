"""What runs in a slot's process: user code, and nothing else of ours than this loop.

The loop takes bundles from the agent, calls the function for each task and hands the results to
the outbox. It imports neither Dask nor the agent.
"""

from __future__ import annotations

import asyncio
import importlib
import os
import pickle
import signal
import socket
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import CoroutineType, FrameType
from typing import TYPE_CHECKING, Any, TextIO

from jupyter_cluster.agent.frames import receive
from jupyter_cluster.agent.outbox import Outbox
from jupyter_cluster.agent.shared import IDLE, Interrupted, Shared
from jupyter_cluster.codec import resolving
from jupyter_cluster.wire import IN_TASK, Block, Retried, Status

if TYPE_CHECKING:
    from jupyter_cluster.agent.shell import CellRunner


class Runner:
    """Runs bundles, one after another, until the agent closes the connection."""

    def __init__(self, sock: socket.socket, shared: Shared, results: Path) -> None:
        self._sock = sock
        self._shared = shared
        self._outbox = Outbox(sock, results)
        self._function: Callable[..., Any] | None = None
        self._function_id = ""
        self._retried: tuple[type[BaseException], ...] | None = None
        self._in_task = False
        self._cells: CellRunner | None = None
        signal.signal(signal.SIGINT, self._on_interrupt)

    def serve(self) -> None:
        """Until the agent is gone."""
        while (message := receive(self._sock)) is not None:
            if message["kind"] == "cell":
                call: Callable[[Any], Any] = self._cell(message)
            elif message["kind"] == "calls":
                call = _spread(self._load(message))
            else:
                call = self._load(message)
            for packed in message["blocks"]:
                block = Block.unpack(packed)
                self._outbox.begin(message["job"], block.start)
                with resolving(message["refs"]):
                    self._run(call, block)
                self._outbox.flush()
            self._outbox.finish()
            if message["kind"] == "cell" and self._cells is not None:
                self._cells.tidy()

    def _on_interrupt(self, _signal: int, _frame: FrameType | None) -> None:
        if self._in_task:  # otherwise it came too late: the task has just ended
            raise Interrupted

    def _load(self, bundle: dict[str, Any]) -> Callable[..., Any]:
        """The bundle's function; where it cannot be loaded, one that says so for every task."""
        if bundle["fn"] != self._function_id or self._function is None:
            try:
                function, self._retried = pickle.loads(bundle["code"]), None
                if isinstance(function, Retried):
                    self._retried, function = function.errors, function.function
            except BaseException as error:
                self._function = None
                return _raiser(error)
            self._function = function
            self._function_id = bundle["fn"]
        return self._function

    def _cell(self, message: dict[str, Any]) -> Callable[[Any], Any]:
        """What runs the cell of a bundle, and leaves the values that go back in a job of theirs."""
        environment, ((start, *_rest),) = message["environment"], message["blocks"]
        try:  # only a slot for cells needs IPython
            from jupyter_cluster.agent.output import Output
            from jupyter_cluster.agent.shell import CellRunner, Request

            if self._cells is None:
                self._cells = CellRunner(keeps_namespace=bool(environment.get("session")))
        except Exception as error:
            return _raiser(error)
        cells = self._cells
        use_modules(environment)

        def call(item: dict[str, Any]) -> Any:
            values = item.pop("values")
            output = Output(self._outbox.tell)
            try:
                reply, outs = cells.run(Request(**item), output)
            finally:
                self._in_task = False  # what follows is ours and not to be interrupted
                output.end()
            self._outbox.begin(values, 0)
            for _name, value in outs:
                self._outbox.add(Status.OK, value)
            self._outbox.flush()
            self._outbox.begin(message["job"], start)
            return reply

        return call

    def _run(self, call: Callable[[Any], Any], block: Block) -> None:
        """Run consecutive tasks; what is done for each costs as much as a short task itself.

        A coroutine that a function returns is run to its end, whatever kind of callable it is.
        """
        view, add = self._shared.view, self._outbox.add
        loads, now = pickle.loads, time.monotonic
        for index, item in enumerate(block.items(), block.start):
            if view[2]:
                break
            view[1] = now()
            view[0] = index
            status = Status.OK
            try:
                self._in_task = True
                value = call(loads(item))
                if type(value) is CoroutineType:
                    value = asyncio.run(value)
                self._in_task = False
            except Interrupted:
                self._in_task = False
                status, value = Status.CANCELLED, None
            except BaseException as error:
                self._in_task = False
                status, value = self._status_of(error), error
            add(status, value)
        view[0] = IDLE

    def _status_of(self, error: BaseException) -> Status:
        """Whether the options may have a task run again that has raised this."""
        try:
            is_retried = self._retried is None or isinstance(error, self._retried)
        except BaseException:  # a class of the user's decides what its instances are
            is_retried = False
        return Status.ERROR if is_retried else Status.FINAL


def _spread(function: Callable[..., Any]) -> Callable[[Any], Any]:
    """A call's arguments travel as one item."""

    def call(item: tuple[tuple[Any, ...], dict[str, Any]]) -> Any:
        args, kwargs = item
        return function(*args, **kwargs)

    return call


def _raiser(error: BaseException) -> Callable[..., Any]:
    def fail(*_args: Any, **_kwargs: Any) -> None:
        raise error

    return fail


def enter(environment: dict[str, Any]) -> None:
    """Make the process what the bundle's environment asks for: folder, modules, devices."""
    os.environ[IN_TASK] = "1"
    for name, value in environment.get("variables", {}).items():
        os.environ[name] = value
    folder = environment.get("folder")
    if folder and os.path.isdir(folder):
        os.chdir(folder)
    use_modules(environment)
    # The descriptors lead to the agent now. Lines appear there as they are printed, and survive
    # a crash.
    sys.stdout, sys.stderr = _line_by_line(1), _line_by_line(2)


def use_modules(environment: dict[str, Any]) -> None:
    """Import from the modules that came with a bundle, and no longer from those before.

    A session lives longer than an edit of the modules beside the notebook: those it has imported
    are forgotten, so that the next import finds the new ones.
    """
    wanted = environment.get("code_path") or ""
    before = [path for path in sys.path if path in _code_paths]
    if before == [wanted] or not (before or wanted):
        return
    for path in before:
        sys.path.remove(path)
        for name, module in list(sys.modules.items()):
            if (getattr(module, "__file__", None) or "").startswith(path + os.sep):
                del sys.modules[name]
    if wanted:
        _code_paths.add(wanted)
        sys.path.insert(0, wanted)
        importlib.invalidate_caches()


# Folders that `use_modules` has put on the path.
_code_paths: set[str] = set()


def _line_by_line(descriptor: int) -> TextIO:
    return os.fdopen(descriptor, "w", buffering=1, errors="backslashreplace", closefd=False)


def main(sock: socket.socket, shared: Shared, results: Path, environment: dict[str, Any]) -> None:
    """The life of a slot's process."""
    enter(environment)
    Runner(sock, shared, results).serve()
