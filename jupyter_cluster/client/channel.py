"""One job's traffic, as a connection keeps it: it is repeated when the connection is made again."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from jupyter_cluster.client.outcomes import Outcomes


@dataclass(slots=True)
class Part:
    """What has come of a large result of `size` bytes."""

    size: int
    data: bytearray = field(default_factory=bytearray)


class JobChannel:
    """One job's traffic: what was sent and not yet taken, what has come back.

    Attributes
    ----------
    info : dict
        The job as the head last described it.
    problem : str
        Why the job cannot go on as it is, e.g. no node type can hold its tasks.
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
        self.outputs: list[tuple[int, bytes]] = []
        self.next_output = 0
        self.untaken: deque[tuple[int, int, dict[str, Any]]] = deque()
        self.outbox: Callable[[], list[tuple[int, int, dict[str, Any]]]] | None = None
        self.parts: dict[int, Part] = {}
        self.dropped: set[int] = set()
        self.gone: set[int] = set()

    @property
    def following(self) -> dict[str, Any]:
        """Asks for what happens to the job, and for what it has shown that is not here."""
        return {"op": "follow", "job": self.job, "outputs": self.next_output}

    @property
    def untaken_bytes(self) -> int:
        """Bytes of inputs that the head has not yet in its journal."""
        return sum(size for _stop, size, _message in self.untaken)
