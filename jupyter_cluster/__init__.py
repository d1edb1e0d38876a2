"""An autoscaling cluster that you start, feed, watch and end from a notebook.

Importing this imports nothing heavy: every public name is loaded when it is first used.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from jupyter_cluster._version import __version__

if TYPE_CHECKING:
    from jupyter_cluster.client.cluster import Cluster
    from jupyter_cluster.client.job import Job, Outcome
    from jupyter_cluster.client.progress import progress
    from jupyter_cluster.client.refs import Ref
    from jupyter_cluster.client.session import (
        cancel,
        connect,
        down,
        get,
        init,
        is_initialized,
        put,
        remote,
        shutdown,
        up,
        wait,
    )

_HOMES = {
    "Cluster": "client.cluster",
    "Job": "client.job",
    "Outcome": "client.job",
    "Ref": "client.refs",
    "progress": "client.progress",
    **dict.fromkeys(
        ("cancel", "connect", "down", "get", "init", "is_initialized"), "client.session"
    ),
    **dict.fromkeys(("put", "remote", "shutdown", "up", "wait"), "client.session"),
}

__all__ = [
    "Cluster",
    "Job",
    "Outcome",
    "Ref",
    "__version__",
    "cancel",
    "connect",
    "down",
    "get",
    "init",
    "is_initialized",
    "progress",
    "put",
    "remote",
    "shutdown",
    "up",
    "wait",
]


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(importlib.import_module(f"jupyter_cluster.{_HOMES[name]}"), name)
    if name == "errors":
        return importlib.import_module("jupyter_cluster.errors")
    from jupyter_cluster.ray_names import missing

    raise AttributeError(missing(name))


def __dir__() -> list[str]:
    return sorted(__all__)


def _jupyter_server_extension_points() -> list[dict[str, str]]:
    """The page of clusters in a Jupyter server."""
    return [{"module": "jupyter_cluster"}]


def _load_jupyter_server_extension(app: Any) -> None:
    from jupyter_cluster.server.extension import load

    load(app)


def load_ipython_extension(shell: Any) -> None:
    """``%load_ext jupyter_cluster``: the magic `%cluster`."""
    from jupyter_cluster.notebook.magics import load

    load(shell)


def unload_ipython_extension(shell: Any) -> None:
    """``%unload_ext jupyter_cluster``."""
    from jupyter_cluster.notebook.magics import unload

    unload(shell)
