"""The autoscaler against Ray's planners: ``python -m benchmarks.autoscaling``.

Ray's planners are those of the installed ``ray`` package: its own loops decide, in the same
simulator and on the same snapshots as ours. What is compared: makespan and cost of whole workloads,
the price of what is launched over a lower bound, and planning time.
"""
