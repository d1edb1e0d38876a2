"""What a remote cell shows, put into the cell of the notebook that waits for it.

To be called from the main thread alone: output of others lands in whatever cell is current.
"""

from __future__ import annotations

import sys
import time
from typing import Any, TextIO

from IPython.display import clear_output, display, publish_display_data

from jupyter_cluster.formats import format_seconds, printable, printable_line
from jupyter_cluster.notebook.reprs import HTML, TEXT, Bundle, line_html

Event = dict[str, Any]

# A cell that is done before this shows nothing but its output.
PATIENCE_SECONDS = 1.0


class CellOutput:
    """Shows the events of a cell that runs on one node, or on several with their names.

    Attributes
    ----------
    errors, results : dict
        The newest event of each kind, by the position of the task.
    """

    def __init__(self, nodes: dict[int, str], is_many: bool) -> None:
        self.errors: dict[int, Event] = {}
        self.results: dict[int, Event] = {}
        self._nodes = nodes
        self._is_many = is_many
        self._at_line_start: dict[tuple[int, str], bool] = {}
        self._last: tuple[int, str] | None = None
        self._written: set[TextIO] = set()

    def show(self, events: list[tuple[int, Event]]) -> None:
        """Show these, in order."""
        for index, event in events:
            handler = getattr(self, f"_on_{event['type'].replace('-', '_')}", None)
            if handler is not None:
                handler(index, event)
        for stream in self._written:  # a flush costs a kernel milliseconds
            stream.flush()
        self._written.clear()

    def _on_stream(self, index: int, event: Event) -> None:
        text, name = event["text"], event["name"]
        stream = sys.stderr if name == "stderr" else sys.stdout
        stream.write(self._prefixed(index, name, text) if self._is_many else text)
        self._written.add(stream)

    def _prefixed(self, index: int, name: str, text: str) -> str:
        """Whole lines of several nodes must not run into one another."""
        label = f"[{self._nodes.get(index, index)}] "
        key = (index, name)
        before = ""
        if self._last not in (None, key) and not self._at_line_start.get(self._last, True):
            before = "\n"
            self._at_line_start[key] = True
        self._last = key
        lines = text.splitlines(keepends=True)
        starts = [self._at_line_start.get(key, True), *[True] * (len(lines) - 1)]
        self._at_line_start[key] = text.endswith(("\n", "\r"))
        return before + "".join(
            label + line if start else line for start, line in zip(starts, lines, strict=True)
        )

    def _on_display(self, index: int, event: Event) -> None:
        transient = dict(event["transient"])
        if self._is_many:
            if "display_id" in transient:
                transient["display_id"] = f"{transient['display_id']}-{index}"
            if not event["update"]:
                print(f"[{self._nodes.get(index, index)}]")
        publish_display_data(
            event["data"], event["metadata"], transient=transient, update=event["update"]
        )

    def _on_clear(self, _index: int, event: Event) -> None:
        if not self._is_many:
            clear_output(wait=event["wait"])

    def _on_note(self, _index: int, event: Event) -> None:
        print(printable(event["text"]), file=sys.stderr)
        self._written.add(sys.stderr)

    def _on_error(self, index: int, event: Event) -> None:
        self.errors[index] = event

    def _on_result(self, index: int, event: Event) -> None:
        self.results[index] = event


class CellStatus:
    """A line above the output that says what the cell waits for, and in the end how long it took.

    It is not shown for a cell that ends at once, nor after the cell has shown something itself.
    """

    def __init__(self, is_kernel: bool) -> None:
        self._is_kernel = is_kernel
        self._began = time.monotonic()
        self._text = ""
        self._handle: Any = None

    @property
    def seconds(self) -> float:
        """Since the cell was sent."""
        return time.monotonic() - self._began

    @property
    def is_shown(self) -> bool:
        """Whether there is a line."""
        return bool(self._text)

    def say(self, text: str) -> None:
        """Show this instead of what was shown before."""
        text = printable_line(text)
        if text == self._text:
            return
        is_new, self._text = not self._text, text
        if not self._is_kernel:
            if is_new:  # a terminal cannot change what it has printed
                print(f"[{text}]")
        elif self._handle is None:
            self._handle = display(_line(text), raw=True, display_id=True)
        else:
            self._handle.update(_line(text), raw=True)

    def end(self, how: str) -> None:
        """Leave a line of text, where there was one: what the seconds since the start mean."""
        if self._handle is not None:
            self._handle.update(_line(f"{how} {format_seconds(self.seconds)}"), raw=True)


def _line(text: str) -> Bundle:
    return {TEXT: f"[{text}]", HTML: f'<div style="opacity: 0.65">{line_html(text)}</div>'}
