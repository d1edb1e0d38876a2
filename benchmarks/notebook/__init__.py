"""How the notebook feels: a cell's round trip beside ipyparallel's, loading, the panel's cost.

``kernel`` is a real kernel that is timed from outside; ``cells``, ``loading`` and ``panel`` are
what is measured in it.
"""
