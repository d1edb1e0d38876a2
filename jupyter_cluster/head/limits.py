"""Limits and requested capacity, changed while the cluster runs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from jupyter_cluster.errors import ClusterError
from jupyter_cluster.head.fleet import Fleet
from jupyter_cluster.head.scaling import Targets
from jupyter_cluster.resources import Resources


def change_limits(
    wanted: dict[str, Any], fleet: Fleet, targets: Targets, log: Callable[[str, str], None]
) -> dict[str, Any]:
    """Change what is wanted of it; returns how it is then.

    Parameters
    ----------
    wanted
        Any of ``max_workers``, ``min_workers`` (a map by node type), and ``request`` (a list of
        pairs of resources and count, which replaces the one before).

    Raises
    ------
    ClusterError
        There is no such node type, or the numbers do not fit.
    """
    if "max_workers" in wanted:
        _change_most(_count("max_workers", wanted["max_workers"]), fleet, targets)
        log("node", f"max_workers is {targets.limits.max_workers} from now on")
    for name, count in wanted.get("min_workers", {}).items():
        _change_least(name, _count(f"min_workers of {name}", count), fleet, targets)
        log("node", f"min_workers of {name} is {count} from now on")
    if "request" in wanted:
        try:
            targets.requests = tuple(
                (Resources.of(shape), _count("count", count)) for shape, count in wanted["request"]
            )
        except ValueError as error:
            raise ClusterError(str(error)) from None
    return {
        "max_workers": targets.limits.max_workers,
        "min_workers": {name: one.min_workers for name, one in fleet.node_types.items()},
        "request": [[shape.as_dict(), count] for shape, count in targets.requests],
    }


def _change_most(limit: int, fleet: Fleet, targets: Targets) -> None:
    targets.limits = replace(targets.limits, max_workers=limit)
    for one in list(fleet.node_types.values()):
        if one.max_workers < limit:
            fleet.node_types[one.name] = replace(one, max_workers=limit)


def _change_least(name: str, minimum: int, fleet: Fleet, targets: Targets) -> None:
    known = fleet.node_types.get(name)
    if known is None:
        types = ", ".join(fleet.node_types)
        raise ClusterError(f"there is no node type {name!r}; there are: {types}")
    if minimum > min(known.max_workers, targets.limits.max_workers):
        raise ClusterError(f"min_workers of {name} is more than max_workers")
    fleet.node_types[name] = replace(known, min_workers=minimum)


def _count(name: str, value: Any) -> int:
    if not isinstance(value, int) or value < 0:
        raise ClusterError(f"{name} must be a whole number from 0 on, not {value!r}")
    return value
