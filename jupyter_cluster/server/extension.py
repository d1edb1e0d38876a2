"""The page in a Jupyter server: ``…/jupyter-cluster/``, for those who are logged in there."""

from __future__ import annotations

from typing import Any

from jupyter_cluster.panel import ROUTE


def load(app: Any) -> None:
    """Add the routes to a Jupyter server."""
    from jupyter_server.base.handlers import JupyterHandler
    from jupyter_server.utils import url_path_join

    from jupyter_cluster.server.handlers import routes

    prefix = url_path_join(app.web_app.settings["base_url"], ROUTE)
    app.web_app.add_handlers(".*$", routes(JupyterHandler, prefix))
