"""The one parser of the terminal and of `%cluster`; it prints nothing and never exits."""

from __future__ import annotations

import argparse
import re
from collections.abc import Iterable, Sequence
from difflib import get_close_matches
from functools import cache
from typing import Any, NoReturn

from jupyter_cluster._version import __version__
from jupyter_cluster.commands.verbs import VERBS, Verb
from jupyter_cluster.errors import UsageError
from jupyter_cluster.formats import shortened


class TextRequested(Exception):
    """The line asks for a text and nothing else, e.g. with ``--help``; `str()` is the text."""


# What argparse says, and how a person would.
_WORDS = (
    (r"argument (\S+?)(?:/--\S+)?: expected one argument", r"\1 needs a value"),
    (r"argument (\S+): not allowed with argument (\S+)", r"\1 and \2 exclude each other"),
    (
        r"argument (.+?): invalid choice: (.*) \(choose from (.*)\)",
        r"\1 cannot be \2; there are: \3",
    ),
    (r"argument (.+?): ignored explicit argument (.*)", r"\1 takes no value, and got \2"),
    (r"the following arguments are required: (.*)", r"\1 must be given"),
    (r"argument (.+?): (.*)", r"\1: \2"),
)


def in_words(message: str) -> str:
    """A message of argparse in plain words.

    >>> in_words("argument --name: expected one argument")
    '--name needs a value'
    """
    for pattern, words in _WORDS:
        if found := re.fullmatch(pattern, message, re.DOTALL):
            return found.expand(words)
    return message


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
        said = shortened(in_words(message), 500)
        raise UsageError(f"{said}; `{self.prog} --help` shows what there is")


class _Help(argparse.Action):
    def __call__(self, parser: argparse.ArgumentParser, *_rest: Any) -> NoReturn:
        raise TextRequested(parser.format_help().rstrip())


class _Version(argparse.Action):
    def __call__(self, *_rest: Any) -> NoReturn:
        raise TextRequested(__version__)


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
            f"there is no verb {shortened(repr(name))}; {_meant(name, _BY_NAME)}there are:"
            f" {', '.join(_BY_NAME)}"
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
    lines = [f"  {verb.name:<10} {verb.summary}" for verb in VERBS]
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
        return f"one word too many: {shortened(repr(word))}; {where}"
    hint = _meant(word.partition("=")[0], _options(parser))
    return f"there is no option {shortened(repr(word))}; {hint}{where}"


def _options(parser: Parser) -> list[str]:
    """Its long options, as its help names them: argparse has no public list."""
    return sorted(set(re.findall(r"(?<!\S)--[a-z][\w-]*", parser.format_help())))
