"""What is measured, on how many tasks, and what the project aims at."""

from __future__ import annotations

from dataclasses import dataclass

OURS = "jupyter_cluster"
ONE_PROCESS = "one-process"


@dataclass(frozen=True)
class Case:
    """A thing to measure.

    Attributes
    ----------
    count : int
        How many tasks: where more of them make a figure steadier, not where they change it.
    is_rate : bool
        More is better; otherwise it is a time.
    """

    name: str
    title: str
    unit: str
    count: int
    is_rate: bool


CASES = {
    case.name: case
    for case in (
        Case("palettes", "palettes of posters", "images/s", 200, True),
        Case("map", "no-op tasks by map", "tasks/s", 200_000, True),
        Case("calls", "no-op calls, then gather", "calls/s", 10_000, True),
        Case("roundtrip", "round trip of one call", "ms", 400, False),
        Case("start", "start to first result", "s", 1, False),
    )
}

# Peers that would take minutes over the full number; rates are compared, not durations.
_FEWER = {
    ("map", "dask"): 2_000,
    ("map", "ipyparallel"): 40_000,
    ("calls", "dask"): 1_500,
    ("calls", "ipyparallel"): 1_000,
    ("calls", "ray"): 4_000,
}
QUICK_IMAGES = 60
_QUICK_SHARE = 4


def count_for(case: str, peer: str, is_quick: bool, images: int) -> int:
    """How many tasks a peer gets in a case."""
    if case == "palettes":
        return images
    count = _FEWER.get((case, peer), CASES[case].count)
    return max(1, count // _QUICK_SHARE) if is_quick else count


@dataclass(frozen=True)
class Aim:
    """Ours in relation to a peer's, in one case.

    Attributes
    ----------
    factor : float
        Of rates ours is to be at least this many times the peer's, of times at most.
    per_core : bool
        The peer's figure is multiplied by the number of cores first.
    """

    case: str
    peer: str
    factor: float
    per_core: bool = False


AIMS = (
    Aim("palettes", ONE_PROCESS, 0.97, per_core=True),
    *(Aim("palettes", peer, 1.0) for peer in ("ray", "dask", "ipyparallel", "joblib")),
    Aim("map", "ray", 4.0),
    Aim("map", "processpool", 1.0),
    Aim("calls", "ray", 5.0),
    Aim("roundtrip", "ray", 0.5),
    Aim("roundtrip", "ipyparallel", 1.0),
    Aim("start", "ray", 1 / 3),
)
