"""Medians, ratios, aims and tables of a run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from statistics import median
from typing import Any

from rich.table import Table

from benchmarks.cases import AIMS, CASES, ONE_PROCESS, OURS, Aim
from benchmarks.peers import PEERS
from benchmarks.rounds import Sample

MISSED, MET, OPEN = "missed", "met", "not measured"


@dataclass(frozen=True)
class Verdict:
    """What became of an aim.

    Attributes
    ----------
    ratio : float or None
        Ours divided by the peer's; None where one of them was not measured.
    """

    aim: Aim
    ratio: float | None

    @property
    def state(self) -> str:
        """``met``, ``missed`` or ``not measured``."""
        if self.ratio is None:
            return OPEN
        if CASES[self.aim.case].is_rate:
            return MET if self.ratio >= self.aim.factor else MISSED
        return MET if self.ratio <= self.aim.factor else MISSED


def values(samples: Sequence[Sample], case: str, peer: str) -> dict[int, float]:
    """The figures of a peer in a case, by round."""
    return {
        sample.round: sample.value
        for sample in samples
        if sample.case == case and sample.peer == peer and sample.value is not None
    }


def ratio(samples: Sequence[Sample], case: str, peer: str, times: float = 1.0) -> float | None:
    """Ours divided by `times` a peer's: the median of the ratios of each round.

    Within a round the machine is most alike; a round in which one of both failed does not count.
    """
    ours, theirs = values(samples, case, OURS), values(samples, case, peer)
    return median_or_none([ours[n] / (theirs[n] * times) for n in ours.keys() & theirs.keys()])


def median_or_none(numbers: Sequence[float]) -> float | None:
    """The median; None of nothing."""
    return median(numbers) if numbers else None


def judge(samples: Sequence[Sample], cores: int, aims: Sequence[Aim] = AIMS) -> list[Verdict]:
    """Every aim of the cases that were run, with the ratio measured."""
    run = {sample.case for sample in samples}
    return [
        Verdict(aim, ratio(samples, aim.case, aim.peer, cores if aim.per_core else 1))
        for aim in aims
        if aim.case in run
    ]


def odd_palettes(samples: Sequence[Sample]) -> list[str]:
    """Peers whose palettes are not those of the plain loop."""
    plain = {sample.digest for sample in samples if sample.peer == ONE_PROCESS and sample.digest}
    if not plain:
        return []
    return sorted({s.peer for s in samples if s.digest and s.digest not in plain})


def figures_table(samples: Sequence[Sample]) -> Table:
    """A row for each peer, a column for each case: the median, and how far the figures spread."""
    cases = list(dict.fromkeys(sample.case for sample in samples))
    table = Table(title="Medians (least to most)", title_justify="left")
    table.add_column("")
    for case in cases:
        table.add_column(f"{CASES[case].title}\n{CASES[case].unit}", justify="right")
    for peer in sorted({sample.peer for sample in samples}, key=list(PEERS).index):
        cells = (_figure(list(values(samples, case, peer).values())) for case in cases)
        table.add_row(peer, *cells)
    return table


def _figure(numbers: Sequence[float]) -> str:
    if not numbers:
        return "–"
    if len(numbers) == 1:
        return show(numbers[0])
    return f"{show(median(numbers))} ({show(min(numbers))} to {show(max(numbers))})"


def show(number: float) -> str:
    """A figure to three digits, without an exponent: ``0.318``, ``12.7``, ``94,300``."""
    if number == 0:
        return "0"
    digits = f"{number:.3g}"
    return f"{float(digits):,.0f}" if abs(number) >= 100 else digits


def aims_table(verdicts: Sequence[Verdict]) -> Table:
    """A row for each aim."""
    table = Table(title="Ours in relation to peers", title_justify="left")
    for name in ("", "ratio", "aim", ""):
        table.add_column(name)
    for verdict in verdicts:
        measured = "–" if verdict.ratio is None else show(verdict.ratio)
        colour = {MET: "green", MISSED: "red", OPEN: "yellow"}[verdict.state]
        state = f"[{colour}]{verdict.state}[/{colour}]"
        table.add_row(_sentence(verdict.aim), measured, _aim(verdict.aim), state)
    return table


def _sentence(aim: Aim) -> str:
    base = f"(cores × {aim.peer})" if aim.per_core else aim.peer
    return f"{CASES[aim.case].title}: ours ÷ {base}"


def _aim(aim: Aim) -> str:
    return f"{'at least' if CASES[aim.case].is_rate else 'at most'} {show(aim.factor)}"


def as_json(samples: Sequence[Sample], verdicts: Sequence[Verdict]) -> dict[str, Any]:
    """All that was measured and what follows from it, as plain values."""
    pairs = dict.fromkeys((sample.case, sample.peer) for sample in samples)
    medians = [
        {
            "case": case,
            "peer": peer,
            "unit": CASES[case].unit,
            "median": median_or_none(list(values(samples, case, peer).values())),
        }
        for case, peer in pairs
    ]
    aims = [{**asdict(v.aim), "ratio": v.ratio, "state": v.state} for v in verdicts]
    return {"medians": medians, "aims": aims, "samples": [asdict(s) for s in samples]}
