"""What runs in a slot's process: user code, and nothing else of ours than this loop.

The loop takes bundles from the agent, calls the function for each task and hands the results to
the outbox. It imports neither Dask nor the agent.
"""

from __future__ import annotations

import asyncio
import builtins
import importlib
import os
import signal
import sys
import types
from collections.abc import Callable
from pathlib import Path
from pickle import loads  # by its name: user code may patch the module
from sys import gettrace, settrace
from time import monotonic
from types import CoroutineType, FrameType
from typing import TYPE_CHECKING, Any

from jupyter_cluster.agent.forked import leave_if_forked, own_this_process
from jupyter_cluster.agent.frames import Connection, ProtocolError
from jupyter_cluster.agent.outbox import Outbox
from jupyter_cluster.agent.shared import IDLE, STARTING, Interrupted, Shared
from jupyter_cluster.codec import resolving
from jupyter_cluster.wire import IN_TASK, Block, Retried, Status

if TYPE_CHECKING:
    from jupyter_cluster.agent.shell import CellRunner

# How the process ends when its connection to the agent was closed or written to by user code.
CONNECTION_LOST = 117


class Runner:
    """Runs bundles, one after another, until the agent closes the connection."""

    def __init__(self, connection: Connection, shared: Shared, results: Path) -> None:
        self._connection = connection
        self._shared = shared
        self._outbox = Outbox(connection, results)
        self._function: Callable[..., Any] | None = None
        self._function_id = ""
        self._retried: tuple[type[BaseException], ...] | None = None
        self._pid = os.getpid()
        self._in_task = False
        self._cells: CellRunner | None = None
        signal.signal(signal.SIGINT, self._on_interrupt)

    def serve(self) -> None:
        """Until the agent is gone.

        Raises
        ------
        ConnectionError
            The connection is not what it was.
        """
        self._shared.view[3] = 1.0
        try:
            first = self._connection.receive()
            if first is None:
                return  # it was forked in advance, and not needed
            enter(first["environment"])
            while (message := self._connection.receive()) is not None:
                self._shared.view[0] = STARTING
                self._serve(message, _read_blocks(message))
        except (OSError, ProtocolError) as error:
            raise ConnectionError(str(error)) from error

    def _serve(self, message: dict[str, Any], blocks: list[Block]) -> None:
        """Run a bundle."""
        if message["kind"] == "cell":
            call: Callable[[Any], Any] = self._cell(message)
        elif message["kind"] == "calls":
            call = _spread(self._load(message))
        else:
            call = self._load(message)
        for block in blocks:
            self._outbox.begin(message["job"], block.start)
            with resolving(message["refs"]):
                self._run(call, block)
            self._outbox.flush()
        self._shared.view[0] = IDLE
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
                function, self._retried = loads(bundle["code"]), None
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
        view, add, getpid, slot = self._shared.view, self._outbox.add, os.getpid, self._pid
        for index, item in enumerate(block.items(), block.start):
            if view[2]:
                break
            view[1] = monotonic()
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
                leave_if_forked(error)
                status, value = self._status_of(error), error
            if getpid() != slot:
                leave_if_forked(None)
            if gettrace() is not None:  # a tracer of the task's would be called in our loop
                settrace(None)
            add(status, value)
        view[0] = STARTING

    def _status_of(self, error: BaseException) -> Status:
        """Whether the options may have a task run again that has raised this."""
        try:
            is_retried = self._retried is None or isinstance(error, self._retried)
        except BaseException:  # a class of the user's decides what its instances are
            is_retried = False
        return Status.ERROR if is_retried else Status.FINAL


_FORM: dict[str, type] = {"kind": str, "job": str, "fn": str, "refs": dict, "blocks": list}


def _read_blocks(message: Any) -> list[Block]:
    """The inputs of a bundle.

    Raises
    ------
    ProtocolError
        The message is no bundle.
    """
    if not isinstance(message, dict):
        raise ProtocolError("a message that is no bundle")
    for name, kind in _FORM.items():
        if not isinstance(message.get(name), kind):
            raise ProtocolError(f"a bundle without its {name}")
    if not all(isinstance(path, str) for path in message["refs"].values()):
        raise ProtocolError("a bundle whose refs are no files")
    if message["kind"] == "cell" and not _is_one_cell(message):
        raise ProtocolError("a cell without its environment")
    try:
        return [Block.unpack(packed) for packed in message["blocks"]]
    except ValueError as error:
        raise ProtocolError(str(error)) from None


def _is_one_cell(message: dict[str, Any]) -> bool:
    return isinstance(message.get("environment"), dict) and len(message["blocks"]) == 1


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
    # A program of the user's has no arguments and a main module of its own, not the zygote's.
    sys.argv = [""]
    sys.modules["__main__"] = types.ModuleType("__main__")
    sys.modules["__main__"].__dict__["__builtins__"] = builtins
    # The descriptors lead to the agent now. Lines appear there as they are printed, and survive
    # a crash.
    for name, descriptor in (("stdout", 1), ("stderr", 2)):
        stream = os.fdopen(descriptor, "w", buffering=1, errors="backslashreplace", closefd=False)
        setattr(sys, name, stream)
        setattr(sys, f"__{name}__", stream)
    folder = environment.get("folder")
    if folder and os.path.isdir(folder):
        try:
            os.chdir(folder)
        except OSError as error:
            print(f"the folder {folder} cannot be entered: {error.strerror}", file=sys.stderr)
    use_modules(environment)


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


def main(connection: Connection, shared: Shared, results: Path) -> None:
    """The life of a slot's process.

    Raises
    ------
    ConnectionError
        User code has closed the connection, or something else was written to it.
    """
    own_this_process()
    Runner(connection, shared, results).serve()
