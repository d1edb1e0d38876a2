"""``python -m benchmarks.autoscaling``: simulate, price, time; show and write what came out."""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
from collections.abc import Iterable
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from rich.console import Console

from benchmarks.autoscaling import launch_sets, planning, simulations, tables
from benchmarks.autoscaling.aims import (
    Verdict,
    judge_launch_sets,
    judge_planning,
    judge_workloads,
)
from benchmarks.autoscaling.charts import write_charts
from benchmarks.autoscaling.launch_sets import Price
from benchmarks.autoscaling.peers import OURS, OURS_AUTO, RAY_V1, RAY_V2, installed
from benchmarks.autoscaling.planning import Timing
from benchmarks.autoscaling.simulations import Outcome
from benchmarks.autoscaling.workloads import WORKLOADS
from benchmarks.report import MISSED

LAUNCH_SETS, PLANNING = "launch-sets", "planning"
GROUPS = tuple(dict.fromkeys(workload.group for workload in WORKLOADS.values()))
PARTS = (*GROUPS, LAUNCH_SETS, PLANNING)
# Ray's own name for how many demands its v1 sees; it reads it when it is imported.
V1_DEMANDS = "AUTOSCALER_MAX_RESOURCE_DEMAND_VECTOR_SIZE"


@dataclass(frozen=True)
class Size:
    """How much is measured."""

    seeds: int
    mixes: int
    rounds: int
    limit: float


FULL, QUICK = Size(5, 50, 5, 60.0), Size(1, 10, 1, 10.0)
# Without them a quick run would take minutes more, nearly all of it in Ray's v2.
NOT_QUICK = ("seed-60", "seed-120")


@dataclass
class Findings:
    """All that a run has found."""

    outcomes: list[Outcome] = field(default_factory=list)
    prices: list[Price] = field(default_factory=list)
    timings: list[Timing] = field(default_factory=list)

    def verdicts(self) -> list[Verdict]:
        """Every aim of the parts that were run."""
        return [
            *judge_workloads(self.outcomes),
            *judge_launch_sets(self.prices),
            *judge_planning(self.timings),
        ]

    def grids(self, limit: float) -> list[tables.Grid]:
        """Every table of the parts that were run."""
        found = tables.workload_grids(self.outcomes)
        found += [tables.ratios_grid(self.outcomes)] if self.outcomes else []
        found += [tables.launch_grid(self.prices)] if self.prices else []
        found += [tables.planning_grid(self.timings, limit)] if self.timings else []
        return [*found, tables.aims_grid(self.verdicts())]

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "simulations": [outcome.as_dict() for outcome in self.outcomes],
            "launch_sets": [price.as_dict() for price in self.prices],
            "planning": [timing.as_dict() for timing in self.timings],
            "aims": [verdict.as_dict() for verdict in self.verdicts()],
        }


def main(arguments: list[str] | None = None) -> int:
    """Run the benchmark; 0 where every aim that was measured is met, 1 where one is missed."""
    options = _parser().parse_args(arguments)
    if options.v1_demands:
        os.environ[V1_DEMANDS] = options.v1_demands
    console = Console(highlight=False)
    progress = Console(stderr=True, highlight=False, soft_wrap=True)
    findings, size = Findings(), _size(options)
    machine = _machine(options)
    progress.print(", ".join(f"{name}: {value}" for name, value in machine.items()))
    try:
        _measure(options, size, findings, progress)
    except KeyboardInterrupt:
        progress.print("interrupted; what follows is what was measured")
    finally:  # a planner that fails must not take an hour of figures with it
        for grid in findings.grids(size.limit):
            grid.print(console)
        _write(options, machine, findings, progress)
    return 1 if any(verdict.state == MISSED for verdict in findings.verdicts()) else 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.autoscaling",
        description="Compare the autoscaler with the planners of the installed ray package.",
    )
    parser.add_argument("--quick", action="store_true", help="minutes: one seed, fewer rounds")
    parser.add_argument(
        "--only", type=_parts, default=PARTS, metavar="PARTS", help=", ".join(PARTS)
    )
    parser.add_argument(
        "--seeds", type=_positive, help=f"simulations of each kind; default {FULL.seeds}"
    )
    parser.add_argument(
        "--processes", type=_positive, default=1, help="simulations at a time; default 1"
    )
    parser.add_argument(
        "--upscaling-speed", type=float, default=1.0, help="of Ray's planners; default 1, as theirs"
    )
    parser.add_argument(
        "--v1-demands", metavar="N", help="demands that Ray's v1 sees, or inf; default 1000, as its"
    )
    parser.add_argument("--json", type=_new_file, metavar="FILE", help="write all figures")
    parser.add_argument("--charts", type=_folder, metavar="FOLDER", help="write charts as HTML")
    return parser


def _parts(text: str) -> tuple[str, ...]:
    chosen = tuple(name.strip() for name in text.split(","))
    for name in chosen:
        if name not in PARTS:
            raise argparse.ArgumentTypeError(f"{name!r} is none of {', '.join(PARTS)}")
    return chosen


def _positive(text: str) -> int:
    if not text.isdigit() or not int(text):
        raise argparse.ArgumentTypeError(f"{text!r} is not a number above 0")
    return int(text)


def _new_file(text: str) -> Path:
    """Looked at before half an hour of measuring, not after it."""
    path = Path(text)
    if not path.parent.is_dir() or path.is_dir():
        raise argparse.ArgumentTypeError(f"{text!r} cannot be written: give a file in a folder")
    return path


def _folder(text: str) -> Path:
    path = Path(text)
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise argparse.ArgumentTypeError(f"{text!r} cannot be a folder: {error.strerror}") from None
    return path


def _size(options: argparse.Namespace) -> Size:
    size = QUICK if options.quick else FULL
    return Size(options.seeds or size.seeds, size.mixes, size.rounds, size.limit)


def _machine(options: argparse.Namespace) -> dict[str, Any]:
    return {
        "cores": os.cpu_count(),
        "load_before": round(os.getloadavg()[0], 2),
        "python": platform.python_version(),
        "ray": _version("ray"),
        "upscaling_speed": options.upscaling_speed,
        "v1_demands": os.environ.get(V1_DEMANDS, "1000"),
    }


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed: pip install 'jupyter-cluster[bench]'"


def _measure(
    options: argparse.Namespace, size: Size, findings: Findings, progress: Console
) -> None:
    workloads = [w.name for w in WORKLOADS.values() if w.group in options.only]
    if options.quick:
        workloads = [name for name in workloads if name not in NOT_QUICK]
    peers = installed((OURS, OURS_AUTO, RAY_V1, RAY_V2))
    wanted = simulations.orders(workloads, peers, size.seeds, options.upscaling_speed)
    if wanted:
        found = simulations.run_all(wanted, options.processes)
        _collect(found, findings.outcomes, progress, _outcome_line)
    if LAUNCH_SETS in options.only:
        found_prices = launch_sets.price_all(installed((OURS, RAY_V1, RAY_V2)), size.mixes)
        _collect(found_prices, findings.prices, progress, _price_line)
    if PLANNING in options.only:
        timed = planning.time_all(
            installed(planning.PLANNERS), planning.COUNTS, size.rounds, size.limit
        )
        _collect(timed, findings.timings, progress, _timing_line)


def _collect(source: Iterable[Any], target: list[Any], progress: Console, line: Any) -> None:
    """Keep each finding as it comes, so that an interrupted run has something to show."""
    for found in source:
        target.append(found)
        progress.print(line(found))


def _outcome_line(outcome: Outcome) -> str:
    return (
        f"{outcome.workload:<12} seed {outcome.seed}  {outcome.peer:<10}"
        f" {outcome.makespan:7.0f} s {outcome.cost:9.2f} USD, took {outcome.real_seconds:.1f} s"
    )


def _price_line(price: Price) -> str:
    return (
        f"{LAUNCH_SETS:<12} mix {price.seed:<3} {price.peer:<10} {price.ratio:.3f}"
        f" in {1000 * price.seconds:.0f} ms"
    )


def _timing_line(timing: Timing) -> str:
    took = "over the limit" if timing.seconds is None else f"{1000 * timing.seconds:.1f} ms"
    return f"{PLANNING:<12} {timing.peer:<18} {timing.tasks:>9,} on {timing.nodes:<5,} {took}"


def _write(
    options: argparse.Namespace, machine: dict[str, Any], findings: Findings, progress: Console
) -> None:
    if options.json:
        content = {"machine": machine, **findings.as_dict()}
        options.json.write_text(json.dumps(content, indent=1) + "\n")
    if options.charts:
        found = findings.outcomes, findings.prices, findings.timings
        for path in write_charts(options.charts, *found):
            progress.print(f"wrote {path}")


if __name__ == "__main__":
    sys.exit(main())
