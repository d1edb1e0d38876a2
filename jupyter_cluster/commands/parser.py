"""The one parser of the terminal and of `%cluster`; it prints nothing and never exits."""

from __future__ import annotations

import argparse
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from functools import cache
from typing import Any, NoReturn

from jupyter_cluster._version import __version__
from jupyter_cluster.commands import tasks
from jupyter_cluster.errors import UsageError


class TextRequested(Exception):
    """The line asks for a text and nothing else, e.g. with ``--help``; `str()` is the text."""


class Parser(argparse.ArgumentParser):
    """Raises instead of printing and exiting."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(
            **{
                "add_help": False,
                "allow_abbrev": False,  # a script must not break when an option is added
                "formatter_class": argparse.RawDescriptionHelpFormatter,
                **settings,
            }
        )
        self.add_argument("-h", "--help", action=_Help, nargs=0, help="show this text")

    def error(self, message: str) -> NoReturn:
        raise UsageError(f"{message}; `{self.prog} --help` shows what there is")


class _Help(argparse.Action):
    def __call__(self, parser: argparse.ArgumentParser, *_rest: Any) -> NoReturn:
        raise TextRequested(parser.format_help().rstrip())


class _Version(argparse.Action):
    def __call__(self, *_rest: Any) -> NoReturn:
        raise TextRequested(__version__)


# -- kinds of argument ----------------------------------------------------------------------------


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


def _cluster(parser: Parser) -> None:
    parser.add_argument(
        "cluster",
        nargs="?",
        metavar="CLUSTER",
        help="name of the cluster, or its YAML file; by default the only one that runs",
    )


def _json(parser: Parser) -> None:
    parser.add_argument("--json", action="store_true", help="for scripts")


def _yes(parser: Parser) -> None:
    parser.add_argument("-y", "--yes", action="store_true", help="do not ask")


def _tasks(parser: Parser, purpose: str, required: bool = False) -> None:
    parser.add_argument(
        "--tasks",
        type=tasks.tasks,
        action="append",
        required=required,
        default=None if required else [],
        metavar=tasks.SYNTAX,
        help=f"{purpose}, e.g. {tasks.EXAMPLE}; may be given again",
    )


def _up(parser: Parser) -> None:
    parser.add_argument(
        "file", nargs="?", metavar="FILE", help="cluster YAML; by default a cluster here"
    )
    _yes(parser)
    parser.add_argument("--name", help="without FILE: the cluster's name (default: local)")
    parser.add_argument("--cpus", type=int, metavar="N", help="without FILE: cores to share")
    parser.add_argument("--max-workers", type=int, metavar="N", help="without FILE: nodes at most")
    _tasks(parser, "say first what such tasks would take and cost")


def _down(parser: Parser) -> None:
    _cluster(parser)
    _yes(parser)


def _report(parser: Parser) -> None:
    _cluster(parser)
    _json(parser)


def _jobs(parser: Parser) -> None:
    _report(parser)
    change = parser.add_mutually_exclusive_group()
    change.add_argument("--cancel", metavar="JOB", help="end its tasks; results are kept")
    change.add_argument("--delete", metavar="JOB", help="forget it and its results")


def _sessions(parser: Parser) -> None:
    _report(parser)
    parser.add_argument("--end", metavar="SESSION", help="end it and forget its variables")


def _scale(parser: Parser) -> None:
    _report(parser)
    parser.add_argument("--max-workers", type=int, metavar="N", help="nodes of all types at most")
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


def _follow(parser: Parser) -> None:
    _report(parser)
    parser.add_argument("-f", "--follow", action="store_true", help="go on with what comes")


def _logs(parser: Parser) -> None:
    _follow(parser)
    parser.add_argument("--node", help="only what this node wrote")
    parser.add_argument("--job", help="only what this job wrote")


def _connect(parser: Parser) -> None:
    parser.add_argument("cluster", metavar="CLUSTER", help="name of the cluster, or its YAML file")


def _config(parser: Parser) -> None:
    parser.add_argument("what", choices=("check", "explain", "schema"))
    parser.add_argument("file", nargs="?", metavar="FILE", help="cluster YAML")
    _json(parser)


def _simulate(parser: Parser) -> None:
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
    parser.add_argument("--seed", type=int, default=0, help="another one, another run of chance")
    parser.add_argument("--chart", metavar="FILE", help="write a chart as HTML")
    _json(parser)


def _demo(parser: Parser) -> None:
    from jupyter_cluster.demo.options import add_arguments

    add_arguments(parser)


@dataclass(frozen=True)
class Verb:
    """A verb: the function of that name in a module of this package."""

    name: str
    module: str
    summary: str
    add_arguments: Callable[[Parser], None]
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
    Verb("cost", "reports", "what it costs", _report),
    Verb("list", "reports", "all clusters", _json),
    Verb("connect", "lifecycle", "take a cluster that runs", _connect, ("connect demo",)),
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
_BY_NAME = {verb.name: verb for verb in VERBS}


def verb(name: str) -> Verb:
    """The verb of this name.

    Raises
    ------
    UsageError
        There is none; the message names the one that was likely meant.
    """
    if name not in _BY_NAME:
        raise UsageError(
            f"there is no verb {name!r}; {_meant(name, _BY_NAME)}there are: {', '.join(_BY_NAME)}"
        )
    return _BY_NAME[name]


def _meant(word: str, known: Iterable[str]) -> str:
    found = get_close_matches(word, list(known), n=1)
    return f"did you mean {found[0]!r}? " if found else ""


@cache
def parser_of(name: str, program: str) -> Parser:
    """The parser of a verb's options."""
    one = verb(name)
    lines = [f"  {program} {example}" for example in one.examples]
    parser = Parser(
        prog=f"{program} {name}",
        description=one.summary[0].upper() + one.summary[1:] + ".",
        epilog="\n".join(["examples:", *lines]) if lines else None,
    )
    one.add_arguments(parser)
    parser.set_defaults(verb=name)
    return parser


@cache
def _main_parser(program: str) -> Parser:
    parser = Parser(prog=program, usage=f"{program} VERB [OPTIONS]", epilog=overview(program))
    parser.add_argument("--version", action=_Version, nargs=0, help="show the version")
    return parser


def overview(program: str) -> str:
    """The verbs, a line each, and where to go on."""
    lines = [f"  {verb.name:<9} {verb.summary}" for verb in VERBS]
    return "\n".join(["verbs:", *lines, "", f"`{program} VERB --help` shows a verb's options."])


def parse(words: Sequence[str], program: str = "jupyter-cluster") -> argparse.Namespace:
    """The options of a line; `verb` among them is its first word.

    Parameters
    ----------
    words
        The line without the program's name.
    program
        What help and messages call the program.

    Raises
    ------
    UsageError
        The line cannot be; the message says why and what was likely meant.
    TextRequested
        It asks for help or the version.
    """
    if not words or words[0].startswith("-"):
        parser = _main_parser(program)
        parser.parse_args(words or ["--help"])
        raise UsageError(f"which verb? `{program} --help` shows them")  # e.g. only "--"
    parser = parser_of(verb(words[0]).name, program)
    options, unknown = parser.parse_known_args(words[1:])
    if unknown:
        raise UsageError(_cannot_be(unknown[0], parser))
    return options


def _cannot_be(word: str, parser: Parser) -> str:
    where = f"`{parser.prog} --help` shows what there is"
    if not word.startswith("-"):
        return f"one word too many: {word!r}; {where}"
    hint = _meant(word.partition("=")[0], _options(parser))
    return f"there is no option {word!r}; {hint}{where}"


def _options(parser: Parser) -> list[str]:
    """Its long options, as its help names them: argparse has no public list."""
    return sorted(set(re.findall(r"(?<!\S)--[a-z][\w-]*", parser.format_help())))
