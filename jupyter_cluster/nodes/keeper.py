"""``python -m jupyter_cluster.nodes.keeper FOLDER MODULE …``: keeps one process of ours running.

``--stop FOLDER`` ends it for good, ``--hang-up FOLDER`` so that it can be started again. Both are
told by a named pipe, which only a keeper that lives reads: a number of a process in a file may be
that of a stranger by now, or belong to the inside of a container.

Started anew when it dies, at once the first times and then after ever longer pauses: a disk that is
full now has room one day. Whether a host is of any use its own watch and the head decide.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from jupyter_cluster.background import start_thread
from jupyter_cluster.nodes.remote.stop import LOCK, PIPE, stop, sweep

# What keeps dying is started again after pauses that double; one that has lived so long has got
# over what its forerunner died of.
FIRST_PAUSE, LONGEST_PAUSE, WELL_SECONDS = 0.5, 30.0, 60.0
# What is told to end is killed after so long.
END_SECONDS = 15
_STOPS = {"--stop": signal.SIGTERM, "--hang-up": signal.SIGHUP}


def keep(folder: Path, module: str, arguments: list[str]) -> int:
    """Run the module until it ends in peace; returns its exit code."""
    lock = (folder / LOCK).open("w")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        print(f"{module} is kept running already", flush=True)
        return 0
    kept = _Kept(module, arguments, folder / "logs" / f"{module.rpartition('.')[2]}.log")
    _listen(folder / PIPE)
    deaths = 0
    while True:
        began = time.monotonic()
        code = kept.run()
        sweep(str(folder))  # what a node that was killed could not end itself
        if code == 0 or kept.is_told_to_end:
            print(f"{module} ended with {code}", flush=True)
            return code
        deaths = 1 if time.monotonic() - began > WELL_SECONDS else deaths + 1
        pause = min(LONGEST_PAUSE, FIRST_PAUSE * 2 ** (deaths - 3)) if deaths > 2 else 0
        with contextlib.suppress(OSError):  # the disk may be full
            print(f"{module} ended with {code}: starting it again in {pause:g} s", flush=True)
        kept.wait(pause)
        if kept.is_told_to_end:
            return code


class _Kept:
    """What is kept running; SIGTERM and SIGHUP are passed on to it, and it has a while to end."""

    def __init__(self, module: str, arguments: list[str], log: Path) -> None:
        self._words = [sys.executable, "-P", "-m", module, *arguments]
        self._log = log
        self._process: subprocess.Popen[bytes] | None = None
        self._told = 0
        for number in (signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, self._on_end)
        signal.signal(signal.SIGALRM, self._on_alarm)

    @property
    def is_told_to_end(self) -> bool:
        """Whether it is not to be started again."""
        return bool(self._told)

    def run(self) -> int:
        """Once; returns its exit code."""
        try:
            with self._log.open("ab") as output:
                self._process = subprocess.Popen(
                    self._words, stdin=subprocess.DEVNULL, stdout=output, stderr=output
                )
        except OSError as error:  # no room, no process, no memory is left for it now
            print(f"{self._words[3]} could not be started: {error}", flush=True)
            return 1
        if self._told:  # while there was none
            self._process.send_signal(self._told)
        return self._process.wait()

    def wait(self, seconds: float) -> None:
        """Until so much time has passed, or it is told to end."""
        until = time.monotonic() + seconds
        while time.monotonic() < until and not self._told:
            time.sleep(0.05)

    # A handler must not wait for the process: it has interrupted the one that does, in `run`.

    def _on_end(self, number: int, _frame: object) -> None:
        self._told = number
        if self._process is not None:
            self._process.send_signal(number)
        signal.alarm(END_SECONDS)

    def _on_alarm(self, _number: int, _frame: object) -> None:
        if self._process is not None:
            self._process.kill()


def _listen(path: Path) -> None:
    """Send oneself the signals that are written to a pipe."""
    path.unlink(missing_ok=True)
    os.mkfifo(path, 0o600)
    # With an end to write of its own, so that it never ends.
    pipe = os.open(path, os.O_RDWR)

    def read() -> None:
        while data := os.read(pipe, 1):
            if data[0] in _STOPS.values():
                os.kill(os.getpid(), data[0])

    start_thread("listening for the end", read)


def main(words: list[str]) -> int:
    """Keep, or stop what is kept."""
    if words[0] in _STOPS:
        return 0 if stop(words[1], _STOPS[words[0]], END_SECONDS + 5) else 1
    folder = Path(words[0])
    (folder / "logs").mkdir(mode=0o700, exist_ok=True)
    return keep(folder, words[1], words[2:])


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
