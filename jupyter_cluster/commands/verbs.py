"""The verbs: their names, their arguments, where each is done."""

from __future__ import annotations

import argparse
import re
from collections.abc import Callable
from dataclasses import dataclass

from jupyter_cluster.commands import tasks

# -- kinds of argument ----------------------------------------------------------------------------


def whole(text: str) -> int:
    """``8``.

    >>> whole("8")
    8
    """
    if not re.fullmatch(r"[+-]?[0-9]{1,18}", text.strip()):
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number")
    return int(text)


def port(text: str) -> int:
    """Of TCP; 0 for any that is free."""
    if not 0 <= (number := whole(text)) < 65536:
        raise argparse.ArgumentTypeError(f"{text!r} is not a port, a number from 0 to 65535")
    return number


def minimum(text: str) -> tuple[str, int]:
    """``TYPE=N``.

    >>> minimum("gpu=2")
    ('gpu', 2)
    """
    name, _, count = text.rpartition("=")
    if not name or not count.isdecimal():
        raise argparse.ArgumentTypeError(f"{text!r} is not TYPE=N, e.g. local=2")
    return name, int(count)


def request(text: str) -> tuple[dict[str, float], int]:
    """A shape, and how many of it: ``CPU=4,GPU=1x3``.

    >>> request("CPU=4,GPU=1x3")
    ({'CPU': 4.0, 'GPU': 1.0}, 3)
    """
    shape, count = re.fullmatch(r"(.*?)(?:[x×*](\d+))?", text, re.DOTALL).groups()  # type: ignore[union-attr]
    try:
        pairs = (part.rsplit("=", 1) for part in shape.split(","))
        return {name.strip(): float(amount) for name, amount in pairs}, int(count or 1)
    except ValueError:
        raise argparse.ArgumentTypeError(
            f"{text!r} is not RESOURCE=AMOUNT,…[xN], e.g. CPU=4,GPU=1x3"
        ) from None


# -- the verbs ------------------------------------------------------------------------------------


def _cluster(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "cluster",
        nargs="?",
        metavar="CLUSTER",
        help="name of the cluster, or its YAML file; by default the only one that runs",
    )


def _json(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="for scripts")


def _yes(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("-y", "--yes", action="store_true", help="do not ask")


def _tasks(parser: argparse.ArgumentParser, purpose: str, required: bool = False) -> None:
    parser.add_argument(
        "--tasks",
        type=tasks.tasks,
        action="append",
        required=required,
        default=None if required else [],
        metavar=tasks.SYNTAX,
        help=f"{purpose}, e.g. {tasks.EXAMPLE}; may be given again",
    )


def _up(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "file",
        nargs="?",
        metavar="FILE",
        help="cluster YAML, or the name of a cluster that has stopped; by default a cluster here",
    )
    _yes(parser)
    parser.add_argument("--name", help="without FILE: the cluster's name (default: local)")
    parser.add_argument("--cpus", type=whole, metavar="N", help="without FILE: cores to share")
    parser.add_argument(
        "--max-workers", type=whole, metavar="N", help="without FILE: nodes at most"
    )
    _tasks(parser, "say first what such tasks would take and cost")
    again = parser.add_mutually_exclusive_group()
    again.add_argument(
        "--restart-only", action="store_true", help="start its head anew, and set nothing up"
    )
    again.add_argument(
        "--no-restart", action="store_true", help="set up what has changed, and restart nothing"
    )
    parser.add_argument(
        "--no-config-cache",
        action="store_true",
        help="taken for scripts that were written for Ray; nothing is cached here",
    )


def _down(parser: argparse.ArgumentParser) -> None:
    _cluster(parser)
    _yes(parser)
    _region(parser, "where one that this machine does not know is on AWS")
    parser.add_argument(
        "--workers-only", action="store_true", help="end its workers and keep its head"
    )
    parser.add_argument(
        "--keep-min-workers", action="store_true", help="keep as many workers as min_workers says"
    )


def _report(parser: argparse.ArgumentParser) -> None:
    _cluster(parser)
    _json(parser)


def _jobs(parser: argparse.ArgumentParser) -> None:
    _report(parser)
    change = parser.add_mutually_exclusive_group()
    change.add_argument("--cancel", metavar="JOB", help="end its tasks; results are kept")
    change.add_argument("--delete", metavar="JOB", help="forget it and its results")


def _sessions(parser: argparse.ArgumentParser) -> None:
    _report(parser)
    parser.add_argument("--end", metavar="SESSION", help="end it and forget its variables")


def _scale(parser: argparse.ArgumentParser) -> None:
    _report(parser)
    parser.add_argument("--max-workers", type=whole, metavar="N", help="nodes of all types at most")
    parser.add_argument(
        "--min-workers",
        type=minimum,
        action="append",
        default=[],
        metavar="TYPE=N",
        help="nodes of a type that are always kept; may be given again",
    )
    held = parser.add_mutually_exclusive_group()
    held.add_argument(
        "--request",
        type=request,
        action="append",
        metavar="SHAPE",
        help="capacity to hold whether used or not, e.g. CPU=4,GPU=1x3 for three such; may "
        "be given again; replaces what was held before",
    )
    held.add_argument("--no-request", action="store_true", help="hold nothing any more")


def _follow(parser: argparse.ArgumentParser) -> None:
    _report(parser)
    parser.add_argument("-f", "--follow", action="store_true", help="go on with what comes")


def _logs(parser: argparse.ArgumentParser) -> None:
    _follow(parser)
    parser.add_argument("--node", help="only what this node wrote")
    parser.add_argument("--job", help="only what this job wrote")


def _connect(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("cluster", metavar="CLUSTER", help="name of the cluster, or its YAML file")


def _node(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--node", default="head", help="name of a node; by default the head")


def _attach(parser: argparse.ArgumentParser) -> None:
    _cluster(parser)
    _node(parser)


def _exec(parser: argparse.ArgumentParser) -> None:
    _cluster(parser)
    parser.add_argument("command", metavar="COMMAND", help="for a shell, as one word")
    _node(parser)


def _submit(parser: argparse.ArgumentParser) -> None:
    _connect(parser)
    parser.add_argument("script", metavar="SCRIPT", help="a Python program")
    parser.add_argument("arguments", nargs="*", metavar="ARGUMENT", help="for the program")


def _copy(parser: argparse.ArgumentParser) -> None:
    _connect(parser)
    parser.add_argument("source", metavar="SOURCE")
    parser.add_argument("target", metavar="TARGET")
    _node(parser)


def _dashboard(parser: argparse.ArgumentParser) -> None:
    _cluster(parser)
    parser.add_argument(
        "--port", type=port, default=0, help="on this machine; by default any that is free"
    )
    parser.add_argument("--no-browser", action="store_true", help="only show the address")


def _region(parser: argparse.ArgumentParser, purpose: str) -> None:
    parser.add_argument(
        "--region",
        metavar="REGION",
        action="append",
        default=[],
        help=f"{purpose}; may be given again; by default that of the AWS settings and those in"
        " which clusters of this machine are",
    )


def _gc(parser: argparse.ArgumentParser) -> None:
    _region(parser, "look here")
    parser.add_argument("--all-regions", action="store_true", help="that the account has enabled")
    parser.add_argument(
        "--stopped", action="store_true", help="also those whose stopped head or disk may keep data"
    )
    parser.add_argument(
        "--all-owners", action="store_true", help="also those that somebody else has made"
    )
    _yes(parser)
    _json(parser)


def _config(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("what", choices=("check", "explain", "schema"))
    parser.add_argument("file", nargs="?", metavar="FILE", help="cluster YAML")
    _json(parser)


def _simulate(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "file", nargs="?", metavar="FILE", help="cluster YAML; by default a cluster here"
    )
    _tasks(parser, "what there is to do", required=True)
    parser.add_argument(
        "--boot", type=tasks.seconds, metavar="SECONDS", help="what a node takes to be ready"
    )
    vary = parser.add_mutually_exclusive_group()
    vary.add_argument(
        "--spread",
        type=tasks.amount,
        metavar="RATIO",
        help="how durations vary: their standard deviation over their mean",
    )
    vary.add_argument(
        "--stragglers",
        type=tasks.stragglers,
        metavar="SHARExFACTOR",
        help="a share of the tasks takes so many times longer, e.g. 0.01x20",
    )
    parser.add_argument(
        "--failures",
        type=tasks.share,
        default=0.0,
        metavar="SHARE",
        help="share of the nodes that fail instead of becoming ready, e.g. 0.05",
    )
    parser.add_argument(
        "--reclaims",
        type=tasks.amount,
        default=0.0,
        metavar="RATE",
        help="how often an hour a spot node is taken back, e.g. 0.2",
    )
    parser.add_argument("--seed", type=whole, default=0, help="another one, another run of chance")
    parser.add_argument("--chart", metavar="FILE", help="write a chart as HTML")
    _json(parser)


def _demo(parser: argparse.ArgumentParser) -> None:
    from jupyter_cluster.demo.options import add_arguments

    add_arguments(parser)


@dataclass(frozen=True)
class Verb:
    """A verb: the function of that name in a module of this package, ``_`` for ``-``."""

    name: str
    module: str
    summary: str
    add_arguments: Callable[[argparse.ArgumentParser], None]
    examples: tuple[str, ...] = ()


VERBS = (
    Verb(
        "up",
        "lifecycle",
        "start a cluster",
        _up,
        (
            "up",
            "up cluster.yaml -y",
            "up cluster.yaml --tasks 134000x0.4s",
            "up --max-workers 4",
        ),
    ),
    Verb("down", "lifecycle", "end a cluster and all it has kept", _down, ("down", "down demo -y")),
    Verb("status", "reports", "the cluster at a glance", _report, ("status", "status --json")),
    Verb("nodes", "reports", "its nodes and what they do", _report),
    Verb(
        "jobs",
        "reports",
        "its jobs; cancel or delete one",
        _jobs,
        ("jobs", "jobs --cancel palettes"),
    ),
    Verb(
        "sessions",
        "reports",
        "variables that cells keep on nodes; end a session",
        _sessions,
        ("sessions", "sessions --end training"),
    ),
    Verb(
        "scale",
        "reports",
        "show or change its limits",
        _scale,
        ("scale --max-workers 8", "scale --min-workers local=2", "scale --request CPU=4,GPU=1x3"),
    ),
    Verb("logs", "follow", "what tasks have printed", _logs, ("logs -f --job palettes",)),
    Verb("monitor", "follow", "what the autoscaler did, and why", _follow, ("monitor -f",)),
    Verb(
        "panel",
        "follow",
        "a live view of rate, nodes and jobs",
        _cluster,
        ("panel", "panel demo"),
    ),
    Verb(
        "dashboard",
        "follow",
        "a page with what the panel shows",
        _dashboard,
        ("dashboard", "dashboard palettes --port 8265 --no-browser"),
    ),
    Verb("cost", "reports", "what it costs", _report),
    Verb("list", "reports", "all clusters", _json),
    Verb("connect", "lifecycle", "take a cluster that runs", _connect, ("connect demo",)),
    Verb(
        "attach",
        "hosts",
        "a shell on its head or on a node",
        _attach,
        ("attach demo", "attach demo --node worker-1"),
    ),
    Verb(
        "exec",
        "hosts",
        "run a command on a node",
        _exec,
        ("exec demo hostname", "exec demo nvidia-smi --node worker-1"),
    ),
    Verb("submit", "hosts", "run a program on its head", _submit, ("submit demo train.py 10",)),
    Verb("rsync-up", "hosts", "copy files to a node", _copy, ("rsync-up demo data '~/data'",)),
    Verb("rsync-down", "hosts", "copy files from a node", _copy, ("rsync-down demo '~/out' .",)),
    Verb("gc", "orphans", "find and end what lost clusters have left", _gc, ("gc", "gc -y")),
    Verb(
        "config",
        "configuration",
        "check or explain a cluster YAML",
        _config,
        ("config check cluster.yaml", "config explain cluster.yaml", "config schema"),
    ),
    Verb(
        "simulate",
        "simulate",
        "what tasks would take and cost, without starting anything",
        _simulate,
        (
            "simulate cluster.yaml --tasks 134000x0.4s",
            "simulate cluster.yaml --tasks 10000x5s --tasks 500x30s:CPU=4,memory=8GB@240s",
            "simulate cluster.yaml --tasks 10000x5s --spread 0.5 --boot 90s --chart chart.html",
        ),
    ),
    Verb("demo", "demo", "palettes of hundreds of posters, live", _demo, ("demo --count 200",)),
)
