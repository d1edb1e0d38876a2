"""Better launch sets by column generation.

A column is a way to fill one node: its bin and how many tasks of each shape it holds. A linear
program (the master) takes the cheapest mix of the columns known so far and prices each shape;
the pricing below looks for fillings that are worth more than their node costs at these prices;
they are the next columns. Gilmore and Gomory, "A Linear Programming Approach to the Cutting-Stock
Problem", Operations Research 9 (1961), with a heuristic in the place of their knapsack solver.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from jupyter_cluster.autoscaler.bins import Matrix, Problem
from jupyter_cluster.autoscaler.program import UNBOUNDED, Optimum, Program, Vector

# Measured: at twenty shapes and ten types more rounds gain less than 0.3 %.
ROUNDS = 11
# Elements that one round of pricing may touch, so that a round takes a few milliseconds.
ROUND_SIZE = 120_000
# What is too small, as a share of the dearest node, to be a gain.
WORTH_IT = 1e-6
# In how many bins each shape has a filling to begin with: to buy, and that are there.
BINS_NEW, BINS_THERE = 4, 3


@dataclass(frozen=True)
class Filling:
    """One way to fill one node: tasks of each shape, (S,), in a bin."""

    bin: int
    tasks: NDArray[np.int64]


@dataclass(frozen=True)
class Mix:
    """Nodes of several fillings, not whole numbers of them.

    Attributes
    ----------
    fillings : tuple of Filling
        K of them: all that were found.
    amounts : (K,) vector
        How many nodes of each.
    prices : (S,) vector
        What one more task of a shape adds to the cost, USD per hour.
    cost : float
        USD per hour of all.
    losses : (K,) vector
        How much more a filling costs than its tasks are worth at these prices.
    """

    fillings: tuple[Filling, ...]
    amounts: Vector
    prices: Vector
    cost: float
    losses: Vector


def best_mix(
    problem: Problem, prices: Vector, known: Sequence[Filling], enough: float
) -> Mix | None:
    """The mix of fillings that holds all tasks at the least cost, as far as the search goes.

    Parameters
    ----------
    prices : (S,) vector
        What a task of each shape is worth to begin with, USD per hour.
    known : sequence of Filling
        Those of a launch set that is to be improved.
    enough : float
        USD per hour, penalties included: a mix that costs no more ends the search.
    """
    pricing, master = _Pricing(problem), Master(problem)
    costs, centre = problem.prices, prices
    master.add(known)
    optimum: Optimum | None = None
    for number in range(ROUNDS):
        # The master's prices swing, so every other round looks half-way back to where it began
        # first. The second guide is only asked where the first finds nothing new.
        guides = [prices, (prices + centre) / 2][:: 1 if number % 2 == 0 else -1]
        found = (pricing.fillings(guide, prices, costs, everything=not number) for guide in guides)
        if not any(master.add(list(one)) for one in found):
            break
        optimum = master.solve()
        if optimum is None:
            return None
        if optimum.value <= enough:
            break
        prices, costs = master.prices(optimum)
    return master.mix(optimum) if optimum else None


@dataclass
class Master:
    """The linear program over the columns known so far.

    Attributes
    ----------
    may_cover_twice : bool
        Whether a GPU task may be placed more than once. In the mix it may not, else tasks without
        GPU would buy GPU nodes in its name; in whole numbers of nodes there may be no other way.

    Its rows: each shape's tasks; nodes of each bin; the limits.
    """

    problem: Problem
    fillings: list[Filling] = field(default_factory=list)
    known: set[tuple[int, bytes]] = field(default_factory=set)
    may_cover_twice: bool = False

    def __post_init__(self) -> None:
        problem = self.problem
        once = problem.is_gpu & (not self.may_cover_twice)
        upper = np.where(once, problem.counts, UNBOUNDED)
        self._program = Program(
            np.concatenate([problem.counts, np.zeros(len(problem.bins) + 3)]),
            np.concatenate([upper, problem.most, problem.limits]),
        )
        problem.add_left_over(self._program)

    def add(self, fillings: Sequence[Filling]) -> int:
        """Take fillings that are not known yet; returns how many."""
        new = []
        for one in fillings:
            key = one.bin, one.tasks.tobytes()
            if key not in self.known:
                self.known.add(key)
                new.append(one)
        if new:
            self.fillings += new
            self._program.add(self.problem.prices[[one.bin for one in new]], self._entries(new))
        return len(new)

    def _entries(self, fillings: list[Filling]) -> Matrix:
        problem, shapes = self.problem, len(self.problem.shapes)
        at = np.array([one.bin for one in fillings])
        entries = np.zeros((len(fillings), shapes + len(problem.bins) + 3))
        entries[:, :shapes] = [one.tasks for one in fillings]
        entries[np.arange(len(at)), shapes + at] = 1
        entries[:, -3:] = problem.takes[at]
        return entries

    def make_whole(self, gap: float) -> None:
        """See `Program.make_whole`."""
        self._program.make_whole(gap)

    def solve(self) -> Optimum | None:
        """The cheapest mix of the columns known so far."""
        return self._program.solve()

    def prices(self, optimum: Optimum) -> tuple[Vector, Vector]:
        """What a task of each shape is worth, and what a node of each bin costs with its limits."""
        shapes = len(self.problem.shapes)
        of_bins, of_limits = optimum.prices[shapes:-3], optimum.prices[-3:]
        costs = self.problem.prices - of_bins - self.problem.takes @ of_limits
        return optimum.prices[:shapes], costs

    def mix(self, optimum: Optimum) -> Mix:
        """The optimum as a mix."""
        shapes = len(self.problem.shapes)
        prices, costs = self.prices(optimum)
        at = [one.bin for one in self.fillings]
        worth = np.array([one.tasks for one in self.fillings], float) @ prices
        amounts = optimum.amounts[2 * shapes :]
        return Mix(
            fillings=tuple(self.fillings),
            amounts=amounts,
            prices=prices,
            cost=float(amounts @ self.problem.prices[at]),
            losses=costs[at] - worth,
        )


class _Pricing:
    """Looks for fillings that are worth more than they cost.

    It fills a node of every bin greedily, by worth per share of the node taken, with several
    measures of that share and with one task of each shape in turn forced in first: B bins × O
    measures × F first tasks at a time.
    """

    def __init__(self, problem: Problem) -> None:
        self._problem = problem
        with np.errstate(divide="ignore", invalid="ignore"):
            share = problem.needs[None] / problem.rooms[:, None]
        share = np.where(problem.needs[None] > 0, share, 0.0)
        share = np.where(problem.fits[:, :, None], share, 0.0)
        total = share.sum(2)
        single = [share[:, :, d] + 0.05 * total for d in range(min(3, share.shape[2]))]
        self._shares = np.maximum(np.stack([total, share.max(2), *single], 1), 1e-12)
        row_size = self._shares.shape[1] * problem.needs.size * len(problem.bins)
        self._first = max(1, min(len(problem.shapes), ROUND_SIZE // max(1, row_size)))
        self._turn = 0
        self._is_new = np.array([one.is_new for one in problem.bins])

    def fillings(
        self, guide: Vector, prices: Vector, costs: Vector, everything: bool = False
    ) -> Iterator[Filling]:
        """The best filling for each first task and for each bin, where it is worth its cost.

        Nodes are filled by the prices of the guide and judged by the prices of the master. With
        `everything` worth does not matter, so that each shape has columns to begin with.
        """
        first = self._next_first(everything)
        for chosen in np.array_split(first, -(-len(first) // self._first)):
            yield from self._best(chosen, guide, prices, costs, everything)

    def _next_first(self, everything: bool) -> NDArray[np.int64]:
        shapes = np.arange(len(self._problem.shapes))
        if everything:
            return shapes
        turned = np.roll(shapes, -self._turn)[: self._first]
        self._turn += len(turned)
        return turned

    def _best(
        self,
        first: NDArray[np.int64],
        guide: Vector,
        prices: Vector,
        costs: Vector,
        everything: bool,
    ) -> Iterator[Filling]:
        tasks = self._fill(first, guide)  # B, O, F, S
        worth = tasks @ prices
        allowed = self._problem.leads[:, first][:, None, :]
        gain = np.where(allowed, worth - costs[:, None, None], -np.inf)
        rate = np.where(allowed, worth / np.maximum(costs, 1e-9)[:, None, None], -np.inf)
        # The best rate finds columns that replace the dear ones, whatever their size.
        best = rate.argmax(1)  # B, F: the measure
        rate = rate.max(1)
        for number in range(len(first)):
            ranked = np.argsort(-rate[:, number], kind="stable")
            if everything:
                new = self._is_new[ranked]
                ranked = np.concatenate([ranked[new][:BINS_NEW], ranked[~new][:BINS_THERE]])
            else:
                ranked = ranked[:1]
            for at in map(int, ranked):
                measure = best[at, number]
                if allowed[at, 0, number] and (everything or gain[at, measure, number] > WORTH_IT):
                    yield Filling(at, tasks[at, measure, number])
        if not everything:
            for at, of_bin in enumerate(gain):
                measure, number = divmod(int(of_bin.argmax()), len(first))
                if of_bin[measure, number] > WORTH_IT:
                    yield Filling(at, tasks[at, measure, number])

    def _fill(self, first: NDArray[np.int64], prices: Vector) -> NDArray[np.int64]:
        problem = self._problem
        bins, shapes = problem.fits.shape
        measures = self._shares.shape[1]
        worth = np.where(problem.fits[:, None], prices / self._shares, -1.0)  # B, O, S
        order = np.argsort(-worth, axis=2, kind="stable")
        ones = np.where(problem.fits[:, first], 1.0, 0.0)  # B, F
        needs = problem.needs.T  # one resource at a time: numpy is slow along short axes
        rooms = [
            np.repeat((room[:, None] - ones * need[first])[:, None], measures, axis=1)  # B, O, F
            for room, need in zip(problem.rooms.T, needs, strict=True)
        ]
        left = np.repeat(problem.counts[:, None], len(first), axis=1)  # S, F
        left[first, np.arange(len(first))] -= 1
        taken = np.empty((bins, measures, len(first), shapes))
        for rank in range(shapes):
            shape = order[:, :, rank]  # B, O
            wanted = np.take_along_axis(worth, shape[:, :, None], 2) > 0
            fit = np.where(wanted, left[shape], 0.0)  # B, O, F
            for room, need in zip(rooms, needs, strict=True):
                each = need[shape][:, :, None]
                # Where nothing is needed, anything fits.
                np.minimum(fit, np.floor((room + 1e-7) / np.maximum(each, 1e-15)), out=fit)
            np.maximum(fit, 0.0, out=fit)
            for room, need in zip(rooms, needs, strict=True):
                room -= fit * need[shape][:, :, None]
            taken[..., rank] = fit
        back = np.argsort(order, axis=2)
        tasks = np.take_along_axis(taken, back[:, :, None], 3)
        tasks[:, :, np.arange(len(first)), first] += ones[:, None]
        return tasks.astype(np.int64)
