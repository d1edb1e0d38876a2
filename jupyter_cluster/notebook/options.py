"""The options of `%%remote` and `%remote`: what they are, and how they part from the code."""

from __future__ import annotations

import argparse
import re
from difflib import get_close_matches
from typing import Any

from IPython.core import magic_arguments

from jupyter_cluster.commands import tasks
from jupyter_cluster.errors import UsageError
from jupyter_cluster.formats import shortened
from jupyter_cluster.resources import MEMORY

_OPTION = re.compile(r"\s*(--?[A-Za-z][\w-]*)(?:=(\S+)|(?=\s|$))")
_WORD = re.compile(r"""\s*("[^"]*"|'[^']*'|\S+)""")
_NAME = re.compile(r"[^\W\d]\w*")


def title(text: str) -> str:
    """The name of a job or a session, as tables show it."""
    from jupyter_cluster.client import (
        arguments,
    )  # a while of imports: when a cell is run, not before

    try:
        return arguments.text("it", text)
    except UsageError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def names(text: str) -> tuple[str, ...]:
    """``a,b``.

    >>> names("a,b")
    ('a', 'b')
    """
    found = tuple(part.strip() for part in text.split(",") if part.strip())
    for name in found:
        if not _NAME.fullmatch(name):
            raise argparse.ArgumentTypeError(f"{name!r} is not the name of a variable")
    return found


def memory(text: str) -> float:
    """``8GB``."""
    try:
        return tasks.resources(f"memory={text}").get("memory")
    except argparse.ArgumentTypeError:
        raise argparse.ArgumentTypeError(f"{text!r} is no amount, e.g. 8GB") from None


def extra_resources(text: str) -> dict[str, float]:
    """``TPU=1,licence=2``."""
    found = tasks.resources(text).as_dict()
    for name, option in (("CPU", "--cpus"), ("GPU", "--gpus"), (MEMORY, "--memory")):
        if name in found:
            raise argparse.ArgumentTypeError(f"{name} is what {option} is for")
    return found


_argument = magic_arguments.argument
ARGUMENTS = (
    _argument("--cpus", type=tasks.amount, metavar="N", help="CPUs that it needs (default: 1)"),
    _argument(
        "--gpus", type=tasks.amount, metavar="N", help="GPUs that it needs; fractions share one"
    ),
    _argument("--memory", type=memory, metavar="SIZE", help="e.g. 8GB; more than that ends it"),
    _argument("--resources", type=extra_resources, metavar="NAME=N,…", help="others that it needs"),
    _argument("--on", metavar="TYPE", help="run on a node of this type"),
    _argument("--all", action="store_true", help="run once on every node that is up"),
    _argument(
        "--session",
        type=title,
        metavar="NAME",
        help="keep the variables on a node, for the next cell with the same NAME; without it every"
        " cell begins afresh",
    ),
    _argument(
        "--push",
        type=names,
        metavar="A,B",
        help="send exactly these variables; by default those that the cell reads",
    ),
    _argument("--out", type=names, default=(), metavar="A,B", help="bring these variables back"),
    _argument("--timeout", type=tasks.seconds, metavar="TIME", help="stop it after e.g. 90s, 2h"),
    _argument(
        "--async",
        dest="is_async",
        action="store_true",
        help="go on at once; the cell shows what comes, and `_` is its job",
    ),
    _argument("--name", type=title, help="name of its job, to find it with cluster.job(NAME)"),
    _argument("--cluster", metavar="NAME", help="which cluster, where several run"),
    _argument("--verbose", action="store_true", help="say what is sent, and how large it is"),
)


def with_arguments(magic: Any) -> Any:
    """Decorate a magic with all of them, in the order in which they are listed."""
    for one in reversed(ARGUMENTS):
        magic = one(magic)
    return magic


def split(line: str, parser: Any) -> tuple[list[str], str]:
    """The words of the options at the beginning of a line, and the code after them as it is.

    Raises
    ------
    UsageError
        Something looks like an option and is none.
    """
    words: list[str] = []
    at = 0
    while found := _OPTION.match(line, at):
        option, value = found[1], found[2]
        action = parser._option_string_actions.get(option)
        if action is None:
            known = [o for o in parser._option_string_actions if o.startswith("--")]
            close = get_close_matches(option, known, n=1)
            hint = f"did you mean {close[0]}? " if close else ""
            raise UsageError(
                f"there is no option {shortened(repr(option))}; {hint}there are: {', '.join(known)}"
            )
        words.append(option if value is None else f"{option}={value}")
        at = found.end()
        if value is None and action.nargs != 0:
            word = _WORD.match(line, at)
            if word is None:
                raise UsageError(f"{option} needs a value: {action.help}")
            words.append(word[1].strip("\"'"))
            at = word.end()
    return words, line[at:].strip()
