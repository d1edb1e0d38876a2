"""Which GPUs a task gets: whole ones for itself, fractions sharing one."""

from __future__ import annotations

from jupyter_cluster.resources import UNITS


class Devices:
    """The GPUs of a node and how much of each is taken, in ten-thousandths."""

    def __init__(self, count: int) -> None:
        self._free = [UNITS] * count

    def take(self, units: int) -> tuple[int, ...] | None:
        """Device numbers for this many ten-thousandths of a GPU; None where there is no room.

        A fraction goes to the fullest device that still has room, so that whole ones stay free.
        """
        if units == 0:
            return ()
        if units < UNITS:
            fitting = [(free, i) for i, free in enumerate(self._free) if free >= units]
            if not fitting:
                return None
            _, chosen = min(fitting)
            self._free[chosen] -= units
            return (chosen,)
        whole = [i for i, free in enumerate(self._free) if free == UNITS][: units // UNITS]
        if len(whole) < units // UNITS:
            return None
        for i in whole:
            self._free[i] = 0
        return tuple(whole)

    def give_back(self, devices: tuple[int, ...], units: int) -> None:
        """What `take` had given."""
        for i in devices:
            self._free[i] = min(UNITS, self._free[i] + min(units, UNITS))
