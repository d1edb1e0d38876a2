"""The demo in the terminal: the live view of its job, and palettes in colour."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rich.console import Console, RenderableType
from rich.live import Live
from rich.markup import escape
from rich.progress_bar import ProgressBar
from rich.style import Style
from rich.table import Table
from rich.text import Text

from jupyter_cluster.client.cluster import Cluster
from jupyter_cluster.demo.swatches import Colour, hexadecimal
from jupyter_cluster.errors import ClusterError
from jupyter_cluster.formats import format_seconds
from jupyter_cluster.model import NodeState

REFRESH_SECONDS = 0.5
DECISIONS = ("scale-up", "scale-down", "warning", "error")


@dataclass(frozen=True)
class Moment:
    """A job and its cluster at one moment.

    Attributes
    ----------
    job : mapping
        As the head describes it: total, done, failed, queued, running, submitted, finished, and
        its rate now, which is None where the job has ended.
    time : float
        Unix time.
    nodes, coming, slots : int
        Nodes that are ready, nodes on their way up, and the CPUs of those that are ready.
    decision : str
        The autoscaler's newest sentence.
    """

    job: Mapping[str, Any]
    time: float
    nodes: int = 0
    coming: int = 0
    slots: int = 0
    decision: str = ""

    @property
    def ended(self) -> int:
        """Tasks that have ended, well or not."""
        return int(self.job["done"]) + int(self.job["failed"])

    @property
    def seconds(self) -> float:
        """Since the job was submitted, until now or its end."""
        return float((self.job["finished"] or self.time) - self.job["submitted"])

    @property
    def average(self) -> float:
        """Tasks per second since the job was submitted."""
        return self.ended / self.seconds if self.seconds > 0 else 0.0

    @property
    def seconds_left(self) -> float | None:
        """Until the job ends at the present rate; None where nothing has ended yet."""
        rate = self.job["rate"] or self.average
        return (self.job["total"] - self.ended) / rate if rate else None


def render(moment: Moment) -> RenderableType:
    """The lines of the live view."""
    table = Table.grid(padding=(0, 2))
    table.add_column(style="bold")
    table.add_column(overflow="fold")
    table.add_row("palettes", _progress(moment))
    table.add_row("speed", _speed(moment))
    table.add_row("cluster", _cluster(moment))
    table.add_row("decision", escape(moment.decision) or "none yet")
    table.add_row("time", _time(moment))
    return table


def _progress(moment: Moment) -> RenderableType:
    failed = moment.job["failed"]
    row = Table.grid(padding=(0, 1))
    total = max(1, moment.job["total"])
    counts = Text(f"{moment.ended:,} of {moment.job['total']:,}")
    counts.append(f", {failed:,} failed" if failed else "", "red")
    row.add_row(ProgressBar(total=total, completed=moment.ended, width=40), counts)
    return row


def _speed(moment: Moment) -> str:
    rate = moment.job["rate"]
    now = f"{rate:.1f} images/s now, " if rate is not None else ""
    return f"{now}{moment.average:.1f} on average"


def _cluster(moment: Moment) -> str:
    coming = f", {_count(moment.coming, 'node')} starting" if moment.coming else ""
    return f"{_count(moment.nodes, 'node')}, {_count(moment.slots, 'slot')}{coming}"


def _time(moment: Moment) -> str:
    elapsed = format_seconds(moment.seconds)
    if moment.job["finished"] is not None:
        return elapsed
    left = moment.seconds_left
    ends = f", ends in about {format_seconds(left)}" if left is not None else ""
    return f"{elapsed} so far{ends}"


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


class LiveView:
    """Shows a job while the `with` lasts; its last state stays in the terminal."""

    def __init__(self, console: Console, cluster: Cluster, job: str) -> None:
        self._cluster = cluster
        self._job = job
        self._decisions = Decisions()
        self._console = console
        self._live = Live(console=console, auto_refresh=False)
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="demo live view", daemon=True)

    def __enter__(self) -> LiveView:
        self._live.start()
        self._thread.start()
        return self

    def __exit__(self, *_exc: object) -> None:
        self._ended.set()
        self._thread.join()
        self._live.stop()
        if not self._console.is_terminal:
            self._console.print()  # there, rich ends its last state without a line break

    def _run(self) -> None:
        while not self._ended.is_set():
            self._show()
            self._ended.wait(REFRESH_SECONDS)
        self._show()

    def _show(self) -> None:
        try:
            moment = self._look()
        except ClusterError:
            return  # who collects the results says so, once
        if moment is None:
            return  # the head has yet to hear of the job
        self._live.update(render(moment), refresh=True)

    def _look(self) -> Moment | None:
        self._decisions.add(self._cluster.events(self._decisions.number))
        return moment_of(self._cluster.status(), self._job, time.time(), self._decisions.newest)


@dataclass
class Decisions:
    """The newest decision among events that come in pieces."""

    number: int = 0
    newest: str = ""

    def add(self, events: Sequence[Mapping[str, Any]]) -> None:
        """Take events that follow those before."""
        for event in events:
            self.number = event["number"]
            if event["kind"] in DECISIONS:
                self.newest = event["text"]


def moment_of(status: Mapping[str, Any], job: str, now: float, decision: str) -> Moment | None:
    """What the view shows of a cluster's status; None where the job is not in it."""
    row = next((row for row in status["jobs"] if row["id"] == job), None)
    if row is None:
        return None
    ready = [node for node in status["nodes"] if node["state"] == NodeState.READY]
    return Moment(
        job=row,
        time=now,
        nodes=len(ready),
        coming=sum(NodeState(node["state"]).is_pending for node in status["nodes"]),
        slots=int(sum(node["resources"].get("CPU", 0) for node in ready)),
        decision=decision,
    )


def palette_table(palettes: Mapping[str, Sequence[Colour]]) -> Table:
    """Palettes as blocks of colour with their names; one row for each image."""
    table = Table.grid(padding=(0, 2))
    for name, colours in palettes.items():
        table.add_row(escape(name), Text(" ").join(map(_block, colours)))
    return table


def _block(colour: Colour) -> Text:
    red, green, blue = colour
    # Dark letters on light colours and light ones on dark; weights of Rec. 601 luma.
    ink = "black" if 0.299 * red + 0.587 * green + 0.114 * blue > 128 else "white"
    name = hexadecimal(colour)
    return Text(f" {name} ", Style(color=ink, bgcolor=name))
