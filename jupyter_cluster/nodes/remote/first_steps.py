"""On a host: wait until its own first steps leave the package manager alone.

    python3 first_steps.py SECONDS [FOLDER]

A host that has just booted is configured by cloud-init and upgrades itself; meanwhile these hold
apt's locks, and an apt that finds them held gives up. After the time nobody is waited for: apt
itself says then who holds what. FOLDER stands for ``/``.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time

LOCKS = (
    "var/lib/dpkg/lock-frontend",
    "var/lib/dpkg/lock",
    "var/lib/apt/lists/lock",
    "var/cache/apt/archives/lock",
)
_PAUSE_SECONDS = 0.2


def main(seconds: float, folder: str = "/") -> None:
    """See the module."""
    deadline = time.monotonic() + seconds
    if shutil.which("cloud-init"):
        words = ["timeout", str(seconds), "cloud-init", "status", "--wait"]
        subprocess.call(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    while is_busy(folder) and time.monotonic() < deadline:
        time.sleep(_PAUSE_SECONDS)


def is_busy(folder: str) -> bool:
    """Whether somebody holds a lock of apt's.

    The kernel's list is read: who tried a lock would hold it, and apt would give up because of us.
    """
    files = set()
    for name in LOCKS:
        try:
            files.add(os.stat(os.path.join(folder, name)).st_ino)
        except OSError:
            continue  # there is no apt, or it has locked nothing yet
    try:
        with open("/proc/locks") as lines:
            held = [line.split() for line in lines]
    except OSError:
        return False
    # "1: POSIX ADVISORY WRITE PID MAJOR:MINOR:INODE START END"; who waits has "->" before POSIX
    return any(words[1] == "POSIX" and int(words[5].rpartition(":")[2]) in files for words in held)


if __name__ == "__main__":
    main(float(sys.argv[1]), *sys.argv[2:3])
