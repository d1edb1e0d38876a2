"""A linear program that grows by columns, solved by HiGHS."""

from __future__ import annotations

from dataclasses import dataclass

import highspy
import numpy as np
from numpy.typing import NDArray

Vector = NDArray[np.float64]
UNBOUNDED = highspy.kHighsInf
SMALL = 50


@dataclass(frozen=True)
class Optimum:
    """What HiGHS found.

    Attributes
    ----------
    value : float
        Of the objective.
    bound : float
        What no solution can undercut; the value itself, unless amounts are whole numbers.
    amounts : vector
        One number for each column.
    prices : vector
        One number for each row: by how much the objective grows when the row asks for one more.
    """

    value: float
    bound: float
    amounts: Vector
    prices: Vector


class _Solver(highspy.Highs):
    """HiGHS without callbacks: enabling them prints a banner before it can be silenced."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.silent()
        self.setOptionValue("threads", 1)
        self.setOptionValue("presolve", "off")

    def enableCallbacks(self) -> None:
        """Called by the constructor."""


class Program:
    """Least cost of columns whose sums keep within the bounds of each row.

    One thread and no presolve: the programs are small, and the same input gives the same answer.
    """

    def __init__(self, lower: Vector, upper: Vector) -> None:
        self.rows = len(lower)
        self._highs = _Solver()
        self._is_whole = False
        none = np.zeros(len(lower), np.int32)
        self._highs.addRows(len(lower), lower, upper, 0, none, none[:0], np.zeros(0))

    def add(self, costs: Vector, entries: Vector, upper: Vector | None = None) -> None:
        """Add columns of amounts from 0 to `upper`; `entries` has a row for each column."""
        count = len(costs)
        most = np.full(count, UNBOUNDED) if upper is None else upper
        column, row = np.nonzero(entries)
        starts = np.searchsorted(column, np.arange(count)).astype(np.int32)
        self._highs.addCols(
            count,
            costs,
            np.zeros(count),
            most,
            len(row),
            starts,
            row.astype(np.int32),
            entries[column, row],
        )

    def make_whole(self, gap: float, columns: int | None = None) -> None:
        """From now on amounts, of the first columns or of all, are whole numbers.

        Parameters
        ----------
        gap : float
            How far above the least cost a solution may be.

        The search ends at the root of HiGHS's tree: a number of steps, unlike a time limit, gives
        the same answer on every machine.
        """
        count = self._highs.getNumCol() if columns is None else columns
        whole = np.array([highspy.HighsVarType.kInteger] * count)
        self._highs.changeColsIntegrality(count, np.arange(count, dtype=np.int32), whole)
        self._is_whole = True
        self._highs.setOptionValue("presolve", "on")
        self._highs.setOptionValue("mip_rel_gap", 0.0)
        self._highs.setOptionValue("mip_abs_gap", gap)
        self._highs.setOptionValue("mip_max_nodes", 1)
        # To begin anew with what was learned pays where the program is small.
        self._highs.setOptionValue("mip_allow_restart", self._highs.getNumCol() <= SMALL)

    def solve(self) -> Optimum | None:
        """The optimum, or of whole numbers a good solution; None where HiGHS finds none."""
        self._highs.run()
        info = self._highs.getInfo()
        if info.primal_solution_status != highspy.SolutionStatus.kSolutionStatusFeasible:
            return None
        solution = self._highs.getSolution()
        value = info.objective_function_value
        return Optimum(
            value,
            min(value, info.mip_dual_bound) if self._is_whole else value,
            np.array(solution.col_value),
            np.array(solution.row_dual),
        )
