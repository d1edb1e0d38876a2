"""The IPython shell in which a slot runs cells, so that they behave as people are used to.

Imported when a slot gets its first cell: other tasks need nothing of it.
"""

from __future__ import annotations

import asyncio
import builtins
import contextlib
import ctypes
import gc
import linecache
import os
import sys
import traceback
from collections.abc import Iterator
from dataclasses import dataclass
from io import BytesIO
from typing import Any

from IPython.core.async_helpers import get_asyncio_loop
from IPython.core.displayhook import DisplayHook
from IPython.core.displaypub import DisplayPublisher
from IPython.core.interactiveshell import ExecutionResult, InteractiveShell
from traitlets.config import Config

from jupyter_cluster import codec
from jupyter_cluster.agent.output import Output, Stream
from jupyter_cluster.agent.shared import Interrupted
from jupyter_cluster.codec import PLAIN, Pickler
from jupyter_cluster.tracebacks import without_ours

# The value of a last expression travels with the cell up to this size; of a larger one only what
# is shown. People end a cell with a table of a gigabyte to see its first rows.
VALUE_BYTES = 10_000_000
# Models of widgets live where they were made: a view of one would find nothing in the notebook.
_WIDGET = "application/vnd.jupyter.widget-view+json"
_ABSENT = object()
_NO_INPUT = (
    "a cell that runs on the cluster cannot ask for input: ask in a cell of the notebook and use"
    " the variable here"
)


@dataclass(frozen=True)
class Request:
    """A cell as it was sent.

    Attributes
    ----------
    source : str
        Python, transformed by IPython, with as many lines before it as in the notebook.
    raw : str
        What its author wrote, the line of the magic included.
    number : int
        The number in ``In[…]``.
    names : bytes
        Pickled pairs of name and value, see `codec.dump_names`.
    pushed : tuple of str
        Names that replace what the session has under them.
    outs : tuple of str
        Names whose values go back.
    is_quiet : bool
        It ends with a semicolon: its last expression is not shown.
    colors : str
        Of tracebacks, as IPython calls them.
    sources : tuple of (str, int, str)
        File, number and text of the notebook's cells that functions among the names are from.
    """

    source: str
    raw: str
    number: int
    names: bytes
    pushed: tuple[str, ...] = ()
    outs: tuple[str, ...] = ()
    is_quiet: bool = False
    colors: str = "nocolor"
    sources: tuple[tuple[str, int, str], ...] = ()


class MissingNameError(NameError):
    """A name that is to go back was not there when the cell had ended."""


# What something looks like, by MIME type, and metadata of that.
Shown = tuple[dict[str, Any], dict[str, Any]]


class _Publisher(DisplayPublisher):  # type: ignore[misc]
    """Sends what is displayed to the notebook."""

    output: Output | None = None
    kept: Shown | None = None

    def publish(
        self,
        data: dict[str, Any],
        metadata: dict[str, Any] | None = None,
        *_source: Any,
        transient: dict[str, Any] | None = None,
        update: bool = False,
        **_more: Any,
    ) -> None:
        if self.output is None or not self.output.is_ours:
            return
        shown = {mime: value for mime, value in data.items() if mime != _WIDGET}
        if self.kept is not None:
            self.kept = (shown, metadata or {})
            return
        self.output.display(
            {
                "type": "display",
                "data": shown,
                "metadata": metadata or {},
                "transient": transient or {},
                "update": update,
            }
        )

    def clear_output(self, wait: bool = False) -> None:
        if self.output is not None:
            self.output.clear(wait)


class _Hook(DisplayHook):  # type: ignore[misc]
    """Keeps the value of the last expression instead of printing it."""

    is_quiet = False

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.values: list[Any] = []

    def flush(self) -> None:
        """Let the last values go; IPython's own collects all garbage too, which takes longer than
        most cells do: `CellRunner.tidy` does that when nobody waits."""
        self._ = self.__ = self.___ = ""

    def __call__(self, result: Any = None) -> None:
        self.check_for_underscore()
        if result is not None and not self.is_quiet:
            self.update_user_ns(result)
            self.fill_exec_result(result)
            self.values.append(result)


class SlotShell(InteractiveShell):  # type: ignore[misc]
    """IPython without a terminal, a history or a kernel."""

    rendered: list[str] | None = None

    def enable_gui(self, gui: Any = None) -> None:
        """There is no screen."""

    def init_virtualenv(self) -> None:
        """The slot runs in the node's environment, whatever the shell's variables say."""

    def _showtraceback(self, _type: Any, _value: Any, lines: list[str]) -> None:
        self.rendered = lines

    def show_usage_error(self, error: Any) -> None:
        self.rendered = [f"UsageError: {error}"]

    def showtraceback(self, *args: Any, **options: Any) -> None:
        error = sys.exc_info()[1]
        if error is not None:
            error.__traceback__ = without_ours(error.__traceback__)
        if isinstance(error, BaseExceptionGroup):  # IPython prints these by itself
            self.rendered = "".join(traceback.format_exception(error)).splitlines()
        else:
            super().showtraceback(*args, **options)


class CellRunner:
    """Runs one cell after another; each begins with an empty namespace, except in a session.

    Parameters
    ----------
    keeps_namespace
        Whether this slot belongs to a session.
    """

    def __init__(self, keeps_namespace: bool) -> None:
        self._keeps = keeps_namespace
        self._sent: dict[str, Any] = {}
        self._said: set[str] = set()
        self._folder = os.getcwd()
        # Pictures of matplotlib and plotly come as such; a figure of plotly without its library.
        os.environ.setdefault("MPLBACKEND", "module://matplotlib_inline.backend_inline")
        os.environ.setdefault("PLOTLY_RENDERER", "plotly_mimetype")
        config = Config()
        config.HistoryManager.enabled = False
        config.HistoryManager.hist_file = ":memory:"
        SlotShell.display_pub_class = _Publisher
        SlotShell.displayhook_class = _Hook
        self._shell: Any = SlotShell.instance(config=config)
        self._streams = Stream("stdout", 1), Stream("stderr", 2)
        builtins.input = _refuse_input

    def run(self, request: Request, output: Output) -> tuple[Any, list[tuple[str, Any]]]:
        """Run a cell; what it prints and displays goes to `output`.

        Returns
        -------
        tuple
            The reply (a mapping with ``value``: the pickled value of the last expression, or None
            where there is none or it cannot travel), and the values that go back, by name.

        Raises
        ------
        BaseException
            What the cell raised, of which `output` has the rendered traceback.
        """
        with self._showing(output):
            self._load(request, output)
            result = self._execute(request)
            error = result.error_before_exec or result.error_in_exec
            if isinstance(error, Interrupted):
                _cancel_coroutines()
                raise error
            if error is None:
                try:
                    outs = [(name, self._shell.user_ns[name]) for name in request.outs]
                except KeyError as missing:
                    error = MissingNameError(f"the cell has no variable {missing} to bring back")
                    self._shell.rendered = [f"NameError: {error}"]
            if error is not None:
                self._report(error, output)
                raise error
            return {"value": self._last_value(output)}, outs

    def tidy(self) -> None:
        """Let go of what the last cell has left, once its reply is on its way."""
        self._shell.displayhook.values = []
        self._shell.rendered = None
        if not self._keeps:
            self._shell.reset(new_session=False)
            self._sent.clear()
            os.chdir(self._folder)
        gc.collect()

    @contextlib.contextmanager
    def _showing(self, output: Output) -> Iterator[None]:
        before = sys.stdout, sys.stderr
        sys.stdout, sys.stderr = self._streams
        for stream in self._streams:
            stream.output = output
        self._shell.display_pub.output = output
        try:
            yield
        finally:
            ctypes.CDLL(None).fflush(None)  # what libraries have printed with C's printf
            sys.stdout, sys.stderr = before
            for stream in self._streams:
                stream.output = None
            self._shell.display_pub.output = None

    def _load(self, request: Request, output: Output) -> None:
        """Bring in the names that came with the cell; a session keeps what it has made its own."""
        for file, number, text in request.sources:  # tracebacks show lines of them
            linecache.cache[file] = (len(text), None, text.splitlines(keepends=True), file)
            self._shell.compile._filename_map[file] = number
        here = self._shell.user_ns
        before = dict(here)
        with codec.into_namespace(here):
            here.update(codec.load_names(request.names))
        came = {name for name, value in here.items() if before.get(name, _ABSENT) is not value}
        if self._keeps:
            own = {
                name
                for name in came & before.keys() - set(request.pushed)
                if before[name] is not self._sent.get(name, _ABSENT)
            }
            here.update({name: before[name] for name in own})
            self._say_kept(sorted(own - self._said), output)
            came -= own
        self._sent.update({name: here[name] for name in came})

    def _say_kept(self, names: list[str], output: Output) -> None:
        if names:
            self._said.update(names)
            listed, option = ", ".join(names), ",".join(names)
            text = f"[the session keeps its own {listed}; --push {option} replaces it]"
            output.add({"type": "note", "text": text})

    def _execute(self, request: Request) -> ExecutionResult:
        shell = self._shell
        shell.execution_count = request.number
        shell.displayhook.is_quiet = request.is_quiet
        if shell.colors != request.colors:
            with contextlib.suppress(Exception):  # another version of IPython may not have it
                shell.colors = request.colors
        coroutine = shell.run_cell_async(
            request.raw, store_history=False, transformed_cell=request.source
        )
        is_async = shell.should_run_async(request.raw, transformed_cell=request.source)
        try:
            result = shell.loop_runner(coroutine) if is_async else _run_at_once(coroutine)
        finally:
            shell.events.trigger("post_execute")  # draws the figures of matplotlib
        return result

    def _report(self, error: BaseException, output: Output) -> None:
        rendered = self._shell.rendered
        lines = rendered or traceback.format_exception_only(type(error), error)
        name, message = type(error).__name__, str(error)
        output.add({"type": "error", "name": name, "message": message, "traceback": lines})

    def _last_value(self, output: Output) -> bytes | None:
        """The value of the last expression, pickled; what it looks like goes to `output`."""
        values = self._shell.displayhook.values
        if not values:
            return None
        value = values[-1]
        data = _pickled(value)
        if data is None or type(value) not in PLAIN:
            shown, metadata = self._looks_of(value)
            output.add({"type": "result", "data": shown, "metadata": metadata})
        return data

    def _looks_of(self, value: Any) -> Shown:
        """What a value looks like, without showing it: some types display themselves."""
        publisher = self._shell.display_pub
        publisher.kept = ({}, {})
        try:
            shown, metadata = self._shell.display_formatter.format(value)
            shown.pop(_WIDGET, None)
            return (shown, metadata) if shown else publisher.kept
        finally:
            publisher.kept = None


def _pickled(value: Any) -> bytes | None:
    """A value as bytes; None where it cannot travel, or is too large to do so unasked."""
    buffer = _Bounded()
    try:
        Pickler(buffer).dump_one(value)
    except Exception:
        return None
    return buffer.getvalue()


class _Bounded(BytesIO):
    """A file that refuses to grow beyond what a last expression may bring."""

    def write(self, data: Any) -> int:
        if self.tell() + len(data) > VALUE_BYTES:
            raise OverflowError
        return super().write(data)


def _run_at_once(coroutine: Any) -> Any:
    """Run a coroutine that awaits nothing, without an event loop."""
    try:
        coroutine.send(None)
    except StopIteration as end:
        return end.value
    raise RuntimeError("the cell awaits something outside an event loop")


def _cancel_coroutines() -> None:
    """What an interrupted cell was awaiting must not go on in the next one."""
    loop = get_asyncio_loop()
    if tasks := asyncio.all_tasks(loop):
        for task in tasks:
            task.cancel()
        loop.run_until_complete(asyncio.gather(*tasks, return_exceptions=True))


def _refuse_input(_prompt: object = "") -> str:
    raise EOFError(_NO_INPUT)
