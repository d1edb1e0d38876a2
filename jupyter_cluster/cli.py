"""The terminal: ``jupyter-cluster VERB …``, which is also ``jupyter cluster VERB …``."""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Sequence
from typing import Any

from jupyter_cluster.interrupts import end_at_once, interrupts

FAILED, WRONG_USAGE = 1, 2
INTERRUPTED = 130  # 128 + SIGINT, as shells report it


def main(words: Sequence[str] | None = None) -> int:
    """Run a line; returns the exit code.

    Parameters
    ----------
    words
        The line without the program's name; by default that of this process.

    Returns
    -------
    int
        0; 1 where it failed; 2 where the line cannot be; 130 where Ctrl-C ended it.
    """
    _print_what_can_be_printed()
    try:
        with interrupts():
            return _run(sys.argv[1:] if words is None else words)
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:
        # Who reads has had enough, e.g. `| head`; the flush at exit must not complain again.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return FAILED
    finally:
        if words is None:
            end_at_once()


def _print_what_can_be_printed() -> None:
    """A terminal that has no × shows a question mark, which is no reason to fail."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")


def _run(words: Sequence[str]) -> int:
    from jupyter_cluster.commands import TextRequested, parse, run
    from jupyter_cluster.commands.terminal import Terminal
    from jupyter_cluster.errors import ClusterError, UsageError
    from jupyter_cluster.formats import printable

    try:
        answer = run(parse(words), Terminal(serve=_serve))
        return answer if isinstance(answer, int) else 0
    except TextRequested as text:
        print(printable(str(text)))
        return 0
    except ClusterError as error:
        print(f"jupyter-cluster: {printable(str(error))}", file=sys.stderr)
        return WRONG_USAGE if isinstance(error, UsageError) else FAILED
    except BrokenPipeError:
        raise
    except OSError as error:  # e.g. a disk that is full, wherever it was met
        what = error.strerror or type(error).__name__
        where = "" if error.filename is None else f": {error.filename}"
        print(f"jupyter-cluster: {printable(what + where)}", file=sys.stderr)
        return FAILED


def _serve(*arguments: Any) -> None:
    from jupyter_cluster.server.alone import serve

    serve(*arguments)


if __name__ == "__main__":
    sys.exit(main())
