"""``python -m jupyter_cluster.nodes.keeper FOLDER MODULE …``: keeps one process of ours running.

Started anew when it dies, but not for ever: what dies at once again and again is left, with its
log, and the host's watch ends the host.
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

# Started again at most so often within a minute.
MAX_RESTARTS = 5
_END_SECONDS = 15.0


def keep(folder: Path, module: str, arguments: list[str]) -> int:
    """Run the module until it ends in peace; returns its exit code."""
    lock = (folder / "keeper.lock").open("w")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        print(f"{module} is kept running already", flush=True)
        return 0
    (folder / "keeper.pid").write_text(str(os.getpid()))
    log = folder / "logs" / f"{module.rpartition('.')[2]}.log"
    starts: list[float] = []
    while True:
        now = time.monotonic()
        starts = [at for at in starts if now - at < 60] + [now]
        code = _run_once(module, arguments, log)
        print(f"{module} ended with {code}", flush=True)
        if code == 0 or len(starts) > MAX_RESTARTS:
            return code


def _run_once(module: str, arguments: list[str], log: Path) -> int:
    with log.open("ab") as output:
        process = subprocess.Popen(
            [sys.executable, "-P", "-m", module, *arguments],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
        )

    def pass_on(number: int, _frame: object) -> None:
        process.send_signal(number)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(_END_SECONDS)
        process.kill()
        sys.exit(0)

    signal.signal(signal.SIGTERM, pass_on)
    return process.wait()


def stop(folder: Path) -> None:
    """End a keeper and what it keeps; none is no error."""
    try:
        pid = int((folder / "keeper.pid").read_text())
        os.kill(pid, signal.SIGTERM)
    except (OSError, ValueError):
        return
    deadline = time.monotonic() + _END_SECONDS + 5
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
    if words[0] == "--stop":
        stop(Path(words[1]))
        return 0
    folder = Path(words[0])
    (folder / "logs").mkdir(mode=0o700, exist_ok=True)
    return keep(folder, words[1], words[2:])


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
