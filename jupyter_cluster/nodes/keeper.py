"""``python -m jupyter_cluster.nodes.keeper FOLDER MODULE …``: keeps one process of ours running.

``--stop FOLDER`` ends it for good, ``--hang-up FOLDER`` so that it can be started again.

Started anew when it dies, but not for ever: what dies at once again and again is left, with its
log, and the host's watch ends the host.
"""

from __future__ import annotations

import fcntl
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

# Started again at most so often within a minute.
MAX_RESTARTS = 5
# What is told to end is killed after so long.
END_SECONDS = 15
_STOPS = {"--stop": signal.SIGTERM, "--hang-up": signal.SIGHUP}


def keep(folder: Path, module: str, arguments: list[str]) -> int:
    """Run the module until it ends in peace; returns its exit code."""
    lock = (folder / "keeper.lock").open("w")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        print(f"{module} is kept running already", flush=True)
        return 0
    (folder / "keeper.pid").write_text(str(os.getpid()))
    kept = _Kept(module, arguments, folder / "logs" / f"{module.rpartition('.')[2]}.log")
    starts: list[float] = []
    while True:
        now = time.monotonic()
        starts = [at for at in starts if now - at < 60] + [now]
        code = kept.run()
        print(f"{module} ended with {code}", flush=True)
        if code == 0 or kept.is_told_to_end or len(starts) > MAX_RESTARTS:
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
        with self._log.open("ab") as output:
            self._process = subprocess.Popen(
                self._words, stdin=subprocess.DEVNULL, stdout=output, stderr=output
            )
        if self._told:  # while there was none
            self._process.send_signal(self._told)
        return self._process.wait()

    # A handler must not wait for the process: it has interrupted the one that does, in `run`.

    def _on_end(self, number: int, _frame: object) -> None:
        self._told = number
        if self._process is not None:
            self._process.send_signal(number)
        signal.alarm(END_SECONDS)

    def _on_alarm(self, _number: int, _frame: object) -> None:
        if self._process is not None:
            self._process.kill()


def stop(folder: Path, how: int = signal.SIGTERM) -> None:
    """End a keeper and what it keeps; none is no error.

    Parameters
    ----------
    how
        SIGTERM for good; SIGHUP where it is started again in a moment: a head leaves its nodes as
        they are.
    """
    try:
        pid = int((folder / "keeper.pid").read_text())
        os.kill(pid, how)
    except (OSError, ValueError):
        return
    deadline = time.monotonic() + END_SECONDS + 5
    with (folder / "keeper.lock").open("w") as lock:
        while time.monotonic() < deadline:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return
            except BlockingIOError:
                time.sleep(0.05)
    os.kill(pid, signal.SIGKILL)


def main(words: list[str]) -> int:
    """Keep, or stop what is kept."""
    if words[0] in _STOPS:
        stop(Path(words[1]), _STOPS[words[0]])
        return 0
    folder = Path(words[0])
    (folder / "logs").mkdir(mode=0o700, exist_ok=True)
    return keep(folder, words[1], words[2:])


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
