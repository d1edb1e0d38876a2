"""What a cluster looks like at one moment, as HTML: for the notebook's widget and for the page."""

# Where a Jupyter server has the pages of clusters, below its base.
ROUTE = "jupyter-cluster/"
