"""A lower bound on what a launch set costs: the linear program that pools the nodes of each bin."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np

from jupyter_cluster.autoscaler.bins import Bin, Problem, make_problem, slots_of
from jupyter_cluster.autoscaler.prices import hourly_price
from jupyter_cluster.autoscaler.program import UNBOUNDED, Program, Vector
from jupyter_cluster.model import NodeType
from jupyter_cluster.resources import Resources

ENDLESS = 2**40
# Up to so many nodes whole numbers are worth a bound that takes longer.
FEW_NODES = 8


@dataclass(frozen=True)
class Bound:
    """No launch set that places these tasks costs less.

    Attributes
    ----------
    value : float
        USD per hour, and the penalties of tasks for which the limits leave no room.
    prices : (S,) vector
        What one more task of a shape adds to it.
    """

    value: float
    prices: Vector


def pooled_bound(problem: Problem, in_whole_nodes: bool = False) -> Bound | None:
    """Solve the relaxation in which tasks may be cut and the nodes of a bin are one large node.

    A task still has to fit a node, and a node holds no more tasks of a shape than fit it whole:
    that closes most of the gap where tasks are as large as nodes. With `in_whole_nodes`, where the
    nodes are few, their numbers are whole ones; then there are no prices.

    Columns are the nodes of each bin, then the tasks of each shape in each bin that holds it. Rows
    say that every task is placed; that the nodes have room for what is in them, resource by
    resource and shape by shape; that no more is bought than may be.
    """
    bins, shapes = len(problem.bins), len(problem.shapes)
    at, of = np.nonzero(problem.fits)
    scale = np.maximum(problem.rooms.max(0, initial=0.0), 1.0)
    needs, rooms = problem.needs / scale, problem.rooms / scale
    slots = slots_of(problem.needs, problem.rooms)

    placed = np.zeros((bins + len(at), shapes))
    placed[bins + np.arange(len(at)), of] = 1
    room = np.zeros((bins + len(at), bins, rooms.shape[1]))
    room[np.arange(bins), np.arange(bins)] = rooms
    room[bins + np.arange(len(at)), at] = -needs[of]
    whole = np.zeros((bins + len(at), len(at)))
    whole[at, np.arange(len(at))] = slots[at, of]
    whole[bins + np.arange(len(at)), np.arange(len(at))] = -1
    limits = np.zeros((bins + len(at), 2))
    limits[:bins] = problem.takes[:, :2]  # the bound is to hold for any number of GPU nodes

    entries = np.hstack([placed, room.reshape(len(room), -1), whole, limits])
    zeros = np.zeros(room.shape[1] * room.shape[2] + len(at))
    lower = np.concatenate([problem.counts, zeros, [0, 0]])
    upper = np.full(len(lower), UNBOUNDED)
    upper[-2:] = problem.limits[:2]
    program = Program(lower, upper)
    program.add(
        np.concatenate([problem.prices, np.zeros(len(at))]),
        entries,
        np.concatenate([problem.most, np.full(len(at), UNBOUNDED)]),
    )
    problem.add_left_over(program)
    found = program.solve()
    if found is None:
        return None
    if in_whole_nodes and found.amounts[:bins].sum() <= FEW_NODES:
        program.make_whole(0.0, columns=bins)
        better = program.solve()
        return Bound(max(found.value, better.bound), found.prices[:0]) if better else None
    return Bound(found.value, found.prices[:shapes])


def cost_of_hours(node_types: Iterable[NodeType], hours: Mapping[Resources, float]) -> float:
    """USD that so many hours of tasks of each shape cost at the least, on nodes without limits."""
    bins = [Bin(t.resources, hourly_price(t), ENDLESS) for t in node_types if t.max_workers]
    problem = make_problem(hours, bins, (ENDLESS, ENDLESS, ENDLESS)) if bins else None
    found = problem and pooled_bound(problem)
    return found.value if found else 0.0
