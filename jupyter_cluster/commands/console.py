"""What a verb sees of the place where it was typed."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from jupyter_cluster.client.registry import Entry
    from jupyter_cluster.commands.tables import Table


class Step(Protocol):
    """Something under way that takes a while."""

    def update(self, text: str, done: int = 0, total: int = 0) -> None:
        """Say what happens now; with a `total`, how far it is."""


class Console(Protocol):
    """A terminal or a notebook.

    Attributes
    ----------
    program : str
        How a line begins here: ``jupyter-cluster`` or ``%cluster``.
    """

    program: str

    def show(self, *parts: str | Table) -> None:
        """Show lines of text and tables."""

    def json(self, value: Any) -> None:
        """Show a value as JSON, for a script."""

    def notice(self, text: str) -> None:
        """Show a line that is not part of the answer."""

    def chart(self, make: Callable[[], Any]) -> None:
        """Show a plotly figure where one can be seen; `make` is not called where none can."""

    def panel(self, place: Entry) -> None:
        """Show a running cluster live: in a notebook below the cell, in a terminal until Ctrl-C."""

    def dashboard(self, place: Entry, port: int, browser: bool) -> None:
        """A page of a running cluster: in a notebook that of its Jupyter server, where it has one;
        in a terminal one on this machine until Ctrl-C, at a port (0: any), opened or not."""

    def step(self, text: str) -> AbstractContextManager[Step]:
        """Show that something is under way; a line of text is left when it has ended."""

    def ask(self, question: str) -> bool:
        """Ask for yes or no.

        Raises
        ------
        UsageError
            Nobody can be asked here.
        """


def cannot_ask(question: str) -> str:
    """The message where nobody can be asked."""
    return f"{question} Nobody can be asked here: add -y to say yes"
