"""A cell that runs on the cluster: a job whose tasks show something while they run."""

from __future__ import annotations

import contextlib
import json
import time
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from jupyter_cluster.client.channel import JobChannel
from jupyter_cluster.client.environment import Environment, modules_messages
from jupyter_cluster.client.job import Job
from jupyter_cluster.client.reading import Failure, bring, raise_first, value_of
from jupyter_cluster.client.refs import Ref
from jupyter_cluster.client.remote import TaskOptions
from jupyter_cluster.codec import Names, dumps, load_value
from jupyter_cluster.errors import GetTimeoutError, SerializationError
from jupyter_cluster.wire import Block, Status

if TYPE_CHECKING:
    from jupyter_cluster.client.cluster import Cluster

Event = dict[str, Any]

# Values that a cell gives back are brought here at once up to this size.
OUT_BYTES = 64_000_000
# How long an interrupted cell is waited for. It has half a second to end by itself, that of a
# session five; then its process is killed.
STOP_SECONDS = 8.0


@dataclass(frozen=True)
class Cell:
    """What a cell consists of; for the fields see `jupyter_cluster.agent.shell.Request`."""

    source: str
    raw: str
    number: int
    names: Names
    pushed: tuple[str, ...] = ()
    outs: tuple[str, ...] = ()
    is_quiet: bool = False
    colors: str = "nocolor"
    sources: tuple[tuple[str, int, str], ...] = ()

    def item(self, values: str) -> dict[str, Any]:
        """As it travels; `values` is the job that its values go to."""
        fields = ("source", "raw", "number", "pushed", "outs", "is_quiet", "colors", "sources")
        return {**{name: getattr(self, name) for name in fields}, "values": values} | {
            "names": self.names.data
        }


def submit(
    cluster: Cluster,
    cell: Cell,
    options: TaskOptions,
    environment: Environment,
    *,
    name: str,
    nodes: Sequence[str] = (),
    session: str = "",
) -> CellJob:
    """Run a cell on the cluster: once, or once on each of `nodes`.

    Raises
    ------
    SerializationError
        The modules beside the notebook are too large.
    """
    connection = cluster.connection
    job, values = uuid.uuid4().hex[:12], uuid.uuid4().hex[:12]
    count = len(nodes) or 1
    block = Block.of(0, [dumps(cell.item(values), "the cell")] * count)
    refs = [[index, cell.names.refs] for index in range(count)] if cell.names.refs else []
    spec = {
        "id": job,
        "client": connection.client,
        "kind": "cell",
        "name": name,
        "unit": "cell",
        "environment": environment.spec | ({"session": session} if session else {}),
        "nodes": list(nodes),
        "session": session,
        "values": values,
        "outs": list(cell.outs),
        # What a cell did before its process died cannot be undone: it is not run twice for that.
        **options.spec(),
        "max_retries": 0,
    }
    put = {"id": values, "client": connection.client, "kind": "put", "name": f"values of {name}"}
    connection.open(JobChannel(values, [{"op": "job", "spec": put}]))
    channel = JobChannel(job, [*modules_messages(environment), {"op": "job", "spec": spec}])
    tasks = {"op": "tasks", "job": job, "block": block.pack(), "refs": refs}
    channel.untaken.append((block.stop, len(block.data), tasks))
    channel.sealed = True
    connection.open(channel)
    return CellJob(cluster, channel, name, nodes=tuple(nodes), values=values, outs=cell.outs)


def found(cluster: Cluster, channel: JobChannel, row: dict[str, Any]) -> CellJob:
    """The cell that another client, or this one before its kernel was started again, has sent."""
    values = row["values"]
    if values not in cluster.connection.channels:
        cluster.connection.open(JobChannel(values, []))
    nodes, outs = tuple(row["nodes"]), tuple(row["outs"])
    return CellJob(cluster, channel, row["name"], nodes=nodes, values=values, outs=outs)


class CellJob(Job):
    """A cell on the cluster; made by ``%%remote --async`` and found again by `cluster.job`.

    Attributes
    ----------
    nodes : dict
        The node of each task that has begun, by its position.
    """

    def __init__(
        self,
        cluster: Cluster,
        channel: JobChannel,
        name: str,
        nodes: tuple[str, ...] = (),
        values: str = "",
        outs: tuple[str, ...] = (),
    ) -> None:
        super().__init__(cluster, channel, name)
        self.nodes: dict[int, str] = dict(enumerate(nodes))
        self.outs = outs
        self._count = len(nodes) or 1
        self._values_job = values
        self._begun: set[int] = set()
        self._shown: set[int] = set()
        self._events: list[tuple[int, Event]] = []
        self._batches = 0
        self._read = 0

    # -- what it shows ------------------------------------------------------------------------

    def take_events(self, seconds: float) -> list[tuple[int, Event]]:
        """What its tasks have shown since the last call, waited for; empty after `seconds`.

        Each with the position of its task. All that a task shows is here before it has ended.
        """
        events = self.events_from(self._read, seconds)
        self._read += len(events)
        return events

    def events_from(self, start: int, seconds: float = 0.0) -> list[tuple[int, Event]]:
        """What its tasks have shown, without the first `start` events, waited for."""
        with self._connection.changed:
            self._read_batches()
            if len(self._events) <= start:
                with contextlib.suppress(GetTimeoutError):
                    self._connection.wait_until(
                        lambda: self._has_batches or self._all_ended(), seconds, ""
                    )
                self._read_batches()
            return self._events[start:]

    @property
    def _has_batches(self) -> bool:
        return len(self._channel.outputs) > self._batches

    def _read_batches(self) -> None:
        new = self._channel.outputs[self._batches :]
        self._batches += len(new)
        for index, data in new:
            for event in json.loads(data):
                self._note(index, event)
                self._events.append((index, event))

    def _note(self, index: int, event: Event) -> None:
        if event["type"] == "begin":
            self._begun.add(index)
            self._shown.discard(index)
            self.nodes[index] = event["node"]
        elif event["type"] == "end":
            self._shown.add(index)

    @property
    def has_begun(self) -> bool:
        """Whether a task has begun, as far as is known here."""
        return bool(self._begun)

    @property
    def is_over(self) -> bool:
        """Whether every task has ended and all that they have shown was read."""
        with self._connection.changed:
            return self.has_ended and self._read == len(self._events) and not self._has_batches

    @property
    def state(self) -> str:
        """As the head has told last: running, done, failed or cancelled."""
        return str(self._channel.info.get("state", "running"))

    def wait_until_taken(self) -> None:
        """Wait until the head has the cell, which then needs this process no more."""
        with self._connection.changed:
            self._connection.wait_until(
                lambda: bool(self._channel.info), 60, "the head has not taken the cell"
            )

    def why_waiting(self) -> str:
        """What it waits for, as a sentence; empty where it waits for nothing."""
        answer = self._cluster.endpoint.get(self._cluster.endpoint.job(self.id, "waiting"))
        return str(answer["text"])

    # -- how it ended -------------------------------------------------------------------------

    def outcome(self, index: int = 0) -> tuple[bool, Any]:
        """Whether the last expression's value is here, and the value.

        Raises
        ------
        BaseException
            What the cell has raised.
        """
        replies = super()._values(index, index + 1)
        raise_first(replies)
        pickled = replies[0]["value"]
        try:
            return True, None if pickled is None else load_value(pickled)
        except SerializationError:
            return False, None  # e.g. of a module that only the nodes have

    def _values(self, start: int, stop: int) -> list[Any]:
        values: list[Any] = []
        for index in range(start, stop):
            try:
                values.append(self.outcome(index)[1])
            except Exception as error:
                values.append(Failure(error))
        return values

    def result(self, timeout: float | None = None) -> Any:
        """The value of the last expression, waited for; of a cell on many nodes a list."""
        values = self.results(timeout)
        return values if self._count > 1 else values[0]

    def values(self) -> dict[str, Any]:
        """The variables that ``--out`` has named; those over 64 MB as refs, see `jc.get`."""
        refs = [
            Ref(self._connection, self._values_job, i, name) for i, name in enumerate(self.outs)
        ]
        return {ref.name: ref if self._is_large(ref) else self._read_value(ref) for ref in refs}

    def _read_value(self, ref: Ref) -> Any:
        return value_of(self._connection, ref.job, ref.index, ref.name)

    def _is_large(self, ref: Ref) -> bool:
        outcomes = self._connection.channel(ref.job).outcomes
        with self._connection.changed:
            bring(self._connection, ref.job, ref.index, ref.index + 1, None)
            ((statuses, block, _node),) = outcomes.find(ref.index, ref.index + 1)
        return statuses[0] == Status.STORED and int(bytes(block.item(ref.index))) > OUT_BYTES

    # -- ending -------------------------------------------------------------------------------

    def stop(self) -> list[tuple[int, Event]]:
        """Cancel it and wait until nothing of it runs; returns what it has shown meanwhile."""
        self._connection.send(op="cancel", job=self.id, ranges=None)
        events: list[tuple[int, Event]] = []
        deadline = time.monotonic() + STOP_SECONDS
        while not self._has_stopped() and time.monotonic() < deadline:
            with self._connection.changed:
                self._connection.changed.wait(0.1)
            events += self.take_events(0.05)
        return events

    def _has_stopped(self) -> bool:
        return self._begun <= self._shown and self._channel.info.get("state") != "running"
