"""``python -m benchmarks.notebook``: measure, show, write."""

from __future__ import annotations

import argparse
import json
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from benchmarks.notebook import cells, loading, panel

PARTS = ("cells", "loading", "panel")
# Aims: the round trip at most a peer's; loading in seconds; the panel as a share of a core.
LOADING_AIM, PANEL_AIM = 0.3, 0.05


def main(arguments: list[str] | None = None) -> int:
    """Measure what is asked for; 0 always, since an aim that is missed is a figure too."""
    options = _parser().parse_args(arguments)
    console = Console(highlight=False)
    found: dict[str, Any] = {}
    if "cells" in options.only:
        found["cells"] = cells.measure(options.rounds, options.each)
        console.print(_table("round trip of a cell, ms", found["cells"], 1e3))
        ours, peer = (statistics.median(found["cells"][n]) for n in (cells.OURS, cells.PEER))
        console.print(f"{cells.OURS} takes {ours / peer:.2f} of {cells.PEER}")
    if "loading" in options.only:
        found["loading"] = loading.measure(options.rounds)
        console.print(_table("loading, ms", found["loading"], 1e3))
        took = statistics.median(found["loading"][loading.OURS])
        console.print(f"aim: under {LOADING_AIM} s; {'met' if took < LOADING_AIM else 'missed'}")
    if "panel" in options.only:
        cost = panel.measure(options.nodes, options.seconds)
        found["panel"] = asdict(cost)
        console.print(
            f"panel of {cost.nodes} nodes and {cost.rate:,.0f} tasks/s:"
            f" {cost.with_panel:.1%} of a core, {cost.without:.1%} without it;"
            f" aim: under {PANEL_AIM:.0%}; {'met' if cost.with_panel < PANEL_AIM else 'missed'}"
        )
    if options.out:
        options.out.write_text(json.dumps(found, indent=1) + "\n")
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.notebook", description=__doc__)
    parser.add_argument("--only", nargs="+", choices=PARTS, default=PARTS, help="parts to measure")
    parser.add_argument("--rounds", type=int, default=5, help="default 5")
    parser.add_argument("--each", type=int, default=40, help="cells of each kind in a round")
    parser.add_argument("--nodes", type=int, default=100, help="nodes that the panel shows")
    parser.add_argument("--seconds", type=float, default=20.0, help="to watch the panel for")
    parser.add_argument("--out", type=Path, metavar="FILE", help="write all figures as JSON")
    return parser


def _table(title: str, times: Mapping[str, Sequence[float]], scale: float) -> Table:
    table = Table("what", "median", "fastest", "slowest", "n", title=title)
    for name, seconds in times.items():
        values = (statistics.median(seconds), min(seconds), max(seconds))
        row = [f"{value * scale:.3g}" for value in values]
        table.add_row(name, *row, str(len(seconds)))
    return table


if __name__ == "__main__":
    raise SystemExit(main())
