"""The Jupyter server that has started this kernel, and whether it has the page of a cluster."""

from __future__ import annotations

import json
import os
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

from jupyter_cluster.panel import ROUTE

_SECONDS = 3.0


def page_of(cluster: str) -> str:
    """The path of a cluster's page on this kernel's Jupyter server; empty where it has none.

    A path and no address: how the browser reaches the server, behind a hub or a proxy, only the
    browser knows.
    """
    server = _server()
    if not server or not _has_pages(server):
        return ""
    return f"{server['base_url']}{ROUTE}{cluster}/"


def _server() -> dict[str, Any]:
    """What the server has written down of itself; empty where no server has started this kernel."""
    from jupyter_core.paths import jupyter_runtime_dir

    # Set for each kernel by jupyter_client; the file is the one that `jupyter server list` reads.
    pid = os.environ.get("JPY_PARENT_PID", "")
    try:
        return json.loads((Path(jupyter_runtime_dir()) / f"jpserver-{pid}.json").read_text())  # type: ignore[no-any-return]
    except (OSError, ValueError):
        return {}


def _has_pages(server: dict[str, Any]) -> bool:
    """A server without them does not know the path; one with them may ask for a login."""
    request = urllib.request.Request(
        f"{server['url']}{ROUTE}", headers={"Authorization": f"token {server['token']}"}
    )
    try:
        urllib.request.urlopen(request, timeout=_SECONDS).close()
    except urllib.error.HTTPError as error:
        return error.code != 404
    except OSError:
        return False
    return True
