"""How the simulated cloud behaves: boot times, failures, spot nodes taken back, capacity."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from math import inf
from random import Random
from typing import NamedTuple

from jupyter_cluster.errors import UsageError
from jupyter_cluster.model import NodeType
from jupyter_cluster.simulator.work import LogNormal

# As the live head: a node that takes longer is given up.
BOOT_TIMEOUT = 900.0
# As the live head: a type that the cloud has none of is left alone for this long.
COOLING_SECONDS = 60.0


class Fate(NamedTuple):
    """What is in store for a node.

    Attributes
    ----------
    boot_seconds : float
        From its request until it is ready, or has failed.
    fails : bool
        It never becomes ready.
    seconds_up : float
        From ready until the cloud takes it back; infinite where it does not.
    """

    boot_seconds: float
    fails: bool
    seconds_up: float


@dataclass(frozen=True)
class Cloud:
    """The cloud that nodes come from.

    Parameters
    ----------
    boot_spread : float
        Standard deviation of boot times over their mean; they are log-normal.
    boot_seconds : mapping
        What nodes of a type really take on average, where that is not the
        `NodeType.boot_seconds` which the planner begins with.
    failure_share : float
        Which share of the nodes fails instead of becoming ready, 0 to 1.
    reclaims_per_hour : float
        How often a spot node that is up is taken back, per hour of it; at random moments.
    minimum_seconds : float
        What is billed at least for a node; EC2 bills Linux by the second, 60 s at least
        (https://aws.amazon.com/ec2/pricing/on-demand).
    no_capacity : mapping
        How many nodes of a type exist at most at a time; the others have no such limit.

    Raises
    ------
    UsageError
        A value is out of its range.
    """

    boot_spread: float = 0.1
    failure_share: float = 0.0
    reclaims_per_hour: float = 0.0
    minimum_seconds: float = 60.0
    no_capacity: Mapping[str, int] = field(default_factory=dict)
    boot_seconds: Mapping[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not 0 <= self.failure_share <= 1:
            raise UsageError(f"failure_share must be from 0 to 1, not {self.failure_share}")
        for name in ("boot_spread", "reclaims_per_hour", "minimum_seconds"):
            if getattr(self, name) < 0:
                raise UsageError(f"{name} must not be negative, as {getattr(self, name)} is")

    def fates(self, node_type: NodeType, seed: int) -> Iterator[Fate]:
        """What is in store for the first node of a type, the second, and so on.

        It does not depend on what a planner does, so that planners can be compared.
        """
        source = Random(f"{seed} node {node_type.name}")
        mean = self.boot_seconds.get(node_type.name, node_type.boot_seconds)
        rate = self.reclaims_per_hour / 3600 if node_type.spot else 0.0
        while True:
            boot = LogNormal(mean, self.boot_spread).draw(source, 1)[0].seconds if mean else 0.0
            fails = source.random() < self.failure_share or boot > BOOT_TIMEOUT
            seconds_up = source.expovariate(rate) if rate else inf
            yield Fate(min(boot, BOOT_TIMEOUT), fails, seconds_up)
