"""What a cluster looks like at one moment, as HTML: for the notebook's widget and for the page."""

from importlib.resources import files

# Where a Jupyter server has the pages of clusters, below its base.
ROUTE = "jupyter-cluster/"
_HERE = files("jupyter_cluster.panel")


def script() -> str:
    """What shows sections in a browser; to be put before the script that uses it."""
    return (_HERE / "morph.js").read_text() + (_HERE / "chart.js").read_text()


def style() -> str:
    """How sections look."""
    return (_HERE / "panel.css").read_text()
