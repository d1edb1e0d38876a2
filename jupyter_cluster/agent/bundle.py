"""A bundle on a node: which of its tasks are still to be run and reported."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from jupyter_cluster.resources import Resources
from jupyter_cluster.wire import Block, cut_blocks


@dataclass(eq=False)
class Bundle:
    """Tasks of one job that came together, named by (job, range, attempt).

    Attributes
    ----------
    blocks : list of Block
        The inputs of the tasks that have not been reported yet.
    environment : dict
        What a slot must be made for: folder, code, variables, session.
    begins_session : bool
        Its session is to be made; otherwise it has to be here.
    taken : Resources
        What it holds of the node while it runs.
    outputs : int
        How many batches of output it has sent.
    is_over : bool
        A cell of which all output has been sent.
    starts : int
        How many processes for it have ended before they took it.
    one_by_one : bool
        Each task gets a slot of its own: one of them has harmed its process, and which is not
        known.
    """

    job: str
    start: int
    stop: int
    attempt: int
    kind: str
    function: str
    shape: Resources
    blocks: list[Block]
    refs: list[str] = field(default_factory=list)
    timeout: float | None = None
    environment: dict[str, Any] = field(default_factory=dict)
    begins_session: bool = False
    devices: tuple[int, ...] = ()
    taken: Resources = field(default_factory=Resources)
    outputs: int = 0
    is_over: bool = False
    starts: int = 0
    one_by_one: bool = False

    @property
    def is_cell(self) -> bool:
        """Whether it is a cell of a notebook."""
        return self.kind == "cell"

    @property
    def session(self) -> str:
        """The session that it runs in; empty where it runs in none."""
        return str(self.environment.get("session", ""))

    @property
    def key(self) -> list[Any]:
        """Its name, as it travels."""
        return [self.job, self.start, self.stop, self.attempt]

    @property
    def next(self) -> int:
        """The first task not reported yet; `stop` where all are."""
        return self.blocks[0].start if self.blocks else self.stop

    @property
    def is_alone(self) -> bool:
        """Whether a slot has nothing else of it: a cell, or one task."""
        return self.one_by_one or self.is_cell

    @property
    def to_run(self) -> list[Block]:
        """The inputs that a slot gets now."""
        after = self.next + 1
        return cut_blocks(self.blocks, self.next, after) if self.one_by_one else self.blocks

    def reported(self, stop: int) -> None:
        """Everything before this position has been reported."""
        self.blocks = cut_blocks(self.blocks, stop, self.stop)

    def drop(self, start: int, stop: int) -> None:
        """Forget these tasks: cancelled, or reported as crashed."""
        before = cut_blocks(self.blocks, self.start, start)
        self.blocks = before + cut_blocks(self.blocks, stop, self.stop)
