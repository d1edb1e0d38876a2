"""A job as its user holds it: results in order or as they come, progress, the end."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from jupyter_cluster.client import arguments
from jupyter_cluster.client.channel import JobChannel
from jupyter_cluster.client.reading import Failure, forget, raise_first, values_of
from jupyter_cluster.described import repr_of
from jupyter_cluster.errors import UsageError
from jupyter_cluster.model import JobInfo, JobState

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

    from jupyter_cluster.client.cluster import Cluster
    from jupyter_cluster.client.progress import Progress


# How many results an iteration loads at a time.
_AT_ONCE = 200
# How many are fetched at a time where all are asked for.
_WINDOW = 5000


@dataclass(frozen=True, slots=True)
class Outcome:
    """How one task of a job ended.

    Attributes
    ----------
    index : int
        Its position among the inputs.
    error : BaseException or None
        What it raised; None where it returned.
    """

    index: int
    result: Any = None
    error: BaseException | None = None

    def __repr__(self) -> str:
        name, value = ("result", self.result) if self.error is None else ("error", self.error)
        return f"Outcome(index={self.index}, {name}={repr_of(value)})"

    @property
    def value(self) -> Any:
        """What it returned; raises what it raised."""
        if self.error is not None:
            raise self.error
        return self.result


class Job:
    """Tasks submitted together; lives on the head, whatever becomes of this process.

    Iterating gives the values in the order of the inputs, each as soon as it and those before it
    are there, and raises the exception of a task that raised one. Where reading the inputs failed,
    what was read before is run and delivered, and then that error is raised.
    """

    def __init__(self, cluster: Cluster, channel: JobChannel, name: str) -> None:
        self._cluster = cluster
        self._connection = cluster.connection
        self._channel = channel
        self.name = name
        self.feed_error: BaseException | None = None

    @property
    def id(self) -> str:
        """Its identity in the cluster."""
        return self._channel.job

    @property
    def info(self) -> JobInfo:
        """Counts, state and times, asked from the head now."""
        row = self.row()
        known = {name: row[name] for name in JobInfo.__dataclass_fields__}
        return JobInfo(**{**known, "state": JobState(row["state"])})

    def __repr__(self) -> str:
        # From what is known here: a repr must not fail because a head is away.
        known = self._channel.info.get("total", 0)
        total = max(known, len(self._channel.outcomes.states))
        return f"<Job {self.name!r}: {self.done} of {total} tasks have ended>"

    def row(self) -> dict[str, Any]:
        """The job as the status has it, asked from the head now."""
        row: dict[str, Any] = self._ask()
        return row

    # -- results ------------------------------------------------------------------------------

    def __iter__(self) -> Iterator[Any]:
        at = 0
        while (stop := self._ended_from(at)) > at:
            for value in self._values(at, stop):
                if type(value) is Failure:
                    raise value.error
                yield value
            at = stop

    def as_completed(self) -> Iterator[Outcome]:
        """How each task ended, in the order in which they end; each once, from the first on.

        It may be called again, also after the end; the results are then fetched again.
        """
        at = 0
        while ready := self._arrived_since(at):
            at += len(ready)
            for start, stop in ready:
                yield from self._outcomes(start, stop)

    def _arrived_since(self, at: int) -> list[tuple[int, int]]:
        """Ranges that ended after the first `at` of them, waited for; empty at the job's end."""
        arrivals = self._channel.outcomes.arrivals
        with self._connection.changed:
            self._connection.wait_until(
                lambda: len(arrivals) > at or self._all_ended(), None, "no more results"
            )
            if len(arrivals) == at:
                self._raise_feed_error()
            return arrivals[at:]

    def results(
        self, timeout: float | None = None, errors: Literal["raise", "return"] = "raise"
    ) -> list[Any]:
        """All values in the order of the inputs, waited for.

        Parameters
        ----------
        timeout
            Seconds; None waits for as long as it takes.
        errors
            ``raise`` raises the exception of the first task that raised one, after all have
            ended; ``return`` puts exceptions into the list in their place.

        Raises
        ------
        GetTimeoutError
            It did not end in time; it goes on.
        Exception
            What reading the inputs has raised, once all that was read before has ended: iterating
            or `as_completed` gives those results.
        """
        if errors not in ("raise", "return"):
            raise UsageError(f"errors must be 'raise' or 'return', not {arguments.shown(errors)}")
        values = self._all_values(timeout)
        if errors == "raise":
            raise_first(values)
        return [value.error if type(value) is Failure else value for value in values]

    def _all_values(self, timeout: float | None = None) -> list[Any]:
        """The values of all tasks, waited for; a `Failure` where a task has none."""
        self.wait(timeout)
        values: list[Any] = []
        for start in range(0, self.done, _WINDOW):
            values += self._values(start, min(start + _WINDOW, self.done))
        return values

    def wait(self, timeout: float | None = None) -> Job:
        """Wait until every task has ended.

        Raises
        ------
        GetTimeoutError
            They did not in time; they go on.
        """
        patience = arguments.patience(timeout)
        with self._connection.changed:
            self._connection.wait_until(
                self._all_ended, patience, f"job {self.name!r} has not ended"
            )
            self._raise_feed_error()
        return self

    def __await__(self) -> Generator[Any, None, list[Any]]:
        return self._wait().__await__()

    async def _wait(self) -> list[Any]:
        # What a task raised comes as a value: asyncio takes some exceptions for its own.
        values = await asyncio.to_thread(self._all_values)
        raise_first(values)
        return values

    def _values(self, start: int, stop: int) -> list[Any]:
        values = values_of(self._connection, self.id, start, stop, self.name)
        forget(self._connection, self.id, start, stop)
        return values

    def _outcomes(self, start: int, stop: int) -> Iterator[Outcome]:
        for index, value in enumerate(self._values(start, stop), start):
            if type(value) is Failure:
                yield Outcome(index, error=value.error)
            else:
                yield Outcome(index, value)

    def _ended_from(self, start: int) -> int:
        """Up to which task from `start` on all have ended, at least one; `start` at the end."""
        outcomes = self._channel.outcomes
        with self._connection.changed:
            self._connection.wait_until(
                lambda: outcomes.has_ended(start) or self._all_ended(), None, ""
            )
            if not outcomes.has_ended(start):
                self._raise_feed_error()
                return start
            return outcomes.ended_until(start, _AT_ONCE)

    def _all_ended(self) -> bool:
        self._channel.raise_if_refused()
        info = self._channel.info
        return bool(info.get("sealed")) and self._channel.outcomes.ended >= info["total"]

    def _raise_feed_error(self) -> None:
        if self.feed_error is not None:
            raise self.feed_error

    # -- progress -----------------------------------------------------------------------------

    @property
    def done(self) -> int:
        """How many tasks have ended, as far as is known here."""
        return self._channel.outcomes.ended

    @property
    def has_ended(self) -> bool:
        """Whether every task has ended, as far as is known here."""
        return self._all_ended()

    @property
    def total(self) -> int | None:
        """How many tasks there are, once all of them are submitted; None before."""
        info = self._channel.info
        return int(info["total"]) if info.get("sealed") else None

    def wait_for(self, predicate: Callable[[], bool], timeout: float) -> bool:
        """Wait at most so many seconds until something is so or all has ended; whether it is."""
        return self._connection.wait_for(lambda: predicate() or self._all_ended(), timeout)

    def progress(self, **options: Any) -> Progress:
        """A bar that follows the job; ``for value in job.progress()`` gives its values in order.

        Parameters
        ----------
        **options
            As for `tqdm.tqdm`: desc, leave, file, ncols, disable, …
        """
        from jupyter_cluster.client.progress import JobSource, Progress

        return Progress(JobSource(self, str(self.row()["unit"])), **options)

    def _ask(self, *what: str) -> Any:
        """What the head says of the job, which has been told of it by then."""
        with self._connection.changed:
            self._connection.wait_until(self._is_known, 30, "the head is silent")
        return self._cluster.endpoint.get(self._cluster.endpoint.job(self.id, *what))

    def _is_known(self) -> bool:
        self._channel.raise_if_refused()
        return bool(self._channel.info)

    def events(self) -> list[dict[str, Any]]:
        """The diary since the job began: ``t`` (seconds since then), ``kind`` and ``text``."""
        began = self.info.submitted
        return [
            {"t": event["time"] - began, "kind": event["kind"], "text": event["text"]}
            for event in self._cluster.events()
            if event["time"] >= began
        ]

    def throughput(self) -> list[dict[str, Any]]:
        """One row a second: ``t`` (seconds since the job began), ``<unit>s_per_second``, ``done``,
        ``queued``, ``nodes``, ``slots``."""
        series: list[dict[str, Any]] = self._ask("series")
        return series

    def plot(self, *parts: str) -> Figure:
        """The job as a figure that stands alone.

        Parameters
        ----------
        *parts
            Of ``rate`` (with nodes and decisions), ``queue``, ``cost`` (of the cluster, since the
            job began), ``nodes`` (their stages) and ``durations`` (of tasks); all by default.

        Raises
        ------
        UsageError
            There is no such part, or plotly is not installed.
        """
        from jupyter_cluster.charts.history_figure import checked_parts, history_figure
        from jupyter_cluster.client.history import of_job

        chosen = checked_parts(parts)
        return history_figure(of_job(self._cluster.endpoint, self.id), chosen)

    # -- ending -------------------------------------------------------------------------------

    def cancel(self) -> None:
        """End all tasks that have not ended; those that run stop within a second.

        Results that are there stay. A job that is still being fed takes no more items. A job that
        has ended, or was cancelled or deleted before, is left as it is.
        """
        self._connection.send(op="cancel", job=self.id, ranges=None)
        channel = self._channel
        with self._connection.changed:
            self._connection.wait_until(
                lambda: (
                    bool(channel.problem)
                    or channel.info.get("state", JobState.RUNNING) != JobState.RUNNING
                ),
                10,
                f"job {self.name!r} was not cancelled",
            )

    def delete(self) -> None:
        """Forget the job and its results, on the head too; what runs of it is stopped."""
        with self._connection.changed:
            self._connection.forget(self._channel)
            self._channel.refuse(f"job {self.name!r} was deleted")
            self._connection.changed.notify_all()
        self._connection.send(op="delete", job=self.id)
