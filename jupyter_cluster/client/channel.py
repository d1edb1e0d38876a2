"""One job's traffic, as a connection keeps it: it is repeated when the connection is made again."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from jupyter_cluster.client.outcomes import Outcomes
from jupyter_cluster.errors import JobError
from jupyter_cluster.wire import MAX_TASKS

# Inputs on their way: up to which task they go, their bytes, the message.
Sending = tuple[int, int, dict[str, Any]]


@dataclass(slots=True)
class Part:
    """What has come of a large result of `size` bytes."""

    size: int
    data: bytearray = field(default_factory=bytearray)


class JobChannel:
    """One job's traffic: what was sent and not yet taken, what has come back.

    Attributes
    ----------
    opening : list
        What makes the job known to the head; empty once it is in the head's journal.
    untaken : deque
        Inputs that are not yet in the head's journal: up to which task, bytes, message.
    behind : deque
        Messages that are to follow the inputs gathered so far.
    info : dict
        The job as the head last described it.
    problem : str
        Why nothing more will come of the job: the head has refused it or has deleted it.
    size : int or None
        How many tasks a job of calls has, once no more will come.
    released : int
        How many of its refs were dropped.
    outputs : list
        What a cell has shown: the position of its task and a batch of events, as JSON.
    """

    def __init__(self, job: str, opening: list[dict[str, Any]]) -> None:
        self.job = job
        self.opening = opening
        self.outcomes = Outcomes()
        self.info: dict[str, Any] = {}
        self.problem = ""
        self.sealed = False
        self.size: int | None = None
        self.released = 0
        self.outputs: list[tuple[int, bytes]] = []
        self.next_output = 0
        self.untaken: deque[Sending] = deque()
        self.behind: deque[dict[str, Any]] = deque()
        self.outbox: Callable[[], list[Sending] | None] | None = None
        self.parts: dict[int, Part] = {}
        self.dropped: set[int] = set()
        self.gone: set[int] = set()

    @property
    def submission(self) -> list[dict[str, Any]]:
        """What the head must hear of the job; all of it may arrive more than once."""
        begin = self.opening or [self.following]
        seal = [{"op": "seal", "job": self.job}] if self.sealed else []
        return [*begin, *(message for _stop, _size, message in self.untaken), *seal]

    @property
    def again(self) -> list[dict[str, Any]]:
        """On a new connection: what may not be in the head's journal, and where we left off."""
        return [*self.submission, self.following] if self.opening else self.submission

    @property
    def following(self) -> dict[str, Any]:
        """Asks for what happens to the job, and for what it has shown that is not here."""
        return {"op": "follow", "job": self.job, "outputs": self.next_output}

    @property
    def untaken_bytes(self) -> int:
        """Bytes of inputs that the head has not yet in its journal."""
        return sum(size for _stop, size, _message in self.untaken)

    def gather(self) -> Iterator[dict[str, Any]]:
        """What is to be sent now: inputs, then what was to follow those gathered before."""
        count = len(self.behind)  # what comes meanwhile may belong behind the next inputs
        if self.outbox is not None:
            sendings = self.outbox()
            if sendings is None:  # someone is about to add some: what follows them waits
                return
            for sending in sendings:
                self.untaken.append(sending)
                yield sending[2]
        for _ in range(count):
            message = self.behind.popleft()
            self.sealed = self.sealed or message["op"] == "seal"
            yield message

    def taken(self, stop: int) -> None:
        """The job is in the head's journal, with its inputs up to this position."""
        self.opening = []
        while self.untaken and self.untaken[0][0] <= stop:
            self.untaken.popleft()

    def refuse(self, problem: str) -> None:
        """Nothing more will come of the job: whoever waits for it is told why."""
        self.problem = self.problem or problem
        self.opening, self.outbox = [], None
        self.untaken.clear()
        self.behind.clear()
        self.outcomes.wake_all()

    def raise_if_refused(self) -> None:
        """Say why nothing more will come.

        Raises
        ------
        JobError
            The head has refused the job, or has deleted it.
        """
        if self.problem:
            raise JobError(self.problem)

    def has_ended(self, index: int) -> bool:
        """Whether a task has ended, or never will."""
        return bool(self.problem) or self.outcomes.has_ended(index)

    @property
    def arrived(self) -> int:
        """How many tasks have ended; more than there are where nothing more will come."""
        return MAX_TASKS if self.problem else self.outcomes.ended

    @property
    def is_forgotten(self) -> bool:
        """Whether nobody can ask for anything of it any more: all refs of a job of calls went."""
        return self.size is not None and self.released >= self.size
