"""On a host: end what is kept running in a folder, and wait until it has ended.

    python3 stop.py FOLDER                      prints "kept" where something is
    python3 stop.py FOLDER SIGNAL SECONDS       ends what tasks have left behind, too, and
                                                commands of its set-up

Nobody is signalled by number: the keeper itself hears it, by a pipe that is its own. What tasks
have left behind, where their agent was killed with all that could have ended it, is known by the
folder that stands as a mark in its environment, and told from others by when it began.
"""

from __future__ import annotations

import errno
import fcntl
import os
import signal
import sys
import time

LOCK, PIPE = "keeper.lock", "keeper.pipe"
# In the environment of all that a node's tasks start: the node's folder.
MARK = b"JUPYTER_CLUSTER_NODE_FOLDER="
# In the environment of every command that was run on a node, as those of its set-up.
COMMANDS = b"JUPYTER_CLUSTER_HOME="
SWEEP_SECONDS = 5.0


def is_kept(folder: str) -> bool:
    """Whether a keeper lives there."""
    try:
        with open(os.path.join(folder, LOCK)) as lock:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except FileNotFoundError:
        pass  # there never was one
    return False


def stop(folder: str, how: int, seconds: float) -> bool:
    """Tell it; none is no error. Says whether it has ended in time."""
    deadline = time.monotonic() + seconds
    is_told = False
    while is_kept(folder):
        if time.monotonic() > deadline:
            return False
        is_told = is_told or tell(os.path.join(folder, PIPE), how)
        time.sleep(0.05)
    return True


def tell(path: str, how: int) -> bool:
    """Write to a pipe that somebody reads."""
    try:
        pipe = os.open(path, os.O_WRONLY | os.O_NONBLOCK)
    except OSError as error:
        if error.errno not in (errno.ENXIO, errno.ENOENT):
            raise
        return False  # the keeper has only begun
    try:
        os.write(pipe, bytes([how]))
    finally:
        os.close(pipe)
    return True


def sweep(folder: str, marks: tuple[bytes, ...] = (MARK,)) -> int:
    """Kill all that carries this folder, or one within it, as a mark; returns how many are left.

    More than once: one that is seen may be forking another. Where the system has no /proc, none is
    found.
    """
    deadline = time.monotonic() + SWEEP_SECONDS
    place = os.path.realpath(folder)
    while left := [pid for pid in _all_processes() if _kill_marked(pid, place, marks)]:
        if time.monotonic() > deadline:
            break
        time.sleep(0.02)
    return len(left)


def _all_processes() -> list[int]:
    try:
        names = os.listdir("/proc")
    except OSError:
        return []
    return [int(name) for name in names if name.isdigit() and int(name) != os.getpid()]


def _kill_marked(pid: int, folder: str, marks: tuple[bytes, ...]) -> bool:
    """Whether it has one of the marks, and was sent a signal."""
    try:
        born = _start_of(pid)
        found = _marks_of(pid, marks)
        if not any(_is_within(one, folder) for one in found) or _start_of(pid) != born:
            return False
        os.kill(pid, signal.SIGKILL)
    except OSError:  # it has ended meanwhile, or is another user's
        return False
    return True


def _start_of(pid: int) -> str:
    """When it began: no other process of its number has the same, nor does a dead one have any."""
    with open(f"/proc/{pid}/stat", "rb") as file:
        state, *rest = file.read().rpartition(b")")[2].decode().split()
    if state in "ZX":
        raise ProcessLookupError(pid)
    return rest[18]


def _marks_of(pid: int, marks: tuple[bytes, ...]) -> list[str]:
    with open(f"/proc/{pid}/environ", "rb") as file:
        words = file.read().split(b"\0")
    return [os.fsdecode(word[len(m) :]) for m in marks for word in words if word.startswith(m)]


def _is_within(mark: str, folder: str) -> bool:
    there = os.path.realpath(mark) if mark else ""
    return there == folder or there.startswith(folder + os.sep)


if __name__ == "__main__":
    if len(sys.argv) == 2:
        print("kept" if is_kept(sys.argv[1]) else "")
    elif not stop(sys.argv[1], int(sys.argv[2]), float(sys.argv[3])):
        sys.exit("what is kept running there does not end")
    elif sweep(sys.argv[1], (MARK, COMMANDS)):
        sys.exit("what tasks or commands have started there does not end")
