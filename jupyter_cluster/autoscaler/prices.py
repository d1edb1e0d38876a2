"""What a node costs by the hour, known or estimated."""

from __future__ import annotations

from jupyter_cluster.model import NodeType
from jupyter_cluster.resources import CPU, GPU, MEMORY, Resources

# USD per hour. They rank node types whose price is unknown, so their proportions matter more than
# their level. From EC2 on-demand prices for Linux in us-east-1: c5.4xlarge 0.68, m5.4xlarge 0.768
# and r5.4xlarge 1.008 have 16 vCPUs and 32, 64 and 128 GB, so about 0.036 a vCPU and 0.003 a GB;
# g4dn.xlarge (4 vCPUs, 16 GB, one T4) is 0.526, so about 0.33 for the smallest GPU.
PER_CPU, PER_GIGABYTE, PER_GPU = 0.036, 0.003, 0.33
# Of the on-demand price where that of a spot node is unknown; AWS's spot advisor lists savings
# between 50 and 70 % for most types of these families.
SPOT_SHARE = 0.4


def estimated_price(resources: Resources) -> float:
    """USD per hour that a node of this size would cost, in proportion to CPUs, GPUs and memory."""
    gigabytes = resources.get(MEMORY) / 1e9
    return PER_CPU * resources.get(CPU) + PER_GPU * resources.get(GPU) + PER_GIGABYTE * gigabytes


def hourly_price(node_type: NodeType) -> float:
    """USD per hour of one node: its price, or an estimate where the price is unknown."""
    if node_type.price is not None:
        return node_type.price
    share = SPOT_SHARE if node_type.spot else 1.0
    return share * estimated_price(node_type.resources)


def weight(node_type: NodeType) -> float:
    """What a node counts when launch sets are compared: its price, and where it costs nothing a
    little for its size, so that of two that cost nothing the smaller is taken."""
    return hourly_price(node_type) or 1e-3 * (1e-3 + estimated_price(node_type.resources))
