"""What the server answers beside the views of clusters, as plain values."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from jupyter_cluster.viewmodel.model import Overview, Table


@dataclass(frozen=True)
class Said:
    """What was done, in a sentence."""

    said: str


@dataclass(frozen=True)
class Failure:
    """Why something was not done, in the sentence that the command line would print."""

    message: str


@dataclass(frozen=True)
class Plan:
    """What starting a cluster would do and cost.

    Attributes
    ----------
    lines
        Sentences.
    table
        The node types; None where the cluster runs already.
    notices
        What stands in the file and has no meaning here, or is scarce.
    question
        What to ask before; empty where it costs nothing.
    """

    cluster: str
    lines: list[str]
    table: Table | None
    notices: list[str]
    question: str


@dataclass(frozen=True)
class Handoff:
    """How a cluster is used from elsewhere.

    Attributes
    ----------
    connect
        Code of a cell that connects to it.
    example
        Code of a cell that does something with it.
    """

    connect: str
    example: str


@dataclass(frozen=True)
class Attach:
    """How a shell on a machine of a cluster is opened: a line for the shell of a terminal."""

    command: str


@dataclass(frozen=True)
class Bill:
    """What a cluster costs: in a sentence, and the hours of each node type; None where there are
    none."""

    said: str
    table: Table | None


@dataclass(frozen=True)
class LogLine:
    """A line that a task has written."""

    number: int
    time: float
    node: str
    slot: int
    job: str
    stream: str
    text: str


@dataclass(frozen=True)
class NodeLog:
    """What setting up a node has written."""

    text: str


@dataclass(frozen=True)
class Event:
    """A line of the event log, as a head tells it."""

    number: int
    time: float
    kind: str
    text: str


@dataclass(frozen=True)
class Edit:
    """Another text for a part of a file: characters from `begin` up to `end`, counted from 0."""

    begin: int
    end: int
    text: str
    label: str


@dataclass(frozen=True)
class Mark:
    """A problem of a cluster YAML: characters from `begin` up to `end`, counted from 0."""

    begin: int
    end: int
    severity: Literal["error", "info"]
    message: str
    fix: Edit | None


@dataclass(frozen=True)
class Marks:
    """All problems of a file, in its order."""

    marks: list[Mark]


@dataclass(frozen=True)
class Figure:
    """A plotly figure: its JSON has ``data`` and ``layout``."""

    data: list[dict[str, Any]]
    layout: dict[str, Any]


# All answers, by the routes' names.
ANSWERS: tuple[type, ...] = (
    Overview,
    Said,
    Failure,
    Plan,
    Handoff,
    Attach,
    Bill,
    LogLine,
    NodeLog,
    Event,
    Marks,
    Figure,
)
