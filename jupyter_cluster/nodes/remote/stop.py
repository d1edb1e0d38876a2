"""On a host: end what is kept running in a folder, and wait until it has ended.

    python3 stop.py FOLDER                      prints "kept" where something is
    python3 stop.py FOLDER SIGNAL SECONDS

Nobody is signalled by number: the keeper itself hears it, by a pipe that is its own.
"""

from __future__ import annotations

import errno
import fcntl
import os
import sys
import time

LOCK, PIPE = "keeper.lock", "keeper.pipe"


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


if __name__ == "__main__":
    if len(sys.argv) == 2:
        print("kept" if is_kept(sys.argv[1]) else "")
    elif not stop(sys.argv[1], int(sys.argv[2]), float(sys.argv[3])):
        sys.exit("what is kept running there does not end")
