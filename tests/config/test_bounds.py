"""Files that would keep their reader busy for ever, or hold what no cluster has."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from jupyter_cluster.config import load, parse
from jupyter_cluster.errors import ConfigError

pytestmark = pytest.mark.unit

LOCAL = "cluster_name: a\nprovider: {type: local}\n"


def laughs(opening: str, item: str, closing: str, levels: int = 9) -> str:
    lines = [f"  a0: &a0 {opening}{item}{closing}"]
    for n in range(1, levels):
        inner = ", ".join([f"*a{n - 1}"] * 9)
        value = f"[{inner}]" if opening == "[" else f"{{<<: [{inner}], k{n}: 1}}"
        lines.append(f"  a{n}: &a{n} {value}")
    return LOCAL + "metadata:\n" + "\n".join(lines)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (laughs("[", "x, x, x", "]"), "with its aliases (*name) the file has more than 20,000"),
        (laughs("{", "x: 1, y: 2", "}"), "with its aliases (*name) the file has more than 20,000"),
        (
            LOCAL + f"metadata: {{a: &a {'x' * 90_000}, b: [*a, *a, *a]}}",
            "more than 20,000 values or 200,000 characters",
        ),
        (LOCAL + "metadata: {a: " + "[" * 60 + "]" * 60 + "}", "nested too deeply"),
        (LOCAL + "metadata: {a: " + "{b: " * 60 + "1" + "}" * 60 + "}", "nested too deeply"),
        (LOCAL + "metadata: " + "[" * 90_000, "nested too deeply"),
        (LOCAL + "# " + "x" * 200_000, "is longer than 200,000 characters"),
        (LOCAL + f"max_workers: {'9' * 5000}", "is not what its tag"),
        (LOCAL + f"max_workers: {'9' * 400}", "max_workers: must be at most 100000, not 9999"),
        (LOCAL + "budget: 1e300", "budget: must be at most 1e+09, not 1e300"),
        (LOCAL + 'setup_commands: ["\\ud800"]', "setup_commands[0]: the character '\\ud800' is no"),
        (LOCAL + 'metadata: {"\\ud800": 1}', "metadata: the character '\\ud800' is no text"),
        (LOCAL + 'docker: {image: "a\\e[31m"}', "docker.image: the character '\\x1b' is no text"),
        (LOCAL + f"{'k' * 900}: 1", "kkk…kkk"),
    ],
    ids=lambda value: value[-30:],
)
def test_it_is_refused_by_a_short_sentence(text: str, says: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse(text)
    assert says in str(caught.value)
    assert len(str(caught.value)) < 1500


def test_of_many_problems_the_first_are_shown_and_all_are_kept() -> None:
    with pytest.raises(ConfigError) as caught:
        parse(LOCAL + "".join(f"k{n}: 1\n" for n in range(100)))
    lines = str(caught.value).splitlines()
    assert len(caught.value.problems) == 100
    assert lines[-1] == "cluster.yaml: and 80 more problems"
    assert len(lines) == 21


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("\0", "there can be no file of this name"),
        ("x" * 5000, "cannot be read: File name too long"),
        ("~nobody-has-this-name/c.yaml", "there is no such user"),
        ("/dev/zero", "is longer than 200,000 characters"),
        ("/dev/null", "the file is empty"),
    ],
)
def test_a_name_that_is_no_file_of_ours_gets_a_sentence(name: str, says: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load(name)
    assert says in str(caught.value)


def test_a_pipe_that_nobody_writes_to_is_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("jupyter_cluster.config._load._PATIENCE_SECONDS", 0.05)
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(ConfigError, match="cannot be read: nothing came for 0 s"):
        load(tmp_path / "pipe")
