"""Cases for the planners, and their answers: ten EC2 node types, random mixes of task shapes."""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass

from jupyter_cluster.model import Demand, Limits, NodeType, Snapshot
from jupyter_cluster.resources import Resources

GB = 1e9
GIB = 2**30

# vCPUs, memory in GiB, GPUs, USD per hour. On demand, Linux, us-east-1, as listed by AWS.
EC2 = {
    "c6i.xlarge": (4, 8, 0, 0.170),
    "c6i.4xlarge": (16, 32, 0, 0.680),
    "c7i.8xlarge": (32, 64, 0, 1.428),
    "m6i.xlarge": (4, 16, 0, 0.192),
    "m6i.4xlarge": (16, 64, 0, 0.768),
    "m7i.12xlarge": (48, 192, 0, 2.4192),
    "r6i.2xlarge": (8, 64, 0, 0.504),
    "r6i.8xlarge": (32, 256, 0, 2.016),
    "g5.2xlarge": (8, 32, 1, 1.212),
    "g5.12xlarge": (48, 192, 4, 5.672),
}
CPUS = (0.25, 0.5, 1, 1, 2, 2, 3, 4, 6, 8, 12, 16)
GB_PER_CPU = (0.5, 1, 2, 3.5, 4, 7, 8, 14)
COUNTS = (1, 3, 10, 20, 40, 80, 160)


def ec2_types(max_workers: int = 10_000) -> dict[str, NodeType]:
    """The ten types, without limits of their own."""
    return {
        name: NodeType(
            name,
            Resources.of({"CPU": cpus, "memory": memory * GIB, "GPU": gpus}),
            max_workers=max_workers,
            price=price,
        )
        for name, (cpus, memory, gpus, price) in EC2.items()
    }


def mixed_case(seed: int, shapes: int = 20, gpu_share: float = 0.15) -> Snapshot:
    """An empty cluster and `shapes` random shapes, some with GPUs and some of memory alone."""
    draw = random.Random(seed)
    demands: dict[Resources, Demand] = {}
    while len(demands) < shapes:
        shape = _shape(draw, gpu_share)
        demands[shape] = Demand(shape, draw.choice(COUNTS))
    return Snapshot(0.0, ec2_types(), Limits(10_000), demands=tuple(demands.values()))


def _shape(draw: random.Random, gpu_share: float) -> Resources:
    cpus = draw.choice(CPUS)
    amounts = {"CPU": cpus, "memory": round(cpus * draw.choice(GB_PER_CPU), 1) * GB}
    kind = draw.random()
    if kind < gpu_share:
        amounts["GPU"] = draw.choice((0.25, 0.5, 1, 1, 2, 4))
    elif kind > 0.9:
        amounts.pop("CPU")
    return Resources.of(amounts)


@dataclass(frozen=True)
class LaunchSet:
    """What a planner would launch if it were launched at once.

    Attributes
    ----------
    unplaced : int
        Tasks that it gave no node, those included that no type can hold.
    """

    launch: dict[str, int]
    unplaced: int

    def cost(self, node_types: Mapping[str, NodeType]) -> float:
        """USD per hour of the whole set."""
        return sum(count * (node_types[name].price or 0.0) for name, count in self.launch.items())
