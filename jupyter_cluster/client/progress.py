"""Bars that follow work on the cluster: tqdm's, with its options, fed by what the head reports."""

from __future__ import annotations

import io
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from html import escape
from typing import TYPE_CHECKING, Any, Protocol

from IPython import get_ipython
from IPython.display import display
from tqdm.std import tqdm

from jupyter_cluster.client import arguments
from jupyter_cluster.described import sentence_of
from jupyter_cluster.errors import ClusterError
from jupyter_cluster.formats import format_seconds, printable_line
from jupyter_cluster.wire import Status

if TYPE_CHECKING:
    from jupyter_cluster.client.job import Job
    from jupyter_cluster.client.refs import Ref

# How often a bar looks; and how often it asks the head for failures, which is a request each.
LOOK_SECONDS, ASK_SECONDS = 0.1, 1.0
FAILED_COLOUR = "red"
_GOOD = frozenset({Status.OK, Status.STORED})


class Source(Protocol):
    """What a bar follows.

    Attributes
    ----------
    name, unit : str
        What it is, and what one item is.
    """

    name: str
    unit: str

    @property
    def total(self) -> int | None:
        """How many items there are; None while nobody knows."""

    @property
    def ended(self) -> int:
        """How many have ended, well or not."""

    @property
    def is_over(self) -> bool:
        """Whether nothing more is to end."""

    def failed(self) -> int:
        """How many have failed."""

    def wait(self, predicate: Callable[[], bool], timeout: float) -> bool:
        """Wait until something is so; whether it is."""

    def items(self) -> Iterator[Any]:
        """What iterating over it gives, each as it comes."""


class Progress(tqdm):  # type: ignore[misc]
    """A bar that follows a job or refs until all has ended; made by `job.progress`, `jc.progress`.

    Iterating over it gives what iterating over the job gives, or the refs as they end. As the last
    expression of a cell it waits, as `wait` does elsewhere. It turns red with the first failure and
    leaves a line of text.
    """

    def __init__(self, source: Source, **options: Any) -> None:
        self._source = source
        self._failed = 0
        self._handle: Any = None
        self._final = options.pop("leave", True)
        if _has_kernel():  # drawn by `display` below, nothing is written
            options |= {"gui": True, "file": io.StringIO()}
        chosen = {
            "desc": printable_line(source.name),
            "unit": printable_line(source.unit),
            "total": source.total,
            **options,
        }
        super().__init__(leave=False, **chosen)

    def wait(self, timeout: float | None = None) -> Progress:
        """Wait until all has ended; after `timeout` seconds return all the same."""
        patience = arguments.patience(timeout)
        deadline = None if patience is None else time.monotonic() + patience
        with self:
            while not self._source.is_over and (deadline is None or time.monotonic() < deadline):
                self._follow()
        return self

    def __iter__(self) -> Iterator[Any]:
        with self:
            for item in self._source.items():
                self._look()
                yield item

    def _ipython_display_(self) -> None:
        self.wait()

    # -- following --------------------------------------------------------------------------

    def _follow(self) -> None:
        before = self._source.ended
        self._source.wait(lambda: self._source.ended > before or self._source.is_over, LOOK_SECONDS)
        self._look()

    def _look(self) -> None:
        self.total: int | None = self._source.total
        self._note_failures(self._source.failed())
        self.update(self._source.ended - self.n)

    def _note_failures(self, failed: int) -> None:
        if failed and failed != self._failed:
            self._failed, self.colour = failed, FAILED_COLOUR
            self.set_postfix_str(f"{failed:,} failed", refresh=False)

    def __exit__(self, kind: Any, error: Any, trace: Any) -> None:
        if not self.disable:
            self._finish(error)
        super().__exit__(kind, error, trace)

    def _finish(self, error: BaseException | None) -> None:
        try:
            self._look()
        except (ClusterError, KeyboardInterrupt) as problem:  # what is known is said all the same
            error = problem if error is None else error
        line = self._last_line(error)
        if self.gui:
            self._handle_of().update(_bundle(line, f"<div>{escape(line)}</div>"), raw=True)
        super().close()
        if self._final and not self.gui:
            self.fp.write(line + "\n")
            self.fp.flush()

    def _last_line(self, error: BaseException | None) -> str:
        took = self.format_dict["elapsed"]
        parts = [f"{self.n:,} of {self.total:,}" if self.total else f"{self.n:,}"]
        parts[0] += f" {self.unit}s"
        parts += [f"{self._failed:,} failed"] if self._failed else []
        parts += [f"in {format_seconds(took)}"]
        parts += [f"{self.n / took:,.3g} {self.unit}s/s"] if took and self.n else []
        if isinstance(error, KeyboardInterrupt):
            parts.append("no longer watched, the work goes on")
        elif error is not None and not self._failed:
            parts.append(sentence_of(error))
        mark = "✗" if error is not None or self._failed else "✓"
        return f"{mark} {printable_line(self._source.name)}: {', '.join(parts)}"

    # -- in a notebook ----------------------------------------------------------------------

    def display(self, *args: Any, **kwargs: Any) -> None:
        """Draw the bar: in a notebook as one output that is changed in place."""
        if not self.gui:
            super().display(*args, **kwargs)
            return
        form = {**self.format_dict, "bar_format": "{l_bar}<bar/>{r_bar}", "ncols": None}
        left, _, right = self.format_meter(**form).partition("<bar/>")
        left, right = escape(left.rstrip("|")), escape(right.lstrip("|"))
        colour = "#dc2626" if self._failed else "#3b82f6"
        value = f'value="{self.n}" max="{self.total}"' if self.total else ""
        html = (
            f'<div style="font-variant-numeric: tabular-nums">{left} <progress {value}'
            f' style="width: 16em; accent-color: {colour}"></progress> {right}</div>'
        )
        text = self.format_meter(**{**self.format_dict, "ncols": 80})
        self._handle_of().update(_bundle(text, html), raw=True)

    def _handle_of(self) -> Any:
        if self._handle is None:
            self._handle = display(_bundle(self.desc, ""), raw=True, display_id=True)
        return self._handle


def _bundle(text: str, html: str) -> dict[str, str]:
    return {"text/plain": text, "text/html": html}


def _has_kernel() -> bool:
    return getattr(get_ipython(), "kernel", None) is not None


# -- what there is to follow --------------------------------------------------------------------


class JobSource:
    """A job; what it counts is asked from the head, at most once a second."""

    def __init__(self, job: Job, unit: str) -> None:
        self.name, self.unit = job.name, unit
        self._job = job
        self._failed, self._asked = 0, 0.0
        self._ended_when_asked = -1

    @property
    def total(self) -> int | None:
        """How many tasks it has, once all of them are submitted."""
        return self._job.total

    @property
    def ended(self) -> int:
        """How many tasks have ended."""
        return self._job.done

    @property
    def is_over(self) -> bool:
        """Whether all of them have."""
        return self._job.has_ended

    def failed(self) -> int:
        """How many have failed."""
        is_over = self.is_over
        is_news = self.ended != self._ended_when_asked
        if is_news and (is_over or time.monotonic() - self._asked >= ASK_SECONDS):
            self._asked, self._ended_when_asked = time.monotonic(), self.ended
            self._failed = int(self._job.row()["failed"])
        return self._failed

    def wait(self, predicate: Callable[[], bool], timeout: float) -> bool:
        """Wait until something is so; whether it is."""
        return self._job.wait_for(predicate, timeout)

    def items(self) -> Iterator[Any]:
        """Its values, in the order of its inputs."""
        return iter(self._job)


class RefsSource:
    """Refs, of one call each."""

    def __init__(self, refs: Sequence[Ref]) -> None:
        names = {ref.name for ref in refs}
        self.name, self.unit = names.pop() if len(names) == 1 else "calls", "call"
        self._refs = refs
        self._pending = list(refs)
        self._failed = 0
        self._found: list[Ref] = []

    @property
    def total(self) -> int:
        """How many there are."""
        return len(self._refs)

    @property
    def ended(self) -> int:
        """How many are ready."""
        self._sort()
        return len(self._refs) - len(self._pending)

    @property
    def is_over(self) -> bool:
        """Whether all are."""
        return self.ended == len(self._refs)

    def failed(self) -> int:
        """How many of them are known to have failed."""
        return self._failed

    def wait(self, predicate: Callable[[], bool], timeout: float) -> bool:
        """Wait until something is so; whether it is."""
        pending = self._pending or self._refs  # of several clusters the one that is awaited
        return pending[0]._connection.wait_for(predicate, timeout) if pending else True

    def items(self) -> Iterator[Ref]:
        """The refs, as they end."""
        at = 0
        while at < len(self._refs):
            self.wait(partial(self._is_past, at), LOOK_SECONDS)
            yield from self._found[at:]
            at = len(self._found)

    def _is_past(self, count: int) -> bool:
        return self.ended > count

    def _sort(self) -> None:
        """Take those that have ended from those that have not."""
        still: list[Ref] = []
        for ref in self._pending:
            channel = ref._connection.channels.get(ref.job)
            if channel is not None and not channel.has_ended(ref.index):
                still.append(ref)
                continue
            self._found.append(ref)
            if channel is None or not channel.outcomes.has_ended(ref.index):
                self._failed += 1  # its job was deleted or refused
                continue
            outcomes = channel.outcomes
            if outcomes.is_here(ref.index):
                [(statuses, _, _)] = outcomes.find(ref.index, ref.index + 1)
                self._failed += statuses[0] not in _GOOD
        self._pending = still


def progress(refs: Sequence[Ref], **options: Any) -> Progress:
    """A bar that follows refs; ``for ref in jc.progress(refs)`` gives them as they end.

    Parameters
    ----------
    refs
        What `.remote()` has returned.
    **options
        As for `tqdm.tqdm`: desc, leave, file, ncols, disable, …

    Raises
    ------
    UsageError
        These are not refs.
    """
    listed = arguments.refs("progress", refs, "; of a job, job.progress()")
    return Progress(RefsSource(listed), **options)
