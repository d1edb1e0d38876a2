"""The planners that are compared, each behind the same two calls.

Nothing of Ray is imported before one of its planners is made, so that the rest runs without it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from importlib import import_module
from importlib.util import find_spec
from typing import Protocol

from benchmarks.autoscaling.cases import LaunchSet
from jupyter_cluster.autoscaler import decide, plan
from jupyter_cluster.model import Decision, Snapshot

OURS, OURS_AUTO, RAY_V1, RAY_V2 = "ours", "ours, auto", "ray v1", "ray v2"
RAY = (RAY_V1, RAY_V2)


class Peer(Protocol):
    """A planner.

    It may remember earlier snapshots, as Ray's do, so every simulation gets a new one.
    """

    def __call__(self, snapshot: Snapshot) -> Decision:
        """One round of its production loop, launch limits and idle termination included."""

    def prepare(self, snapshot: Snapshot) -> Callable[[], LaunchSet]:
        """Its planning alone, without launch limits, ready to be timed.

        The conversion of the snapshot is done before; the call that is returned plans.
        """


class Ours:
    """This project's policy."""

    def __call__(self, snapshot: Snapshot) -> Decision:
        """What the live scaling loop calls."""
        return decide(snapshot)

    def prepare(self, snapshot: Snapshot) -> Callable[[], LaunchSet]:
        """The packing beneath the policy."""

        def run() -> LaunchSet:
            found = plan(snapshot)
            launch: Counter[str] = Counter()
            for purchase in found.purchases:
                launch[purchase.node_type] += purchase.count
            left = sum(count for _, count in found.unplaced)
            return LaunchSet(dict(launch), left + sum(row.count for row in found.infeasible))

        return run


def make(name: str, upscaling_speed: float = 1.0) -> Peer:
    """A new planner; Ray's get the upscaling speed, ours launches at full speed.

    Raises
    ------
    ModuleNotFoundError
        It is one of Ray's and ``ray`` is not installed.
    """
    if name == RAY_V1:
        ray_v1: Peer = import_module("benchmarks.autoscaling.ray_v1").RayV1(upscaling_speed)
        return ray_v1
    if name == RAY_V2:
        ray_v2: Peer = import_module("benchmarks.autoscaling.ray_v2").RayV2(upscaling_speed)
        return ray_v2
    return Ours()


def installed(names: tuple[str, ...]) -> tuple[str, ...]:
    """The planners that can run here."""
    has_ray = find_spec("ray") is not None
    return tuple(name for name in names if has_ray or name not in RAY)
