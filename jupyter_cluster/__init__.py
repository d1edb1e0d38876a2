"""An autoscaling cluster that you start, feed, watch and end from a notebook."""

from ._version import __version__

__all__ = ["__version__"]
