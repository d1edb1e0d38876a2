"""What cells have printed and displayed, kept until their job is deleted.

So a notebook that was away, or whose kernel was started again, is shown what it has missed. Batches
are passed on as they come: the head does not look into them.
"""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

from jupyter_cluster.head.journal import Journal

# Of each job the newest are kept, up to so many bytes.
KEPT_BYTES = 32_000_000


@dataclass(frozen=True, slots=True)
class Output:
    """A batch of events of one task, see `jupyter_cluster.agent.output`.

    Attributes
    ----------
    position : int
        Among the batches of its job, counted from 0.
    """

    position: int
    index: int
    data: bytes


@dataclass(slots=True)
class _Account:
    batches: deque[Output] = field(default_factory=deque)
    size: int = 0
    count: int = 0
    # The newest number of each (task, attempt): a batch may be sent again.
    numbers: dict[tuple[int, int], int] = field(default_factory=dict)


class Outputs:
    """The batches of every job that has some."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        self._accounts: dict[str, _Account] = {}
        rows = journal.read(
            "SELECT job, position, task, attempt, number, data FROM outputs ORDER BY job, position"
        )
        for job, position, index, attempt, number, data in rows:
            account = self._accounts.setdefault(job, _Account())
            self._append(job, account, Output(position, index, data))
            account.numbers[index, attempt] = number

    def add(
        self,
        job: str,
        index: int,
        attempt: int,
        number: int,
        data: bytes,
        done: Callable[[], None] | None = None,
    ) -> Output | None:
        """Take a batch; None where it was taken before. `done` is called when it is safe."""
        account = self._accounts.setdefault(job, _Account())
        if number <= account.numbers.get((index, attempt), 0):
            self._journal.write([], done)
            return None
        account.numbers[index, attempt] = number
        output = Output(account.count, index, data)
        self._append(job, account, output)
        row = (job, output.position, index, attempt, number, data)
        self._journal.execute("INSERT INTO outputs VALUES (?, ?, ?, ?, ?, ?)", *row, done=done)
        return output

    def note(self, job: str, index: int, text: str) -> Output | None:
        """Say something of our own between what the cell shows."""
        account = self._accounts.setdefault(job, _Account())
        number = account.numbers.get((index, -1), 0) + 1
        data = json.dumps([{"type": "note", "text": text}]).encode()
        return self.add(job, index, -1, number, data)

    def _append(self, job: str, account: _Account, output: Output) -> None:
        """Keep a batch; the oldest go, here and in the journal, where there is too much."""
        account.batches.append(output)
        account.count = output.position + 1
        account.size += len(output.data)
        gone = -1
        while account.size > KEPT_BYTES and len(account.batches) > 1:
            oldest = account.batches.popleft()
            account.size -= len(oldest.data)
            gone = oldest.position
        if gone >= 0:
            sql = "DELETE FROM outputs WHERE job = ? AND position <= ?"
            self._journal.execute(sql, job, gone)

    def since(self, job: str, position: int) -> list[Output]:
        """Batches from this one on, as far as they are kept."""
        account = self._accounts.get(job)
        return [o for o in account.batches if o.position >= position] if account else []

    def forget(self, job: str) -> None:
        """Delete all of a job."""
        if self._accounts.pop(job, None):
            self._journal.execute("DELETE FROM outputs WHERE job = ?", job)
