"""Side-by-side runs of jupyter_cluster and its peers: ``python -m benchmarks``.

One run measures every peer in every case several times, each time in a fresh process, in turn, so
that a machine that gets slower or faster meanwhile does so for all of them. What is compared are
medians and ratios, not single figures.
"""
