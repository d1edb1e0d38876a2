"""Which process somebody is, so that others on the same machine can see that it has ended.

A connection that breaks may be made again; by a process that has ended it never will.
"""

from __future__ import annotations

import os
from pathlib import Path

_BOOT = Path("/proc/sys/kernel/random/boot_id")
_ROOM = "/proc/self/ns/pid"


def identity() -> str:
    """This process, as others can find it; empty where there is no ``/proc``."""
    where = _machine()
    return f"{where} {os.getpid()} {_start(os.getpid())}" if where else ""


def has_ended(process: str) -> bool:
    """Whether it was a process of this machine and runs no more; False where nobody can tell."""
    where, _, rest = process.rpartition(" ")[0].rpartition(" ")
    if not where or where != _machine() or not rest.isdecimal():
        return False
    return _start(int(rest)) != process.rpartition(" ")[2]


def _machine() -> str:
    """The boot of the machine and, of a container, the room in which numbers mean processes."""
    try:
        return f"{_BOOT.read_text().strip()} {os.readlink(_ROOM)}"
    except OSError:
        return ""


def _start(pid: int) -> str:
    """When a process began, in ticks since the boot; empty where it has ended."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()
    except OSError:
        return ""
    return "" if fields[0] in (b"Z", b"X") else fields[19].decode()
