"""Sessions of cells: namespaces that live in a process on a node from one cell to the next.

A session belongs to the cluster, not to a client: a notebook whose kernel was started again finds
its variables. It ends with its process or its node, when it is told to, and when nobody has used
it for a while.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from jupyter_cluster.errors import JobError
from jupyter_cluster.formats import format_seconds
from jupyter_cluster.head.journal import Journal
from jupyter_cluster.resources import CPU, Resources


@dataclass(slots=True)
class CellSession:
    """One session.

    Attributes
    ----------
    node : str
        Where it lives; empty until its first cell was sent.
    shape : Resources
        What its first cell asked for.
    used : float
        When its newest cell was submitted or has ended (Unix time).
    open : int
        Cells that have not ended.
    """

    name: str
    shape: Resources
    node: str = ""
    used: float = field(default_factory=time.time)
    open: int = 0

    @property
    def held(self) -> Resources:
        """What it holds of its node even while none of its cells runs: all but the CPUs."""
        return self.shape - self.shape.only(CPU)


class CellSessions:
    """The sessions by name, and those that were lost without anybody having been told."""

    def __init__(self, journal: Journal, log: Callable[[str, str], None]) -> None:
        self._journal = journal
        self._log = log
        self._by_name: dict[str, CellSession] = {}
        self._lost: dict[str, str] = {}
        for name, node, shape in journal.read("SELECT name, node, shape FROM cell_sessions"):
            units = Resources.from_units(json.loads(shape))
            self._by_name[name] = CellSession(name, units, node)

    def get(self, name: str) -> CellSession | None:
        """The session of this name, if there is one."""
        return self._by_name.get(name)

    def admit(self, name: str, shape: Resources) -> None:
        """A cell of this session comes in.

        Raises
        ------
        JobError
            The session was lost since its last cell, or has other resources than the cell asks
            for.
        """
        if why := self._lost.pop(name, ""):
            raise JobError(
                f"session {name!r} has ended: {why}. Its variables are gone; the next cell with"
                f" --session {name} starts a new one"
            )
        session = self._by_name.get(name)
        if session is None:
            session = self._by_name[name] = CellSession(name, shape)
        elif shape - shape.only(CPU) not in (session.held, Resources()):
            raise JobError(
                f"session {name!r} was started with {session.shape} and cannot be given {shape};"
                f" use another name, or end it first: `sessions --end {name}`"
            )
        session.used = time.time()
        session.open += 1

    def bind(self, session: CellSession, node: str) -> None:
        """Its first cell goes to this node."""
        session.node = node
        self._journal.execute(
            "INSERT OR REPLACE INTO cell_sessions VALUES (?, ?, ?)",
            session.name,
            node,
            json.dumps(session.shape.by_name),
        )

    def unbind(self, name: str) -> None:
        """Its first cell comes back unstarted: another node may have it."""
        if session := self._by_name.get(name):
            session.node = ""
            self._journal.execute("DELETE FROM cell_sessions WHERE name = ?", name)

    def cell_ended(self, name: str) -> None:
        """One of its cells has ended."""
        if session := self._by_name.get(name):
            session.open = max(0, session.open - 1)
            session.used = time.time()
            if not session.node and not session.open:
                del self._by_name[name]  # cancelled before it began

    def ended(self, name: str, why: str, is_known: bool) -> None:
        """It is gone; where nobody knows yet, its next cell says so."""
        if self._by_name.pop(name, None) is None:
            return
        self._journal.execute("DELETE FROM cell_sessions WHERE name = ?", name)
        if not is_known:
            self._lost[name] = why.splitlines()[0]
        self._log("node", f"session {name!r} has ended: {why.splitlines()[0]}")

    def on_node(self, node: str) -> list[CellSession]:
        """Those that live on a node."""
        return [session for session in self._by_name.values() if session.node == node]

    def node_lost(self, node: str, why: str) -> None:
        """A node is gone, and its sessions with it."""
        for session in self.on_node(node):
            self.ended(session.name, why, is_known=bool(session.open))

    def kept_because(self, node: str) -> str:
        """Why a node is kept, as words; empty where it holds no session."""
        names = ", ".join(repr(session.name) for session in self.on_node(node))
        return f"it holds the variables of session {names}" if names else ""

    def unused(self, seconds: float) -> Iterable[CellSession]:
        """Those that no cell has used for so long."""
        now = time.time()
        return [s for s in self._by_name.values() if not s.open and now - s.used > seconds]

    def rows(self) -> list[dict[str, Any]]:
        """A row for each, for people."""
        now = time.time()
        return [
            {
                "name": session.name,
                "node": session.node,
                "resources": session.shape.as_dict(),
                "busy": bool(session.open),
                "unused": 0.0 if session.open else now - session.used,
            }
            for session in self._by_name.values()
        ]


def unused_text(seconds: float) -> str:
    """Why a session is ended that nobody uses."""
    return f"no cell has used it for {format_seconds(seconds)}"
