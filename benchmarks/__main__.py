"""``python -m benchmarks``: measure, show, write."""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
from collections.abc import Iterable
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from rich.console import Console

from benchmarks.cases import CASES, ONE_PROCESS, OURS, QUICK_IMAGES
from benchmarks.peers import PEERS
from benchmarks.report import aims_table, as_json, figures_table, judge, odd_palettes, show
from benchmarks.rounds import Plan, Sample, missing, run

ROUNDS, QUICK_ROUNDS = 5, 2


def main(arguments: list[str] | None = None) -> int:
    """Run the benchmarks; 0 where every measurement gave a figure, 1 where one did not."""
    options = _parser().parse_args(arguments)
    console = Console(width=None if sys.stdout.isatty() else 140, highlight=False)
    peers = _installed(console, options.peers)
    with TemporaryDirectory(prefix="bench-images-") as folder:
        plan = _plan(options, peers, Path(folder))
        machine = _machine(plan)
        console.print(_sentence(plan, machine))
        samples: list[Sample] = []
        try:
            for sample in run(plan):
                samples.append(sample)
                console.print(_line(sample))
        except KeyboardInterrupt:
            console.print("interrupted; what follows is what was measured")
    _show(console, samples, plan.cores)
    if options.out:
        content = {"machine": machine, **as_json(samples, judge(samples, plan.cores))}
        options.out.write_text(json.dumps(content, indent=1) + "\n")
    return 1 if any(sample.problem for sample in samples) or odd_palettes(samples) else 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks",
        description="Compare jupyter_cluster with its peers on this machine. Each measurement is"
        " a fresh process; peers take turns.",
    )
    parser.add_argument("--quick", action="store_true", help="a few minutes: fewer, smaller rounds")
    parser.add_argument("--only", type=_names_of(CASES), default=tuple(CASES), metavar="CASES")
    parser.add_argument("--peers", type=_names_of(PEERS), default=tuple(PEERS), metavar="PEERS")
    parser.add_argument("--rounds", type=_positive, help=f"repeats; default {ROUNDS}")
    parser.add_argument("--images", type=_folder, metavar="DIR", help="JPEG files to work on")
    parser.add_argument("--limit", type=_positive, default=180, help="seconds per measurement")
    parser.add_argument("--out", type=_new_file, metavar="FILE", help="write all figures as JSON")
    parser.epilog = f"CASES: {', '.join(CASES)}. PEERS: {', '.join(PEERS)}."
    return parser


def _names_of(allowed: Iterable[str]) -> Any:
    """A reader of names with commas between them."""
    known = tuple(allowed)

    def read(text: str) -> tuple[str, ...]:
        chosen = tuple(name.strip() for name in text.split(","))
        for name in chosen:
            if name not in known:
                raise argparse.ArgumentTypeError(f"{name!r} is none of {', '.join(known)}")
        return chosen

    return read


def _positive(text: str) -> int:
    if not text.isdigit() or not int(text):
        raise argparse.ArgumentTypeError(f"{text!r} is not a number above 0")
    return int(text)


def _folder(text: str) -> Path:
    path = Path(text)
    if not path.is_dir() or not any(path.iterdir()):
        raise argparse.ArgumentTypeError(f"{text!r} is not a folder with files in it")
    return path


def _new_file(text: str) -> Path:
    """Looked at before minutes of measuring, not after them."""
    path = Path(text)
    if not path.parent.is_dir() or path.is_dir():
        raise argparse.ArgumentTypeError(f"{text!r} cannot be written: give a file in a folder")
    return path


def _installed(console: Console, peers: tuple[str, ...]) -> tuple[str, ...]:
    absent = missing(peers)
    for peer, package in absent.items():
        console.print(f"{peer} is left out: install {package} (it is in the extra \\[bench])")
    return tuple(peer for peer in peers if peer not in absent)


def _plan(options: argparse.Namespace, peers: tuple[str, ...], folder: Path) -> Plan:
    images = _images(options, folder) if "palettes" in options.only else ()
    rounds = options.rounds or (QUICK_ROUNDS if options.quick else ROUNDS)
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return Plan(options.only, peers, rounds, cores or 1, images, options.quick, options.limit)


def _images(options: argparse.Namespace, folder: Path) -> tuple[str, ...]:
    from jupyter_cluster.demo.palettes import find_images
    from jupyter_cluster.demo.posters import make_posters

    if options.images:
        return tuple(str(path.resolve()) for path in find_images(options.images))
    count = QUICK_IMAGES if options.quick else CASES["palettes"].count
    return tuple(str(path) for path in make_posters(folder, count))


def _machine(plan: Plan) -> dict[str, Any]:
    packages = {"jupyter-cluster": "jupyter-cluster"}
    packages |= {peer: PEERS[peer].package for peer in plan.peers if peer != OURS}
    return {
        "cores": plan.cores,
        "load_before": os.getloadavg()[0],
        "python": platform.python_version(),
        "system": platform.platform(),
        "versions": {peer: version(name) for peer, name in packages.items() if name},
    }


def _sentence(plan: Plan, machine: dict[str, Any]) -> str:
    versions = ", ".join(f"{name} {number}" for name, number in machine["versions"].items())
    return (
        f"rounds: {plan.rounds}, cores: {plan.cores}, load before: {machine['load_before']:.2f};"
        f" Python {machine['python']}, {versions}"
    )


def _line(sample: Sample) -> str:
    unit = CASES[sample.case].unit
    found = f"{show(sample.value)} {unit}" if sample.value is not None else sample.problem
    return f"round {sample.round + 1}  {sample.case:<10} {sample.peer:<16} {found}"


def _show(console: Console, samples: list[Sample], cores: int) -> None:
    if not samples:
        return
    console.print(figures_table(samples))
    console.print(aims_table(judge(samples, cores)))
    for peer in odd_palettes(samples):
        console.print(f"[red]the palettes of {peer} differ from those of {ONE_PROCESS}[/red]")


if __name__ == "__main__":
    sys.exit(main())
