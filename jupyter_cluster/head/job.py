"""The account of one job, in ranges and columns.

A task is a byte: its state. What is queued is a list of ranges. So a million queued tasks take
a megabyte, and submitting, sending or finishing thousands of them is one step.
"""

from __future__ import annotations

import json
import re
from bisect import bisect_right, insort
from collections import deque
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from typing import Any

from jupyter_cluster.head.durations import Durations
from jupyter_cluster.model import JobInfo, JobState
from jupyter_cluster.resources import Resources

QUEUED, SENT, DONE, FAILED, CANCELLED, WAITING = range(6)
_FINAL = (DONE, FAILED, CANCELLED)
# Consecutive tasks in one of these states, found by the regular expression engine: a scan of a
# million states takes a millisecond.
_RUN_OF_FINAL = re.compile(b"[\x02\x03\x04]+")
_RUN_OF_OPEN = re.compile(b"[\x00\x01\x05]+")
_RUN_OF_SENT = re.compile(b"\x01+")
_NOT_QUEUED = re.compile(b"[^\x00]")


@dataclass(frozen=True)
class JobSpec:
    """What a client asks for; it does not change.

    Attributes
    ----------
    kind : str
        ``map`` (an item is the one argument), ``calls`` (an item is the arguments of a call),
        ``cell`` (an item is a cell of a notebook) or ``put`` (an item is itself the result).
    fn : str
        Digest of the pickled function.
    shape : list
        Pairs of resource and ten-thousandths.
    max_retries : int
        How often a task is run again after a system failure.
    retry_exceptions : bool
        Whether the function's own exceptions are retried too.
    retry_timeouts : bool
        Whether running into the timeout is retried too.
    nodes : list
        The node that each task has to run on; empty where any will do.
    session : str
        The session that a cell runs in; empty for one of its own.
    values : str
        The job whose results are the values that a cell gives back.
    outs : list
        The names of these.
    """

    id: str
    name: str
    kind: str
    client: str
    fn: str = ""
    unit: str = "task"
    shape: list[list[Any]] = field(default_factory=list)
    environment: dict[str, Any] = field(default_factory=dict)
    timeout: float | None = None
    max_retries: int = 3
    retry_exceptions: bool = False
    retry_timeouts: bool = False
    nodes: list[str] = field(default_factory=list)
    session: str = ""
    values: str = ""
    outs: list[str] = field(default_factory=list)

    def to_json(self) -> str:
        """For the journal."""
        return json.dumps(asdict(self))


@dataclass(slots=True)
class Range:
    """Queued tasks from `start` up to `stop` that were sent `attempt` times before."""

    start: int
    stop: int
    attempt: int


class Job:
    """A job as the head keeps it.

    Attributes
    ----------
    pinned : bool
        Its tasks can run on one node only, so that they are no demand for others.
    refused : str
        Why its tasks cannot run at all; empty for nearly all jobs.
    orphaned : bool
        Its client is gone for good, and it is kept for the sake of another job.
    """

    def __init__(self, spec: JobSpec, submitted: float) -> None:
        self.spec = spec
        self.shape = Resources.from_units(dict(map(tuple, spec.shape)))
        self.submitted = submitted
        self.finished: float | None = None
        self.sealed = False
        self.cancelled = False
        self.note = ""
        self.states = bytearray()
        self.counts = [0] * 6
        self.queue: deque[Range] = deque()
        self.failures: dict[int, int] = {}
        self.block_starts: list[int] = []
        self.refs: dict[int, list[str]] = {}
        self.last_size = 1
        self.released = 0
        self.blocked_since: float | None = None
        self.pinned = bool(spec.nodes)
        self.refused = ""
        self.orphaned = False
        self.durations = Durations()

    @property
    def id(self) -> str:
        """Its identity."""
        return self.spec.id

    @property
    def is_cell(self) -> bool:
        """Whether it is a cell of a notebook: somebody sits and waits for it."""
        return self.spec.kind == "cell"

    @property
    def is_kept(self) -> bool:
        """Whether it stays when its client goes, until somebody deletes it."""
        return self.spec.kind in ("map", "cell")

    def task_name(self, index: int) -> str:
        """A task as people know it."""
        if self.is_cell:
            return f"cell {self.spec.name!r}"
        return f"task {index} of job {self.spec.name!r}"

    @property
    def queued(self) -> int:
        """Tasks that could be sent."""
        return self.counts[QUEUED]

    @property
    def unfinished(self) -> int:
        """Tasks that have not ended."""
        return len(self.states) - sum(self.counts[state] for state in _FINAL)

    @property
    def mean_seconds(self) -> float | None:
        """Mean duration of a task, the newest counting most; None before the first result."""
        return self.durations.recent

    @property
    def running(self) -> int:
        """Tasks that a node has."""
        return self.counts[SENT]

    # -- growing ------------------------------------------------------------------------------

    def add(self, start: int, count: int, state: int = QUEUED) -> bool:
        """Take tasks that continue the job; False where they are known already.

        Raises
        ------
        ValueError
            Tasks before these are missing.
        """
        if start + count <= len(self.states):
            return False
        if start != len(self.states):
            raise ValueError(f"job {self.id}: tasks from {len(self.states)} on are missing")
        self.states += bytes([state]) * count
        self.counts[state] += count
        if state == QUEUED and not self.cancelled:
            self._enqueue(Range(start, start + count, 0))
        insort(self.block_starts, start)
        if self.cancelled:
            self.set_states(start, start + count, CANCELLED)
        return True

    def _enqueue(self, new: Range) -> None:
        last = self.queue[-1] if self.queue else None
        if last is not None and last.stop == new.start and last.attempt == new.attempt:
            last.stop = new.stop
        else:
            self.queue.append(new)

    def block_start(self, index: int) -> int:
        """Where the input block begins that holds this task."""
        return self.block_starts[bisect_right(self.block_starts, index) - 1]

    # -- changing state -----------------------------------------------------------------------

    def set_states(self, start: int, stop: int, state: int) -> None:
        """All tasks of a range get this state."""
        segment = self.states[start:stop]
        for old in set(segment):
            self.counts[old] -= segment.count(old)
        self.counts[state] += stop - start
        self.states[start:stop] = bytes([state]) * (stop - start)

    def set_each(self, start: int, states: bytes) -> None:
        """Consecutive tasks get these states."""
        for state in set(states):
            if states.count(state) == len(states):
                self.set_states(start, start + len(states), state)
                return
        for i, state in enumerate(states, start):
            self.set_states(i, i + 1, state)

    def open_ranges(self, start: int, stop: int) -> list[tuple[int, int]]:
        """The parts of a range that have not ended."""
        return [run.span() for run in _RUN_OF_OPEN.finditer(self.states, start, stop)]

    def take(self, limit: int) -> Range | None:
        """The next queued tasks, at most `limit`, now as sent."""
        while self.queue:
            first = self.queue[0]
            # A late result of an older attempt may have ended some of them meanwhile.
            while first.start < first.stop and self.states[first.start] != QUEUED:
                first.start += 1
            stop = min(first.stop, first.start + limit)
            if other := _NOT_QUEUED.search(self.states, first.start, stop):
                stop = other.start()
            taken = Range(first.start, stop, first.attempt)
            first.start = stop
            if first.start >= first.stop:
                self.queue.popleft()
            if taken.start < taken.stop:
                self.set_states(taken.start, taken.stop, SENT)
                return taken
        return None

    def queued_tasks(self) -> list[tuple[int, int]]:
        """Position and attempt of every queued task, of a job with few."""
        return [
            (index, part.attempt)
            for part in self.queue
            for index in range(part.start, part.stop)
            if self.states[index] == QUEUED
        ]

    def take_one(self, index: int, attempt: int) -> Range:
        """A queued task out of turn, now as sent; `take` leaves it out."""
        self.set_states(index, index + 1, SENT)
        return Range(index, index + 1, attempt)

    def requeue(self, start: int, stop: int, attempt: int, front: bool = True) -> None:
        """Queue again what of a range was sent and has not ended."""
        sent = [run.span() for run in _RUN_OF_SENT.finditer(self.states, start, stop)]
        for a, b in sent:
            self.set_states(a, b, QUEUED)
            again = Range(a, b, attempt)
            self.queue.appendleft(again) if front else self.queue.append(again)

    def reopen(self, index: int) -> None:
        """Run a task again whose result was lost."""
        self.set_states(index, index + 1, QUEUED)
        self.finished = None
        self.queue.append(Range(index, index + 1, 1))

    def release(self, index: int) -> None:
        """A task that waited for refs can be sent."""
        self.set_states(index, index + 1, QUEUED)
        self._enqueue(Range(index, index + 1, 0))

    # -- what is known ------------------------------------------------------------------------

    def runs_of_final(self) -> Iterator[tuple[int, bytes]]:
        """Consecutive ended tasks: position of the first and the state of each."""
        for run in _RUN_OF_FINAL.finditer(self.states):
            yield run.start(), run.group()

    @property
    def state(self) -> JobState:
        """Where the job stands as a whole."""
        if self.cancelled:
            return JobState.CANCELLED
        if not self.sealed or self.unfinished:
            return JobState.RUNNING
        return JobState.FAILED if self.counts[FAILED] else JobState.DONE

    def info(self) -> JobInfo:
        """As everybody may see it."""
        return JobInfo(
            id=self.id,
            name=self.spec.name,
            unit=self.spec.unit,
            state=self.state,
            total=len(self.states),
            queued=self.counts[QUEUED] + self.counts[WAITING],
            running=self.counts[SENT],
            done=self.counts[DONE],
            failed=self.counts[FAILED],
            cancelled=self.counts[CANCELLED],
            sealed=self.sealed,
            submitted=self.submitted,
            finished=self.finished,
            shape=self.shape.as_dict(),
            mean_seconds=self.durations.recent,
            note=self.note,
        )
