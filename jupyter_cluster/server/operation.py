"""One start or end of a cluster, as a process of its own: ``python -m … FILE LOCK VERB …``.

It goes on whatever becomes of the server or of the page that has asked for it. Its file is all that
is known of it: what it says, a line of JSON each, and whether it goes on, since it holds a lock on
the file for as long as it lives: LOCK is the descriptor that has it. A file beside it asks it to
stop.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

from jupyter_cluster.commands.console import cannot_ask
from jupyter_cluster.errors import UsageError

if TYPE_CHECKING:
    from jupyter_cluster.client.registry import Entry
    from jupyter_cluster.commands.tables import Table

# How often it looks whether it is to stop.
_LOOK_SECONDS = 0.3


def stop_file(file: Path) -> Path:
    """What asks an operation to stop, when it is there."""
    return file.with_suffix(".stop")


class Reporter:
    """The console of a verb that nobody looks at yet: what it shows goes into a file."""

    program = "jupyter-cluster"

    def __init__(self, file: TextIO) -> None:
        self._file = file

    def show(self, *parts: str | Table) -> None:
        for part in parts:
            if isinstance(part, str):
                self._write(line=part)

    def json(self, value: Any) -> None:
        self._write(line=json.dumps(value))

    def notice(self, text: str) -> None:
        self._write(line=text)

    def chart(self, make: Callable[[], Any]) -> None:
        """There is nowhere to show one."""

    def panel(self, place: Entry) -> None:
        raise UsageError("there is no panel here")

    def dashboard(self, place: Entry, port: int, browser: bool) -> None:
        raise UsageError("there is no dashboard here")

    @contextmanager
    def step(self, text: str) -> Iterator[_Step]:
        yield _Step(self._write)

    def ask(self, question: str) -> bool:
        raise UsageError(cannot_ask(question))

    def ended(self, problem: str) -> None:
        """Say that it is over; with why it has failed, if it has."""
        self._write(ended=problem)

    def _write(self, **said: Any) -> None:
        self._file.write(json.dumps(said) + "\n")
        self._file.flush()


class _Step:
    def __init__(self, write: Callable[..., None]) -> None:
        self._write = write

    def update(self, text: str, done: int = 0, total: int = 0) -> None:
        self._write(step=text, done=done, total=total)


def main(arguments: Sequence[str]) -> int:
    """Run a verb to its end; returns 0, or 1 where it has failed."""
    from jupyter_cluster.commands import parse, run
    from jupyter_cluster.errors import ClusterError

    file, lock = Path(arguments[0]), int(arguments[1])
    os.set_inheritable(lock, False)  # what it starts may outlive it
    with os.fdopen(lock, "a") as lines:
        threading.Thread(target=_stop_when_asked, args=(stop_file(file),), daemon=True).start()
        reporter, problem = Reporter(lines), ""
        try:
            run(parse(arguments[2:]), reporter)
        except KeyboardInterrupt:
            problem = "it was interrupted"
        except ClusterError as error:
            problem = str(error)
        except OSError as error:  # e.g. a disk that is full, wherever it was met
            where = "" if error.filename is None else f": {error.filename}"
            problem = f"{error.strerror or type(error).__name__}{where}"
        reporter.ended(problem)
    return 1 if problem else 0


def _stop_when_asked(file: Path) -> None:
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    pause = threading.Event()
    while not file.exists():
        pause.wait(_LOOK_SECONDS)
    os.kill(os.getpid(), signal.SIGINT)  # as Ctrl-C: the main thread leaves everything in order


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
