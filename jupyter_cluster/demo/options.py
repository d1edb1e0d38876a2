"""The options of the demo; imports nothing, so that every verb's help is quick."""

from __future__ import annotations

import argparse
from pathlib import Path

COUNT = 300
OUT = Path("demo-out")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add them to the parser of the verb: `images`, `count`, `out` and `resume`."""
    source = parser.add_mutually_exclusive_group()
    source.add_argument("--images", type=Path, metavar="DIR", help="work on the JPEGs of a folder")
    source.add_argument(
        "--count",
        type=_at_least_one,
        default=COUNT,
        metavar="N",
        help="or make N posters to work on (default: %(default)s)",
    )
    parser.add_argument(
        "--out",
        type=Path,
        default=OUT,
        metavar="DIR",
        help="folder for palettes.json, throughput.json and report.html (default: %(default)s)",
    )
    parser.add_argument(
        "--resume",
        action="store_true",
        help="go on where an earlier run with the same --out stopped",
    )


def _at_least_one(text: str) -> int:
    try:
        number = int(text)
    except ValueError:
        number = 0
    if number < 1:
        raise argparse.ArgumentTypeError(f"must be a whole number from 1 on, not {text!r}")
    return number
