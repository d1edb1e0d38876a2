"""How the errors of remote cells look: the frames of the user's code, and none of ours."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from jupyter_cluster.described import LIMIT, sentence_of
from jupyter_cluster.formats import format_seconds, printable
from jupyter_cluster.tracebacks import attributes_of

Render = Callable[[], list[str]]


class CellInterrupted(KeyboardInterrupt):
    """The user has interrupted a remote cell, and nothing of it runs any more."""

    def __init__(self, where: str, seconds: float) -> None:
        super().__init__(f"the cell was stopped{where} after {format_seconds(seconds)}")

    def _render_traceback_(self) -> list[str]:
        return [f"KeyboardInterrupt: {self}"]


class CellSyntaxError(Exception):
    """A cell is no Python; it was not sent.

    No `SyntaxError` itself: IPython would show the frames that lead to the magic.
    """

    def __init__(self, shell: Any, error: SyntaxError) -> None:
        super().__init__(str(error))
        error.__traceback__ = error.__context__ = error.__cause__ = None  # frames of ours
        self._lines: list[str] = shell.SyntaxTB.structured_traceback(type(error), error, [])

    def _render_traceback_(self) -> list[str]:
        return self._lines


CellSyntaxError.__name__ = "SyntaxError"


class CellExceptionGroup(Exception):
    """A cell has raised a group of exceptions, which are its `exceptions`.

    No `BaseExceptionGroup` itself: IPython prints those with all frames that lead to the magic.
    """

    def __init__(self, group: BaseExceptionGroup[BaseException]) -> None:
        super().__init__(str(group))
        self.exceptions = group.exceptions


CellExceptionGroup.__name__ = "ExceptionGroup"


def rendered(error: BaseException, lines: list[str]) -> BaseException:
    """The same error, which IPython shows as these lines."""
    attributes_of(error)["_render_traceback_"] = lambda: lines
    return error


def sentence(error: BaseException) -> BaseException:
    """The same error, of which IPython shows the sentence and not our frames."""
    return rendered(error, [printable(sentence_of(error, LIMIT))])


def remote_error(error: BaseException, event: dict[str, Any] | None, where: str) -> BaseException:
    """An error of a cell, as the node has rendered it; `where` says on which node it was."""
    if event is None:  # its process died, or it never ran
        return sentence(error)
    if issubclass(type(error), BaseExceptionGroup):
        error = CellExceptionGroup(error)  # type: ignore[arg-type]
    lines = list(event["traceback"]) or [f"{event['name']}: {event['message']}"]
    if where:
        lines[-1] += f"\n[raised{where}]"
    return rendered(error, lines)
