"""Runs measurements one after the other, each in a fresh process that leaves nothing behind."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory

import psutil

from benchmarks.cases import count_for
from benchmarks.measurement import Answer, Order
from benchmarks.peers import PEERS

ROOT = Path(__file__).resolve().parent.parent
# In the environment of all processes of a measurement, whatever session they put themselves in.
_MARK = "JUPYTER_CLUSTER_BENCHMARK"


@dataclass(frozen=True)
class Plan:
    """What a run measures.

    Attributes
    ----------
    limit : float
        Seconds that one measurement may take.
    """

    cases: tuple[str, ...]
    peers: tuple[str, ...]
    rounds: int
    cores: int
    images: tuple[str, ...]
    is_quick: bool
    limit: float


@dataclass(frozen=True)
class Sample:
    """One measurement.

    Attributes
    ----------
    value : float or None
        In the unit of the case; None where there is none, and then `problem` says why.
    load : float
        Load average of the last minute before it began.
    """

    case: str
    peer: str
    round: int
    count: int
    load: float
    value: float | None = None
    digest: str = ""
    problem: str = ""


def missing(peers: Sequence[str]) -> dict[str, str]:
    """The peers that are not installed, with the package that each needs."""
    needed = {peer: PEERS[peer].package for peer in peers}
    return {peer: name for peer, name in needed.items() if name and find_spec(name) is None}


def run(plan: Plan) -> Iterator[Sample]:
    """Measure round by round; every round begins with another peer, so that none is always last."""
    for number in range(plan.rounds):
        for case in plan.cases:
            able = [peer for peer in plan.peers if case in PEERS[peer].cases]
            for peer in _rotated(able, number):
                yield _measure(plan, case, peer, number)


def _rotated(peers: list[str], by: int) -> list[str]:
    at = by % len(peers) if peers else 0
    return peers[at:] + peers[:at]


def _measure(plan: Plan, case: str, peer: str, number: int) -> Sample:
    count = count_for(case, peer, plan.is_quick, len(plan.images))
    load = os.getloadavg()[0]
    with TemporaryDirectory(prefix="bench-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        images = plan.images if case == "palettes" else ()
        answer_file = str(folder / "answer.json")
        order = Order(peer, case, count, plan.cores, images, time.monotonic(), answer_file)
        problem = _execute(order, folder, plan.limit)
        if problem:
            return Sample(case, peer, number, count, load, problem=problem)
        answer = Answer(**json.loads(Path(answer_file).read_text()))
    return Sample(case, peer, number, count, load, answer.value, answer.digest)


def _execute(order: Order, folder: Path, limit: float) -> str:
    """Run a measurement; returns why it gave no answer, or nothing."""
    mark = uuid.uuid4().hex
    log = folder / "log"
    command = [sys.executable, "-m", "benchmarks.measurement", order.as_json()]
    environment = _environment(folder, mark)
    try:
        with log.open("wb") as file:
            # A session of its own: Ctrl-C is for us, who then end it.
            code = subprocess.Popen(
                command,
                cwd=folder,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=file,
                start_new_session=True,
            ).wait(limit)
    except subprocess.TimeoutExpired:
        return f"not done after {limit:.0f} s"
    finally:
        _end_all(mark)
    return f"exit code {code}: {_last_line(log)}" if code else ""


def _environment(folder: Path, mark: str) -> dict[str, str]:
    """What a peer keeps on disk goes into the measurement's folder; it reports to nobody."""
    private = ("JUPYTER_CLUSTER_HOME", "IPYTHONDIR", "RAY_TMPDIR", "TMPDIR")
    paths = [str(ROOT), os.environ.get("PYTHONPATH", "")]
    return {
        **os.environ,
        **dict.fromkeys(private, str(folder)),
        "PYTHONPATH": os.pathsep.join(filter(None, paths)),
        "RAY_USAGE_STATS_ENABLED": "0",
        _MARK: mark,
    }


def _end_all(mark: str) -> None:
    """End what still runs of a measurement, children too: some overwrite their environment."""
    found = {process for process in psutil.process_iter() if _has_mark(process, mark)}
    for process in tuple(found):
        try:
            found |= set(process.children(recursive=True))
        except psutil.NoSuchProcess:
            pass  # it has ended meanwhile
    for process in found:
        try:
            process.kill()
        except psutil.NoSuchProcess:
            pass  # as above
    psutil.wait_procs(found, timeout=10)


def _has_mark(process: psutil.Process, mark: str) -> bool:
    try:
        return process.environ().get(_MARK) == mark
    except (psutil.Error, OSError):
        return False  # it has ended, or belongs to somebody else


def _last_line(log: Path) -> str:
    lines = [line.strip() for line in log.read_text(errors="replace").splitlines()]
    return next((line for line in reversed(lines) if line), "it wrote nothing")
