"""Whole nodes from a mix of fillings.

What the mix has of whole nodes is taken. For the tasks that are left a small program in whole
numbers chooses among the fillings that lose least.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from jupyter_cluster.autoscaler.bins import Problem
from jupyter_cluster.autoscaler.columns import Filling, Master, Mix
from jupyter_cluster.autoscaler.program import Vector

# What is too small for a float to tell from a whole number.
ALMOST = 1e-6
# How many fillings the program in whole numbers chooses from, and how near to the least cost it
# has to come, as a share of the whole launch set. Measured: about 10 ms for twenty shapes.
CHOICES, GAP = 60, 0.005
# Parts of nodes that cost less than this share of the launch set are left to first fit.
SMALL = 0.001
# Up to so many nodes the program in whole numbers chooses them all.
FEW_NODES = 20


def whole_nodes(problem: Problem, mix: Mix) -> list[tuple[Filling, int]]:
    """Fillings and how many nodes of each, for at most as many tasks as there are."""
    whole = np.floor(mix.amounts + ALMOST)
    if whole.sum() <= FEW_NODES:
        whole[:] = 0  # the program in whole numbers sees them all
    elif not _can_round_up(problem, mix):
        whole = np.maximum(whole - 1, 0)  # it needs some play where the limits bind
    taken = [(one, int(n)) for one, n in zip(mix.fillings, whole, strict=True) if n]
    if not _is_small(problem, mix, mix.amounts - whole):
        taken += _cover(_without(problem, taken), mix)
    # What is there first: a filling that a new node was meant for may fit there as well.
    there_first = sorted(taken, key=lambda row: problem.bins[row[0].bin].is_new)
    return list(_fitted(there_first, problem))


def _is_small(problem: Problem, mix: Mix, parts: Vector) -> bool:
    """Whether parts of nodes cost so little that to round them up costs less than a program."""
    at = [one.bin for one in mix.fillings]
    is_new = np.array([problem.bins[number].is_new for number in at])
    is_cheap = problem.prices[at] @ parts <= SMALL * mix.cost
    return bool(is_cheap and _can_round_up(problem, mix) and (parts[~is_new] < ALMOST).all())


def _can_round_up(problem: Problem, mix: Mix) -> bool:
    """Whether the limits leave room for a whole node in the place of each part of one."""
    at = [one.bin for one in mix.fillings]
    nodes = np.ceil(mix.amounts - ALMOST)
    by_bin = np.bincount(at, nodes, len(problem.bins))
    is_new = np.array([one.is_new for one in problem.bins])
    limits = problem.limits[:2]  # that of GPU nodes is always tight, and not the user's
    return bool(
        (nodes @ problem.takes[at][:, :2] <= limits).all()
        and (by_bin <= problem.most)[is_new].all()
    )


def _without(problem: Problem, taken: list[tuple[Filling, int]]) -> Problem:
    """The problem that is left when these nodes are taken."""
    counts, most, limits = problem.counts.copy(), problem.most.copy(), problem.limits.copy()
    for one, nodes in taken:
        counts -= one.tasks * nodes
        most[one.bin] -= nodes
        limits -= problem.takes[one.bin] * nodes
    bins = tuple(replace(b, most=int(n)) for b, n in zip(problem.bins, most, strict=True))
    return replace(problem, bins=bins, counts=np.maximum(counts, 0), limits=np.maximum(limits, 0))


def _cover(problem: Problem, mix: Mix) -> list[tuple[Filling, int]]:
    """Fillings in whole numbers that hold the tasks of the problem, perhaps more."""
    master = Master(problem, may_cover_twice=True)
    best = np.sort(np.argsort(mix.losses, kind="stable")[:CHOICES])
    trimmed = [_trim(mix.fillings[number], problem.counts) for number in best]
    master.add([one for one in trimmed if one.tasks.any()])
    master.make_whole(GAP * mix.cost)
    found = master.solve()
    if found is None:
        return []
    amounts = np.rint(found.amounts[2 * len(problem.shapes) :])
    return [(one, int(n)) for one, n in zip(master.fillings, amounts, strict=True) if n]


def _fitted(cover: list[tuple[Filling, int]], problem: Problem) -> Iterator[tuple[Filling, int]]:
    """The same with each task once, each node of the cheapest kind that holds what is left."""
    left, most, limits = problem.counts.copy(), problem.most.copy(), problem.limits.copy()
    for one, nodes in cover:
        while nodes and (load := _trim(one, left)).tasks.any():
            count = min(nodes, _times(load, left))
            filling = _cheapest(load, problem, most, count)
            takes = problem.takes[filling.bin]
            within = np.floor((limits[takes > 0] + ALMOST) / takes[takes > 0])
            count = int(min([count, most[filling.bin], *within]))
            if count <= 0:
                break
            left -= filling.tasks * count
            most[filling.bin] -= count
            limits -= takes * count
            nodes -= count
            yield filling, count


def _times(filling: Filling, left: Vector) -> int:
    has = filling.tasks > 0
    return int((left[has] // filling.tasks[has]).min())


def _trim(filling: Filling, left: Vector) -> Filling:
    return Filling(filling.bin, np.minimum(filling.tasks, left).astype(np.int64))


def _cheapest(filling: Filling, problem: Problem, most: Vector, count: int) -> Filling:
    """The same tasks in the cheapest bin that may be had and is not dearer."""
    has = filling.tasks > 0
    fits = (filling.tasks @ problem.needs <= problem.rooms).all(1) & (most >= count)
    fits &= (problem.leads & has).any(1) & (problem.takes <= problem.takes[filling.bin]).all(1)
    if not fits.any():
        return filling  # whether it may be had, the caller looks
    return Filling(int(np.where(fits, problem.prices, np.inf).argmin()), filling.tasks)
