"""What a cluster would do, on a virtual clock: the real planner, nodes and tasks that are events.

Pure: it starts nothing, waits for nothing, and gives the same result for the same seed.

>>> from jupyter_cluster.model import Limits, NodeType, Resources
>>> box = NodeType("box", Resources.of(CPU=16), max_workers=30, price=0.768)
>>> job = Batch(count=134_000, shape=Resources.of(CPU=1), seconds=Fixed(0.4))
>>> result = simulate({"box": box}, Limits(max_workers=30), [job], cloud=Cloud(boot_spread=0.0))
>>> round(result.makespan), round(result.bound_seconds)
(202, 202)
"""

from jupyter_cluster.simulator.cloud import Cloud
from jupyter_cluster.simulator.loop import simulate
from jupyter_cluster.simulator.record import Sample
from jupyter_cluster.simulator.result import Result, Waits
from jupyter_cluster.simulator.work import Batch, Durations, Fixed, LogNormal, Stragglers

__all__ = [
    "Batch",
    "Cloud",
    "Durations",
    "Fixed",
    "LogNormal",
    "Result",
    "Sample",
    "Stragglers",
    "Waits",
    "simulate",
]
