"""Pages and API in a Jupyter server: ``…/jupyter-cluster/``, for those who are logged in there."""

from __future__ import annotations

from typing import Any

from jupyter_cluster.panel import ROUTE


def load(app: Any) -> None:
    """Add the routes to a Jupyter server."""
    from jupyter_server.base.handlers import JupyterHandler
    from jupyter_server.utils import url_path_join

    from jupyter_cluster.server import api, handlers

    prefix = url_path_join(app.web_app.settings["base_url"], ROUTE)
    # A cluster cannot be called "api/…": the pages' routes take no slash in a name.
    app.web_app.add_handlers(".*$", api.routes(f"{prefix}api/"))
    app.web_app.add_handlers(".*$", handlers.routes(JupyterHandler, prefix))
