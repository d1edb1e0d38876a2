"""The packing problem as arrays, for the linear programs.

Bins are kinds of nodes with the same room: those that are there, which cost nothing more, and the
types that may be bought.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from math import gcd

import numpy as np
from numpy.typing import NDArray

from jupyter_cluster.autoscaler.program import UNBOUNDED, Program, Vector
from jupyter_cluster.resources import GPU, Resources

Matrix = NDArray[np.float64]

LEFT_OVER, LAST_OF_ITS_SHAPE = 100.0, 1000.0


@dataclass(frozen=True)
class Bin:
    """Nodes with the same room.

    Attributes
    ----------
    price : float
        USD per hour of one more; 0 for nodes that are there.
    most : int
        How many there are or may be bought.
    refused : frozenset of Resources
        Shapes that do not buy such a node, though they may ride along in one.
    is_new : bool
        Whether to use it means to buy it.
    """

    room: Resources
    price: float
    most: int
    refused: frozenset[Resources] = frozenset()
    is_new: bool = True


@dataclass(frozen=True)
class Problem:
    """What is to be packed into what; S shapes, B bins, D resources.

    Attributes
    ----------
    counts, uncut : (S,) vectors
        Tasks of each shape, cut to what the bins could hold at the very most, and all of them.
    needs : (S, D) matrix
    rooms : (B, D) matrix
        Both in the largest unit of each resource that divides all amounts, so that they are whole
        numbers.
    fits : (B, S) matrix of bool
    leads : (B, S) matrix of bool
        Whether a bin may be taken for the sake of a shape.
    limits : (3,) vector
        How many nodes may be bought at most, for how many USD per hour, and how many of them with
        GPUs.
    takes : (B, 3) matrix
        What one node of each bin takes of these limits.
    """

    shapes: tuple[Resources, ...]
    bins: tuple[Bin, ...]
    counts: Vector
    uncut: Vector
    needs: Matrix
    rooms: Matrix
    fits: NDArray[np.bool_]
    leads: NDArray[np.bool_]
    is_gpu: NDArray[np.bool_]
    limits: Vector
    takes: Matrix

    @property
    def prices(self) -> Vector:
        """(B,) USD per hour."""
        return np.array([one.price for one in self.bins])

    @property
    def penalties(self) -> tuple[float, float]:
        """What a task without room costs, and what one costs that is the last of its shape.

        Each is far more than a node: first every shape gets a node, then as many tasks as may be,
        then cost counts.
        """
        each = LEFT_OVER * max(1.0, self.prices.max(initial=0.0))
        return each, each * LAST_OF_ITS_SHAPE

    def add_left_over(self, program: Program) -> None:
        """Columns for the tasks of each shape without room: all but one, and the last one.

        The first S rows of the program are those of the shapes.
        """
        shapes = len(self.shapes)
        entries = np.eye(shapes, program.rows)
        each, last = self.penalties
        program.add(np.full(shapes, each), entries, np.maximum(self.counts - 1, 0))
        program.add(np.full(shapes, last), entries)

    def penalty(self, left: Mapping[Resources, int]) -> float:
        """What so many tasks without room cost together."""
        each, last = self.penalties
        wanted = zip(self.shapes, self.counts, self.uncut, strict=True)
        over = [(left.get(shape, 0) - (all_ - count), count) for shape, count, all_ in wanted]
        return float(sum(max(0, n) * each + (last - each) * (n >= count) for n, count in over))

    @property
    def most(self) -> Vector:
        """(B,) how many of each bin there are or may be."""
        return np.array([float(one.most) for one in self.bins])


def make_problem(
    counts: Mapping[Resources, float],
    bins: Sequence[Bin],
    limits: tuple[float, float, float],
) -> Problem | None:
    """The arrays of a problem; shapes that no bin holds are left out, None where none is left."""
    shapes = tuple(
        sorted(
            (s for s, n in counts.items() if n and s and any(s.fits(b.room) for b in bins)),
            key=lambda shape: shape.units,
        )
    )
    if not shapes:
        return None
    names = sorted({name for shape in shapes for name, _ in shape})
    units = {name: _unit(name, [*shapes, *(one.room for one in bins)]) for name in names}
    needs, rooms = _matrix(shapes, units), _matrix([one.room for one in bins], units)
    fits = np.all(needs[None] <= rooms[:, None], axis=2)
    refused = np.array([[shape in one.refused for shape in shapes] for one in bins], bool)
    slots = slots_of(needs, rooms)
    most = np.array([float(one.most) for one in bins])
    is_new = np.array([one.is_new for one in bins])
    ceiling = (slots * np.where(is_new, np.minimum(most, limits[0]), most)[:, None]).sum(0)
    wanted = np.array([float(counts[shape]) for shape in shapes])
    return Problem(
        shapes=shapes,
        bins=tuple(bins),
        counts=np.minimum(wanted, ceiling),
        uncut=wanted,
        needs=needs,
        rooms=rooms,
        fits=fits,
        leads=fits & ~refused.reshape(fits.shape),
        is_gpu=np.array([bool(shape.get(GPU)) for shape in shapes], bool),
        limits=np.minimum(limits, UNBOUNDED),
        takes=np.array([_takes(one) for one in bins], float).reshape(len(bins), 3),
    )


def _takes(one: Bin) -> tuple[float, float, float]:
    return (1.0, one.price, float(one.room.get(GPU) > 0)) if one.is_new else (0.0, 0.0, 0.0)


def slots_of(needs: Matrix, rooms: Matrix) -> Matrix:
    """(B, S): how many tasks of a shape fit into a bin when it holds nothing else."""
    with np.errstate(divide="ignore", invalid="ignore"):
        each = np.where(needs[None] > 0, rooms[:, None] / needs[None], np.inf)
    slots: Matrix = np.floor(each.min(2) + 1e-9)
    return slots


def _unit(name: str, amounts: Sequence[Resources]) -> int:
    return reduce(gcd, (one.by_name.get(name, 0) for one in amounts)) or 1


def _matrix(rows: Sequence[Resources], units: Mapping[str, int]) -> Matrix:
    values = [[row.by_name.get(name, 0) // unit for name, unit in units.items()] for row in rows]
    return np.array(values, float).reshape(len(rows), len(units))
