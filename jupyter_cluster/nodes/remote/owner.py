"""On a host: run a program in the cluster's folder, as the one to whom that belongs.

    sudo python3 owner.py FOLDER PROGRAM ...

With a container the folder belongs to the container's user, who may not even be known on the host,
nor be let through to the folder from above.
"""

from __future__ import annotations

import os
import sys


def main(folder: str, *words: str) -> None:
    """See the module."""
    os.chdir(folder)
    owner = os.stat(".")
    os.setgroups([])
    os.setgid(owner.st_gid)
    os.setuid(owner.st_uid)
    os.execvp(words[0], words)


if __name__ == "__main__":
    main(*sys.argv[1:])
