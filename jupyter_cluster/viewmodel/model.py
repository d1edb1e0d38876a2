"""What there is to draw of a cluster, as plain values."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

# How something stands; "" has nothing to say about it.
Meaning = Literal["", "good", "warn", "bad", "off"]
# What a click may have done; "up" starts again what has stopped, "interrupt" ends an operation.
Verb = Literal["cancel", "scale", "down", "up", "interrupt"]
# Lines of the chart: tasks a second, nodes that are ready, nodes on their way up.
Line = Literal["rate", "nodes", "pending"]


@dataclass(frozen=True)
class Words:
    """A text, how it stands, and what is said of it to who points at it."""

    text: str
    meaning: Meaning = ""
    hint: str = ""


@dataclass(frozen=True)
class Tile:
    """A figure that one looks at first.

    Attributes
    ----------
    label, value, below
        What it is, the figure, and what stands below it.
    """

    label: str
    value: str
    below: str
    meaning: Meaning = ""


@dataclass(frozen=True)
class Action:
    """What may be done.

    Attributes
    ----------
    label, about
        On the button; what it is done to, for who cannot see where the button stands: together they
        are its name.
    target
        The id of the job or operation that it is about; empty where it is about the cluster.
    question
        What is asked before it is done, which says what would be lost; empty where nothing is.
    is_harmless
        Whether nothing would be lost: who has chosen not to be asked then is not.
    """

    do: Verb
    label: str
    about: str
    target: str = ""
    question: str = ""
    is_harmless: bool = False


@dataclass(frozen=True)
class Limit:
    """A number of nodes that may be changed.

    Attributes
    ----------
    node_type
        Of which at least `value` nodes run; empty for the most nodes of the whole cluster.
    before, after
        The words on both sides of the number.
    """

    node_type: str
    before: str
    value: int
    after: str


@dataclass(frozen=True)
class Controls:
    """The limits, and the end of the cluster."""

    limits: list[Limit]
    scale: Action
    down: Action


@dataclass(frozen=True)
class Share:
    """A part of a bar: of 1."""

    share: float
    meaning: Meaning


@dataclass(frozen=True)
class Bar:
    """How far something is: its parts from the left, and the same in words."""

    shares: list[Share]
    text: str


@dataclass(frozen=True)
class Cell:
    """What stands in a table: words, a pill where `is_state`, a bar or a button beside them."""

    words: Words
    is_state: bool = False
    bar: Bar | None = None
    action: Action | None = None


@dataclass(frozen=True)
class Column:
    """A heading; numbers stand to the right, and what is optional goes where there is no room."""

    title: str
    is_number: bool = False
    is_optional: bool = False


@dataclass(frozen=True)
class Row:
    """What a key names, column by column."""

    key: str
    cells: list[Cell]


@dataclass(frozen=True)
class Table:
    """Rows under headings.

    Attributes
    ----------
    count
        How many rows there are; `rows` may be fewer.
    blank
        Why there is no row.
    more
        What is left out, in words.
    """

    title: str
    count: int
    columns: list[Column]
    rows: list[Row]
    blank: str = ""
    more: str = ""


@dataclass(frozen=True)
class Decision:
    """A line of the event log.

    Attributes
    ----------
    time, clock
        A Unix time, and the time of day where the cluster is followed.
    symbol
        One character for its kind.
    """

    number: int
    time: float
    clock: str
    kind: str
    symbol: str
    text: str
    meaning: Meaning


@dataclass(frozen=True)
class Series:
    """A line of the chart.

    Attributes
    ----------
    points
        (Unix time, value) in the order of time; of steps, each holds until the next.
    """

    of: Line
    label: str
    is_steps: bool
    points: list[tuple[float, float]]


@dataclass(frozen=True)
class Tick:
    """A place on an axis: a value or a Unix time, and its words."""

    at: float
    text: str


@dataclass(frozen=True)
class Chart:
    """The course of a cluster: rates to the left axis, nodes to the right one, decisions below.

    Attributes
    ----------
    begin, end
        Unix times of the left and the right edge.
    utc_offset
        Seconds that the words' clock is ahead of UTC.
    unit
        What a task works on.
    rates, nodes, times
        Ticks of the axes, from zero; nothing is above the last one.
    decisions
        Those that are marked.
    legend
        Words of each kind of decision that is marked.
    said
        The chart in a sentence.
    blank
        Why there is none.
    """

    begin: float = 0.0
    end: float = 0.0
    utc_offset: float = 0.0
    unit: str = "task"
    series: list[Series] = field(default_factory=list)
    rates: list[Tick] = field(default_factory=list)
    nodes: list[Tick] = field(default_factory=list)
    times: list[Tick] = field(default_factory=list)
    decisions: list[Decision] = field(default_factory=list)
    legend: dict[str, str] = field(default_factory=dict)
    said: str = ""
    blank: str = ""


@dataclass(frozen=True)
class ClusterView:
    """All that is shown of a cluster at one moment.

    Attributes
    ----------
    state
        How it stands, or how whoever follows it stands with it.
    place
        Where it is and since when.
    blank
        Why there are no figures yet; then there are no tiles.
    problems
        Sentences on what keeps work from running.
    controls
        None where nothing may be changed.
    """

    name: str
    state: Words
    place: str
    blank: str
    tiles: list[Tile]
    problems: list[str]
    controls: Controls | None
    chart: Chart
    jobs: Table
    nodes: Table
    events: list[Decision]
    events_blank: str


@dataclass(frozen=True)
class JobLine:
    """A job in a line.

    Attributes
    ----------
    key
        Its id.
    text
        How far it is.
    """

    key: str
    name: str
    text: str
    bar: Bar | None
    cancel: Action | None


@dataclass(frozen=True)
class Spark:
    """The course of the rate in a line without axes.

    Attributes
    ----------
    values
        Tasks a second, oldest first, at even distances.
    said
        The same in a sentence.
    """

    values: list[float]
    said: str


@dataclass(frozen=True)
class Card:
    """A cluster in short, among others.

    Attributes
    ----------
    place
        Where it is and since when.
    blank
        Why there are no figures.
    jobs
        Some that work.
    more
        How many work beside these, in words.
    runs
        Whether it can be used: it has not stopped or ended.
    actions
        What may be done with it as a whole.
    """

    name: str
    state: Words
    place: str
    blank: str
    tiles: list[Tile]
    spark: Spark
    jobs: list[JobLine]
    more: str
    problems: list[str]
    runs: bool
    actions: list[Action]


@dataclass(frozen=True)
class Operation:
    """The start or the end of a cluster, which takes a while.

    Attributes
    ----------
    state
        Whether it goes on, or how it has ended.
    lines
        What it has said, oldest first.
    bar
        How far it is, where that can be counted.
    interrupt
        None where it is over.
    """

    id: str
    verb: Literal["up", "down"]
    cluster: str
    state: Words
    lines: list[str]
    bar: Bar | None
    is_over: bool
    interrupt: Action | None


@dataclass(frozen=True)
class Overview:
    """All clusters at one moment, or what has changed of them.

    Attributes
    ----------
    names
        Of all clusters, in the order in which they stand.
    cards
        Of all, or those that have changed.
    summary
        How many run and what they cost, for a status bar.
    operations
        All that go on or have just ended, newest first.
    views
        Of the clusters that were asked for by name, or those that have changed.
    """

    names: list[str]
    cards: list[Card]
    summary: Words
    operations: list[Operation]
    views: list[ClusterView]
