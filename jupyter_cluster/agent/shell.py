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
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from IPython.core.async_helpers import get_asyncio_loop
from IPython.core.autocall import ExitAutocall
from IPython.core.displayhook import DisplayHook
from IPython.core.displaypub import DisplayPublisher
from IPython.core.interactiveshell import ExecutionResult, InteractiveShell
from traitlets.config import Config

from jupyter_cluster import codec
from jupyter_cluster.agent.forked import leave_if_forked
from jupyter_cluster.agent.output import Output, Stream
from jupyter_cluster.agent.shared import Interrupted
from jupyter_cluster.agent.started import Started
from jupyter_cluster.agent.widgets import COPY, PICTURE, VIEW, Pictures, picture_of
from jupyter_cluster.codec import PLAIN, Bounded, Pickler
from jupyter_cluster.described import LIMIT, class_name, repr_of, shortened, text_of
from jupyter_cluster.raised import can_be_looked_at, traceback_of
from jupyter_cluster.tracebacks import trim

# The value of a last expression travels with the cell up to this size; of a larger one only what
# is shown. People end a cell with a table of a gigabyte to see its first rows.
VALUE_BYTES = 10_000_000
_ABSENT = object()
_NO_INPUT = (
    "a cell that runs on the cluster cannot ask for input: ask in a cell of the notebook and use"
    " the variable here"
)
_LEFT = "exit() has ended this cell; a session is ended by `%cluster sessions --end NAME`"


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
    pictures: Pictures | None = None
    kept: Shown | None = None

    def begin(self, output: Output) -> None:
        """Displays are of a cell from now on."""
        self.output = output
        self.pictures = Pictures(
            output.display, lambda text: output.add({"type": "note", "text": text})
        )

    def end(self) -> None:
        """The cell has ended; its widgets stay as they look now."""
        if self.pictures is not None and self.output is not None and self.output.is_ours:
            self.pictures.end()
        self.output = self.pictures = None

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
        if self.kept is not None:
            self.kept = (data, metadata or {})
            return
        event = {
            "type": "display",
            "data": data,
            "metadata": metadata or {},
            "transient": transient or {},
            "update": update,
        }
        if VIEW in data and self.pictures is not None:
            self.pictures.show(event)
        else:
            self.output.display(event)

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
        if isinstance(result, ExitAutocall):
            result()
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
        if error is None:
            return
        trim(error)
        self.rendered = None
        if type(error) is SystemExit:
            self.rendered = [f"SystemExit: {text_of(error)}"]
        elif can_be_looked_at(error) and not isinstance(error, BaseExceptionGroup):
            with contextlib.suppress(Exception):  # e.g. of a chain that goes in a circle
                super().showtraceback(*args, **options)
        if self.rendered is None:
            self.rendered = traceback_of(error).splitlines()

    def ask_exit(self) -> None:
        """What `exit()` and `quit()` come to: there is no kernel to leave."""
        raise SystemExit(_LEFT)


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
        self._started = Started() if keeps_namespace else None
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
        warnings.filterwarnings("ignore", "To exit: use 'exit'")  # IPython's, to whoever raises

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
            error, reply, outs = self._outcome(request, output)
        if error is not None:  # not within: `contextlib` assigns to it, and it may refuse
            raise error
        return reply, outs

    def _outcome(
        self, request: Request, output: Output
    ) -> tuple[BaseException | None, Any, list[tuple[str, Any]]]:
        """What the cell has raised, or its reply and the values that go back."""
        try:
            self._load(request, output)
        except BaseException as problem:
            return problem, None, []
        if self._started is not None:
            self._started.begin()
        result = self._execute(request)
        error = result.error_in_exec
        if result.error_before_exec is not None:
            error = result.error_before_exec
        leave_if_forked(error)
        if type(error) is Interrupted:
            _cancel_coroutines()
            if self._started is not None:
                self._started.end_all()
            return error, None, []
        outs: list[tuple[str, Any]] = []
        if error is None:
            try:
                outs = [(name, self._shell.user_ns[name]) for name in request.outs]
            except KeyError as missing:
                error = MissingNameError(f"the cell has no variable {missing} to bring back")
                self._shell.rendered = [f"NameError: {error}"]
        if error is not None:
            self._report(error, output)
            return error, None, []
        return None, {"value": self._last_value(output)}, outs

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
        self._shell.display_pub.begin(output)
        try:
            yield
        finally:
            self._shell.display_pub.end()
            ctypes.CDLL(None).fflush(None)  # what libraries have printed with C's printf
            sys.stdout, sys.stderr = before
            for stream in self._streams:
                stream.output = None

    def _load(self, request: Request, output: Output) -> None:
        """Bring in the names that came with the cell; a session keeps what it has made its own."""
        for file, number, text in request.sources:  # tracebacks show lines of them
            linecache.cache[file] = (len(text), None, text.splitlines(keepends=True), file)
            self._shell.compile._filename_map[file] = number
        here = self._shell.user_ns
        before = dict(here)
        with codec.IntoNamespace(here):
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
        name, message = class_name(error), text_of(error)
        lines = self._shell.rendered or [f"{name}: {message}"]
        lines = [shortened(line, LIMIT) for line in lines]
        output.add({"type": "error", "name": name, "message": message, "traceback": lines})

    def _last_value(self, output: Output) -> bytes | None:
        """The value of the last expression, pickled; what it looks like goes to `output`."""
        values = self._shell.displayhook.values
        if not values:
            return None
        value = values[-1]
        data = _pickled(value)
        if data is None or not any(type(value) is kind for kind in PLAIN):
            shown, metadata = self._looks_of(value)
            if VIEW in shown:
                shown = picture_of(shown)
                output.add({"type": "note", "text": PICTURE if data is None else COPY})
            output.add({"type": "result", "data": shown, "metadata": metadata})
        return data

    def _looks_of(self, value: Any) -> Shown:
        """What a value looks like, without showing it: some types display themselves."""
        publisher = self._shell.display_pub
        publisher.kept = ({}, {})
        try:
            shown, metadata = self._shell.display_formatter.format(value)
            shown, metadata = (shown, metadata) if shown else publisher.kept
            return shown or {"text/plain": repr_of(value)}, metadata
        except Interrupted:
            raise
        except BaseException:  # e.g. a repr that raises SystemExit
            return {"text/plain": repr_of(value)}, {}
        finally:
            publisher.kept = None


def _pickled(value: Any) -> bytes | None:
    """A value as bytes; None where it cannot travel, or is too large to do so unasked."""
    buffer = Bounded(VALUE_BYTES)
    try:
        Pickler(buffer).dump_one(value)
    except Interrupted:
        raise
    except BaseException:
        return None
    return buffer.getvalue()


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
