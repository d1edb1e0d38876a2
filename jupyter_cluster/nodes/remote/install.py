"""On a node, with its own new Python: install the notebook's packages with uv.

    python install.py UV REQUIREMENTS WHEEL

Versions that do not exist for this platform are named and left to the index: an environment with
one package of another version is of more use than none.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor

_AS_PIP = {
    "UV_DEFAULT_INDEX": "PIP_INDEX_URL",
    "UV_INDEX": "PIP_EXTRA_INDEX_URL",
    "UV_INSECURE_HOST": "PIP_TRUSTED_HOST",
}


def install(uv: str, *words: str) -> subprocess.CompletedProcess[str]:
    """Run uv for this environment."""
    command = [uv, "pip", "install", "--quiet", "--python", sys.executable, *words]
    done = subprocess.run(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        env={**as_pip_is_told(os.environ), **os.environ},
    )
    done.stdout = without_passwords(done.stdout)
    return done


def as_pip_is_told(environment: Mapping[str, str]) -> dict[str, str]:
    """What uv does not read of pip's settings; in its environment, which nobody else can read."""
    return {name: environment[of] for name, of in _AS_PIP.items() if environment.get(of)}


def without_passwords(text: str) -> str:
    """An index may be named with its password in what uv says about it."""
    return re.sub(r"(?<=://)[^/\s@]+@", "", text)


def is_there(uv: str, requirement: str) -> bool:
    """Whether the index has a wheel of it for this platform."""
    words = ["--dry-run", "--no-deps", "--only-binary", ":all:", requirement]
    return install(uv, *words).returncode == 0


def main(uv: str, path: str, *more: str) -> None:
    """See the module."""
    with open(path) as file:
        wanted = [line.strip() for line in file if line.strip()]
    done = install(uv, "--only-binary", ":all:", "--requirement", path, *more)
    if done.returncode == 0:
        return
    with ThreadPoolExecutor(8) as threads:
        there = list(threads.map(lambda one: is_there(uv, one), wanted))
    found = dict(zip(wanted, there))  # noqa: B905 - `strict` is of Python 3.10
    missing = [one for one in wanted if not found[one]]
    if not missing:
        sys.exit(done.stdout)
    print("not on the index for this platform, taken in another version: " + ", ".join(missing))
    relaxed = [one for one in wanted if found[one]]
    names = [one.partition("==")[0] for one in missing]
    done = install(uv, *relaxed, *names, *more)
    if done.returncode == 0:
        return
    # What the index has in no version at all is left out, and named.
    gone = [name for name in names if not is_there(uv, name)]
    print("not on the index at all, left out: " + ", ".join(gone))
    done = install(uv, *relaxed, *[name for name in names if name not in gone], *more)
    if done.returncode:
        sys.exit(done.stdout)


if __name__ == "__main__":
    main(*sys.argv[1:])
