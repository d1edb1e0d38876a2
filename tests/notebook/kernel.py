"""A real kernel for a test module, and what its cells show."""

from __future__ import annotations

import os
import re
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import nbformat
from helpers import eventually
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError

STATUS = re.compile(r"\[(waiting|running|ran|failed|stopped).*\]", re.DOTALL)
ANSI = re.compile(r"\x1b\[[0-9;]*m")


class Shown:
    """A cell that was run, with its outputs as they are in the end."""

    def __init__(self, cell: Any) -> None:
        self.outputs: list[Any] = cell.outputs
        self.number: int = cell.execution_count

    def printed(self, name: str = "stdout") -> str:
        """What it has printed."""
        streams = [o for o in self.outputs if o.output_type == "stream" and o.name == name]
        return "".join(output.text for output in streams)

    @property
    def bundles(self) -> list[dict[str, Any]]:
        """What it has displayed; not its value, nor the line of a cell that takes its time."""
        return [data for data in self._displayed if not _is_status(data)]

    @property
    def status(self) -> dict[str, Any]:
        """The line of a cell that takes its time, as it is in the end."""
        (status,) = filter(_is_status, self._displayed)
        return status

    @property
    def _displayed(self) -> list[dict[str, Any]]:
        return [o.data for o in self.outputs if o.output_type == "display_data"]

    @property
    def value(self) -> str:
        """Its ``Out[…]`` as text."""
        (result,) = (o for o in self.outputs if o.output_type == "execute_result")
        return str(result.data["text/plain"])

    @property
    def has_value(self) -> bool:
        """Whether there is an ``Out[…]``."""
        return any(o.output_type == "execute_result" for o in self.outputs)

    @property
    def error(self) -> Any:
        """The error that it shows."""
        (error,) = (o for o in self.outputs if o.output_type == "error")
        return error

    @property
    def traceback(self) -> str:
        """The traceback that it shows, without colours."""
        return ANSI.sub("", "\n".join(self.error.traceback))


def _is_status(data: dict[str, Any]) -> bool:
    return STATUS.fullmatch(data.get("text/plain", "")) is not None


class Kernel:
    """Runs cells, one after another."""

    def __init__(self, client: NotebookClient) -> None:
        self._client = client

    def run(self, source: str) -> Shown:
        """Run a cell to its end, whatever it raises."""
        cell = nbformat.v4.new_code_cell(source)
        self._client.nb.cells.append(cell)
        try:
            self._client.execute_cell(cell, len(self._client.nb.cells) - 1)
        except CellExecutionError:
            pass
        return Shown(cell)

    def run_and_interrupt(self, source: str, sign: Path) -> Shown:
        """Run a cell and press Ctrl-C once a file is there."""

        def interrupt() -> None:
            eventually(sign.exists)
            os.kill(self._client.km.provisioner.pid, signal.SIGINT)

        thread = threading.Thread(target=interrupt)
        thread.start()
        shown = self.run(source)
        thread.join()
        return shown


@contextmanager
def kernel(folder: Path) -> Iterator[Kernel]:
    """A kernel that runs in a folder."""
    client = NotebookClient(
        nbformat.v4.new_notebook(),
        timeout=60,
        kernel_name="python3",
        allow_errors=True,
        coalesce_streams=True,
        resources={"metadata": {"path": str(folder)}},
    )
    with client.setup_kernel():
        yield Kernel(client)
