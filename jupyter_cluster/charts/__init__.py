"""Figures of plain rows, live or past. Knows no cluster; plotly is imported when one is drawn.

``style`` says how all charts look, ``throughput`` draws the rate of a job, ``history_figure``
all that happened to a job or a cluster, which is a `history.History`.
"""
