"""A job as its user holds it: results in order or as they come, progress, the end."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Generator, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from jupyter_cluster.client.connection import JobChannel
from jupyter_cluster.client.refs import Failure, outcome_of
from jupyter_cluster.errors import JobError
from jupyter_cluster.model import JobInfo, JobState

if TYPE_CHECKING:
    from jupyter_cluster.client.cluster import Cluster


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

    @property
    def value(self) -> Any:
        """What it returned; raises what it raised."""
        if self.error is not None:
            raise self.error
        return self.result


class Job:
    """Tasks submitted together; lives on the head, whatever becomes of this process.

    Iterating gives the values in the order of the inputs, each as soon as it and those before it
    are there, and raises the exception of a task that raised one.
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
        row = self._cluster.endpoint.get(self._cluster.endpoint.job(self.id))
        known = {name: row[name] for name in JobInfo.__dataclass_fields__}
        return JobInfo(**{**known, "state": JobState(row["state"])})

    def __repr__(self) -> str:
        info = self.info
        failed = f", {info.failed} failed" if info.failed else ""
        return f"<Job {self.name!r} {info.state}: {info.done} of {info.total} done{failed}>"

    # -- results ------------------------------------------------------------------------------

    def __iter__(self) -> Iterator[Any]:
        index = 0
        while self._wait_for(index):
            outcome = self._outcome(index)
            if outcome.error is not None:
                raise outcome.error
            yield outcome.result
            index += 1

    def as_completed(self) -> Iterator[Outcome]:
        """How each task ended, in the order in which they end."""
        at = 0
        while ready := self._arrived_since(at):
            at += len(ready)
            for start, stop in ready:
                for index in range(start, stop):
                    yield self._outcome(index)

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
        """
        self.wait(timeout)
        outcomes = [self._outcome(index) for index in range(self._known_total())]
        if errors == "raise":
            return [outcome.value for outcome in outcomes]
        return [outcome.result if o is None else o for outcome in outcomes for o in [outcome.error]]

    def wait(self, timeout: float | None = None) -> Job:
        """Wait until every task has ended.

        Raises
        ------
        GetTimeoutError
            They did not in time; they go on.
        """
        with self._connection.changed:
            self._connection.wait_until(
                self._all_ended, timeout, f"job {self.name!r} has not ended"
            )
            self._raise_feed_error()
        return self

    def __await__(self) -> Generator[Any, None, list[Any]]:
        return asyncio.to_thread(self.results).__await__()

    def _outcome(self, index: int) -> Outcome:
        found = outcome_of(self._connection, self.id, index, self.name)
        if isinstance(found, Failure):
            return Outcome(index, error=found.error)
        return Outcome(index, found)

    def _wait_for(self, index: int) -> bool:
        """Wait for a task to end; False where the job has no such task."""
        outcomes = self._channel.outcomes

        def there() -> bool:
            return outcomes.has_ended(index) or self._all_ended()

        with self._connection.changed:
            self._connection.wait_until(there, None, "")
            if not outcomes.has_ended(index):
                self._raise_feed_error()
            return outcomes.has_ended(index)

    def _known_total(self) -> int:
        return len(self._channel.outcomes.states)

    def _all_ended(self) -> bool:
        if self._channel.problem and not self._channel.info:
            raise JobError(self._channel.problem)
        info = self._channel.info
        if self.feed_error is not None:
            return True
        return bool(info.get("sealed")) and self._channel.outcomes.ended >= info["total"]

    def _raise_feed_error(self) -> None:
        if self.feed_error is not None:
            raise self.feed_error

    # -- progress -----------------------------------------------------------------------------

    @property
    def done(self) -> int:
        """How many tasks have ended, as far as is known here."""
        return self._channel.outcomes.ended

    def throughput(self) -> list[dict[str, Any]]:
        """One row a second: ``t`` (seconds since the job began), ``<unit>s_per_second``, ``done``,
        ``queued``, ``nodes``, ``slots``."""
        series: list[dict[str, Any]] = self._cluster.endpoint.get(
            self._cluster.endpoint.job(self.id, "series")
        )
        return series

    # -- ending -------------------------------------------------------------------------------

    def cancel(self) -> None:
        """End all tasks that have not ended; those that run stop within a second."""
        self._connection.send(op="cancel", job=self.id, ranges=None)
        deadline = time.monotonic() + 10
        with self._connection.changed:
            self._connection.wait_until(
                lambda: self._channel.info.get("state") != JobState.RUNNING,
                deadline - time.monotonic(),
                f"job {self.name!r} was not cancelled",
            )

    def delete(self) -> None:
        """Forget the job and its results, on the head too."""
        self._connection.send(op="delete", job=self.id)
        with self._connection.changed:
            self._connection.channels.pop(self.id, None)
