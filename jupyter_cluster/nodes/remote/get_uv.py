"""On a host: fetch uv from the package index that pip would use.

    python3 get_uv.py TARGET

uv is one static program in a wheel; its digest is checked against what the index says.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import platform
import sys
import urllib.parse
import urllib.request
import zipfile
from typing import Any

from files import PIECE, show_progress  # type: ignore[import-not-found] # beside it on the host

DEFAULT = "https://pypi.org/simple/"
ACCEPT = "application/vnd.pypi.simple.v1+json"


def index_address() -> str:
    """Of the index that pip and uv are told to use."""
    for name in ("UV_DEFAULT_INDEX", "UV_INDEX_URL", "PIP_INDEX_URL"):
        if os.environ.get(name):
            return os.environ[name].rstrip("/") + "/"
    return DEFAULT


def fits(name: str) -> bool:
    """Whether a wheel is for this machine."""
    machine = {"arm64": "aarch64", "amd64": "x86_64"}.get(platform.machine(), platform.machine())
    return name.endswith(f"_{machine}.whl") and "manylinux" in name


def version(name: str) -> list[int]:
    """Of a wheel, to be compared."""
    parts = name.split("-")[1].split(".")
    return [int(part) if part.isdigit() else -1 for part in parts]


def read(answer: Any) -> bytes:
    """All of an answer; the host's watch is shown that it comes."""
    pieces = []
    while piece := answer.read(PIECE):
        pieces.append(piece)
        show_progress()
    return b"".join(pieces)


def main(target: str) -> None:
    """Fetch it, where it is not there yet."""
    if os.access(target, os.X_OK):
        return
    page = urllib.parse.urljoin(index_address(), "uv/")
    request = urllib.request.Request(page, headers={"Accept": ACCEPT})
    with urllib.request.urlopen(request, timeout=30) as answer:
        files = [file for file in json.load(answer)["files"] if fits(file["filename"])]
    if not files:
        sys.exit(f"the package index {page} has no uv for {platform.machine()}")
    newest = max(files, key=lambda file: version(file["filename"]))
    with urllib.request.urlopen(urllib.parse.urljoin(page, newest["url"]), timeout=120) as answer:
        wheel = read(answer)
    if hashlib.sha256(wheel).hexdigest() != newest["hashes"]["sha256"]:
        sys.exit("{} arrived damaged".format(newest["filename"]))
    with zipfile.ZipFile(io.BytesIO(wheel)) as archive:
        name = next(n for n in archive.namelist() if n.endswith(".data/scripts/uv"))
        program = archive.read(name)
    os.makedirs(os.path.dirname(target), exist_ok=True)
    with open(target + ".part", "wb") as file:
        file.write(program)
    os.chmod(target + ".part", 0o755)
    os.replace(target + ".part", target)


if __name__ == "__main__":
    main(os.path.expanduser(sys.argv[1]))
