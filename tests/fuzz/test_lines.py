"""Lines of the terminal, of `%cluster` and of `%%remote` with words of every kind."""

from __future__ import annotations

import collections
import contextlib
import io
import random
from pathlib import Path
from typing import Any

import pytest
from helpers import no_hang
from IPython.core.error import UsageError as MagicUsageError

from jupyter_cluster.cli import main
from jupyter_cluster.commands import TextRequested, parse
from jupyter_cluster.commands.parser import parser_of
from jupyter_cluster.commands.verbs import VERBS
from jupyter_cluster.errors import ClusterError, UsageError
from jupyter_cluster.notebook.magics import ClusterMagics
from jupyter_cluster.notebook.options import split

pytestmark = pytest.mark.fuzz

# What a line of the verb cannot do without; half of the lines have it.
NEEDED = {
    "simulate": ["--tasks", "10x1s"],
    "config": ["check", "cluster.yaml"],
    "connect": ["c"],
    "submit": ["c", "cluster.yaml"],
    "rsync-up": ["c", "a", "b"],
}
FILE = "cluster_name: c\nprovider: {type: local}\n"
# These start something, or ask a cloud; of them the line is parsed and not run.
ONLY_PARSED = {"up", "demo", "gc"}
VALUES = [
    *("", " ", "-1", "0", "nan", "inf", "-inf", "1e309", "9" * 30, "9" * 5000, "1e3", "abc", "é"),
    *(
        "\u202e",
        "😀",
        "\x1b[31m",
        "../..",
        "/etc/passwd",
        "/dev/null",
        "/dev/zero",
        "/",
        "c",
        "x" * 5000,
    ),
    *("a=b", "CPU=1", "CPU=", "=1", "CPU=nan", "memory=1e400", "CPU=-1", "0.00001", "134000x0.4s"),
    *(
        "1x",
        "x1s",
        "0x0s",
        "1x1e309s",
        "9" * 400 + "x1s",
        "1x" + "9" * 400,
        "-5x1s",
        "5,5",
        "True",
        "null",
    ),
    *(
        "--",
        "-",
        "--json",
        "\udcff",
        "\ud800",
        "\0",
        "$(id)",
        "'",
        '"',
        "a\nb",
        "2d",
        "1.5h",
        "5 m",
    ),
    *(
        "~",
        "~nobody/x",
        "cluster.yaml",
        "1" * 3000 + "!",
        "8GB",
        "1e400GB",
        "a,b",
        "a,,b",
        "1a",
        "X=nan",
        "{x}",
        "\\",
    ),
]


def words(chance: random.Random, options: list[str], most: int = 4) -> list[str]:
    made = []
    for _ in range(chance.randrange(most)):
        kind = chance.random()
        if options and kind < 0.45:
            made += [chance.choice(options), chance.choice(VALUES)]
        elif options and kind < 0.6:
            made.append(f"{chance.choice(options)}={chance.choice(VALUES)}")
        elif options and kind < 0.75:
            made.append(chance.choice(options))
        else:
            made.append(chance.choice(VALUES))
    return made


def line(chance: random.Random) -> list[str]:
    verb = chance.choice(VERBS).name
    options = [o for a in parser_of(verb, "jupyter-cluster")._actions for o in a.option_strings]
    follow = ("-f", "--follow")
    needed = NEEDED.get(verb, []) if chance.random() < 0.5 else []
    said = [verb, *needed, *(word for word in words(chance, options) if word not in follow)]
    return words(chance, [], 3) if chance.random() < 0.03 else said


@pytest.fixture(autouse=True)
def nowhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An empty registry, an empty folder, and nobody at the keyboard."""
    monkeypatch.setenv("JUPYTER_CLUSTER_HOME", str(tmp_path / "registry"))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "cluster.yaml").write_text(FILE)
    monkeypatch.setattr("sys.stdin", io.StringIO())


def test_a_line_of_the_terminal_has_an_exit_code_and_a_sentence(
    fuzz: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    codes = collections.Counter[int]()
    for chance in fuzz.rounds(1000):
        argv = line(chance)
        if argv[:1] and argv[0] in ONLY_PARSED:
            with contextlib.suppress(UsageError, TextRequested):
                parse(argv)
            continue
        with no_hang(60):
            code = main(argv)
        said = capsys.readouterr()
        codes[code] += 1
        assert "Traceback" not in said.out + said.err, argv
        assert "\x1b" not in said.out + said.err, argv
        assert code == 0 or len(said.err) < 10_000, argv
    # All kinds of end are met, and no other.
    assert {*codes} == {0, 1, 2}


def test_a_line_of_the_magic_is_done_or_refused(fuzz: Any) -> None:
    magics = ClusterMagics(shell=None)
    for chance in fuzz.rounds(500):
        argv = line(chance)
        if argv[:1] and argv[0] in ONLY_PARSED:
            continue
        with contextlib.suppress(MagicUsageError, ClusterError):
            magics.cluster(" ".join(argv))


def test_the_options_of_a_cell_are_taken_or_refused(fuzz: Any) -> None:
    parser = ClusterMagics.remote.parser
    options = list(parser._option_string_actions)
    for chance in fuzz.rounds(500):
        said = " ".join(words(chance, [*options, "--cpu", "--x", "-c"], 5))
        with contextlib.suppress(UsageError, MagicUsageError):
            found, _code = split(said, parser)
            parser.parse_args(found)
