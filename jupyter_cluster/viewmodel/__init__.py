"""What is shown of a cluster, decided once: words, figures, their meaning, what may be done. Pure.

The notebook's panel, the page, the terminal's panel and the labextension draw it, each in its own
way, and decide nothing. `model` says what there is, as plain values that go over the network as
JSON; the other modules make it from what a head tells.
"""

from jupyter_cluster.viewmodel.card import card, kept_card, summary
from jupyter_cluster.viewmodel.cluster import cluster_view
from jupyter_cluster.viewmodel.model import ClusterView

__all__ = ["ClusterView", "card", "cluster_view", "kept_card", "summary"]
