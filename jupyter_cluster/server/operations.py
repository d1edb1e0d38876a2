"""Starts and ends of clusters that go on by themselves, and what is known of each."""

from __future__ import annotations

import fcntl
import json
import os
import subprocess
import time
import uuid
from collections import deque
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

from jupyter_cluster.background import start_thread
from jupyter_cluster.client.registry import home
from jupyter_cluster.errors import ClusterError
from jupyter_cluster.formats import counted, printable, shortened
from jupyter_cluster.server.operation import stop_file
from jupyter_cluster.viewmodel.model import Action, Bar, Operation, Share, Words

Verb = Literal["up", "down"]

# What is shown of an operation's lines, and read of its file.
SHOWN_LINES, LINE_CHARACTERS, READ_BYTES = 100, 500, 100_000
# One that is over is forgotten after so long; one that has failed stays until somebody has seen it.
KEPT_SECONDS, KEPT_FAILED_SECONDS = 60.0, 24 * 3600.0
DOING = {"up": "starting", "down": "ending"}
DONE = {"up": "started", "down": "ended"}


def folder() -> Path:
    """Where operations are, for all servers of this user."""
    return home() / "operations"


def begin(verb: Verb, cluster: str, words: Sequence[str], python: str, cwd: Path) -> Operation:
    """Start a verb as a process of its own; one that does the same already is taken instead.

    Parameters
    ----------
    words
        The rest of its line.
    python
        The interpreter that runs it.

    Raises
    ------
    ClusterError
        The operating system refuses.
    """
    for one in operations():
        if (one.verb, one.cluster, one.is_over) == (verb, cluster, False):
            return one
    name = uuid.uuid4().hex[:12]
    file = folder() / f"{name}.jsonl"
    try:
        folder().mkdir(mode=0o700, parents=True, exist_ok=True)
        _spawn(file, {"verb": verb, "cluster": cluster}, [verb, *words], python, cwd)
    except OSError as error:
        what = f"{error.strerror or type(error).__name__}: {error.filename or file}"
        raise ClusterError(f"cluster {cluster!r} cannot be {DONE[verb]}: {what}") from error
    return find(name)


def _spawn(file: Path, first: dict[str, Any], line: list[str], python: str, cwd: Path) -> None:
    lock = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    said = os.open(file, os.O_WRONLY | os.O_APPEND)  # what else is printed, without the lock
    try:
        os.write(lock, json.dumps(first).encode() + b"\n")
        fcntl.flock(lock, fcntl.LOCK_EX)
        # -P: a module of the user's must not stand in for one that we import.
        command = [python, "-P", "-m", "jupyter_cluster.server.operation", str(file), str(lock)]
        process = subprocess.Popen(
            [*command, *line],
            cwd=cwd,
            pass_fds=[lock],
            stdin=subprocess.DEVNULL,
            stdout=said,
            stderr=said,
            start_new_session=True,
        )
        start_thread(f"waiting for operation {file.stem}", process.wait)
    finally:
        os.close(said)
        os.close(lock)


def operations() -> list[Operation]:
    """All that go on, have not been over for long, or have failed; newest first.

    Of a cluster with which something else was begun since, only that.
    """
    try:
        files = [(file.stat().st_mtime, file) for file in folder().glob("*.jsonl")]
    except OSError:
        return []
    found: list[Operation] = []
    for changed, file in sorted(files, reverse=True):
        one = _read(file)
        is_superseded = any(newer.cluster == one.cluster for newer in found)
        if one.is_over and (is_superseded or time.time() - changed > _kept_seconds(one)):
            _remove(file)
        else:
            found.append(one)
    return found


def find(name: str) -> Operation:
    """An operation by its id.

    Raises
    ------
    NoOperationError
        There is none.
    """
    file = _file(name)
    if not file.is_file():
        raise NoOperationError(f"there is no operation {shortened(name)}")
    return _read(file)


def interrupt(name: str) -> str:
    """Have an operation stop as by Ctrl-C, or forget one that is over; says which.

    Raises
    ------
    NoOperationError
        There is none.
    """
    one = find(name)
    if one.is_over:
        _remove(_file(name))
        return "It is forgotten."
    stop_file(_file(name)).touch(mode=0o600)
    return f"{_title(one.verb, one.cluster)} is being interrupted."


class NoOperationError(ClusterError):
    """There is no such operation."""


def _file(name: str) -> Path:
    if not name.isalnum():
        raise NoOperationError(f"there is no operation {shortened(ascii(name))}")
    return folder() / f"{name}.jsonl"


def _remove(file: Path) -> None:
    for one in (file, stop_file(file)):
        one.unlink(missing_ok=True)


def _kept_seconds(one: Operation) -> float:
    return KEPT_FAILED_SECONDS if one.state.meaning == "bad" else KEPT_SECONDS


def _read(file: Path) -> Operation:
    goes_on = _is_locked(file)  # asked first: what it says at last is then read in any case
    first, said = _content(file)
    verb: Verb = "down" if first.get("verb") == "down" else "up"
    cluster = str(first.get("cluster", ""))
    lines: deque[str] = deque(maxlen=SHOWN_LINES)
    bar, problem = None, None
    for one in said:
        bar = _bar(one) if "step" in one else bar
        problem = str(one["ended"]) if "ended" in one else problem
        for text in (str(one[key]) for key in ("step", "line") if key in one):
            if not lines or lines[-1] != text:
                lines.append(shortened(printable(text), LINE_CHARACTERS))
    if problem is None and not goes_on:
        problem = lines[-1] if lines else "its process was ended from outside"
    return Operation(
        id=file.stem,
        verb=verb,
        cluster=cluster,
        state=_state(verb, cluster, problem),
        lines=list(lines),
        bar=None if problem is not None else bar,
        is_over=problem is not None,
        interrupt=None
        if problem is not None
        else Action("interrupt", "interrupt", _title(verb, cluster), file.stem),
    )


def _state(verb: Verb, cluster: str, problem: str | None) -> Words:
    if problem is None:
        return Words(_title(verb, cluster), "warn")
    if not problem:
        return Words(f"cluster {cluster!r} has {DONE[verb]}", "good")
    return Words(f"cluster {cluster!r} could not be {DONE[verb]}", "bad", problem)


def _title(verb: Verb, cluster: str) -> str:
    return f"{DOING[verb]} cluster {cluster!r}"


def _bar(step: dict[str, Any]) -> Bar | None:
    done, total = step.get("done"), step.get("total")
    if not (isinstance(done, int) and isinstance(total, int) and total > 0):
        return None
    share = min(1.0, max(0.0, done / total))
    return Bar([Share(share, "good")], f"{done} of {counted(total, 'node')}")


def _is_locked(file: Path) -> bool:
    try:
        with file.open() as opened:
            fcntl.flock(opened, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False
    return False


def _content(file: Path) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """The first record, and the newest of the others; what is no record is a line."""
    try:
        with file.open("rb") as opened:
            first = opened.readline(READ_BYTES)
            opened.seek(max(opened.tell(), os.fstat(opened.fileno()).st_size - READ_BYTES))
            rest = opened.read(READ_BYTES).decode(errors="replace")
    except OSError:
        return {}, []
    return _record(first.decode(errors="replace")), [_record(line) for line in rest.splitlines()]


def _record(line: str) -> dict[str, Any]:
    try:
        content = json.loads(line)
    except (ValueError, RecursionError):
        content = None
    return content if isinstance(content, dict) else {"line": line}
