"""``python -m jupyter_cluster.autoscaler plan CASE.json``: plan a case and print the plan."""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from jupyter_cluster.autoscaler.case import answer, read_case
from jupyter_cluster.autoscaler.packing import plan
from jupyter_cluster.errors import UsageError


def main(arguments: Sequence[str] | None = None) -> int:
    """0 where a plan was printed, 2 where the case cannot be read."""
    options = _parser().parse_args(arguments)
    try:
        snapshot = read_case(_text(options.case)).snapshot()
    except OSError as error:
        print(f"{options.case}: {error.strerror}", file=sys.stderr)
        return 2
    except (UnicodeDecodeError, UsageError) as error:
        print(f"{options.case}: {error}", file=sys.stderr)
        return 2
    started = time.perf_counter()
    planned = plan(snapshot)
    seconds = time.perf_counter() - started
    print(json.dumps(answer(planned, seconds)))
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m jupyter_cluster.autoscaler")
    verbs = parser.add_subparsers(required=True, metavar="VERB")
    verb = verbs.add_parser(
        "plan",
        help="which nodes to launch for the tasks of a case",
        description="Plan a case and print the plan as JSON; docs/autoscaler.md has an example.",
    )
    verb.add_argument("case", metavar="CASE.json", help="the case; - for standard input")
    return parser


def _text(case: str) -> str:
    return sys.stdin.read() if case == "-" else Path(case).read_text(encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())
