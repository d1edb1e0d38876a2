"""A Jupyter server of a test, and browsers that visit it."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from http.cookiejar import CookieJar
from pathlib import Path

from helpers import eventually, free_port


@contextlib.contextmanager
def jupyter_server(root: Path, token: str) -> Iterator[str]:
    """A Jupyter server that asks for a token; yields its address."""
    port = free_port()
    command = [sys.executable, "-m", "jupyter_server", "--no-browser", "--allow-root"]
    command += [
        f"--port={port}",
        "--ServerApp.port_retries=0",
        f"--IdentityProvider.token={token}",
        "--ServerApp.base_url=/lab1/",
    ]
    folders = {f"JUPYTER_{kind}_DIR": str(root / kind) for kind in ("CONFIG", "DATA", "RUNTIME")}
    with (root / "log").open("w") as log:
        process = subprocess.Popen(
            command, env={**os.environ, **folders}, cwd=root, stdout=log, stderr=log
        )
    address = f"http://127.0.0.1:{port}/lab1/"

    def answers() -> bool:
        assert process.poll() is None, (root / "log").read_text()
        with contextlib.suppress(OSError):
            return bool(urllib.request.urlopen(f"{address}api", timeout=5))
        return False

    try:
        eventually(answers, 60)
        yield address
    finally:
        process.terminate()
        process.wait(60)


def browser() -> urllib.request.OpenerDirector:
    """Keeps cookies, as browsers do."""
    return urllib.request.build_opener(urllib.request.HTTPCookieProcessor(CookieJar()))
