"""Starts and ends of clusters as processes of their own: what is known of them, and their end."""

from __future__ import annotations

import contextlib
import json
import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from helpers import eventually

from jupyter_cluster.server import operations
from jupyter_cluster.server.operations import NoOperationError

pytestmark = pytest.mark.unit


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("JUPYTER_CLUSTER_HOME", str(tmp_path))
    operations.folder().mkdir()
    return operations.folder()


def written(
    folder: Path, *said: object, name: str = "a1", verb: str = "up", cluster: str = "mine"
) -> Path:
    file = folder / f"{name}.jsonl"
    lines = [json.dumps({"verb": verb, "cluster": cluster})]
    lines += [one if isinstance(one, str) else json.dumps(one) for one in said]
    file.write_text("\n".join(lines) + "\n")
    return file


@contextlib.contextmanager
def going_on(file: Path) -> Iterator[None]:
    import fcntl

    with file.open("a") as opened:
        fcntl.flock(opened, fcntl.LOCK_EX)
        yield


def test_what_goes_on_shows_its_lines_and_how_far_it_is(folder: Path) -> None:
    file = written(
        folder,
        {"line": "the plan"},
        {"step": "starting its head", "done": 0, "total": 0},
        {"step": "nodes", "done": 1, "total": 4},
        {"step": "nodes", "done": 2, "total": 4},
        "printed by something\x1b[31m",
    )
    with going_on(file):
        [one] = operations.operations()
    assert one.lines[:3] == ["the plan", "starting its head", "nodes"]
    assert "\x1b" not in one.lines[3]
    assert one.bar is not None
    assert (one.bar.text, one.bar.shares[0].share) == ("2 of 4 nodes", 0.5)
    assert one.state.text == "starting cluster 'mine'"
    assert one.interrupt is not None
    assert not one.is_over


@pytest.mark.parametrize(
    ("said", "verb", "text", "hint"),
    [
        ([{"ended": ""}], "up", "cluster 'mine' has started", ""),
        ([{"ended": ""}], "down", "cluster 'mine' has ended", ""),
        (
            [{"ended": "no credentials"}],
            "up",
            "cluster 'mine' could not be started",
            "no credentials",
        ),
        (["No module named x"], "down", "cluster 'mine' could not be ended", "No module named x"),
        ([], "up", "cluster 'mine' could not be started", "its process was ended from outside"),
    ],
)
def test_how_it_has_ended_is_said(
    folder: Path, said: list[object], verb: str, text: str, hint: str
) -> None:
    written(folder, *said, verb=verb)
    [one] = operations.operations()
    assert one.is_over
    assert (one.state.text, one.state.hint, one.interrupt) == (text, hint, None)


def test_what_is_over_goes_after_a_while_and_a_failure_when_it_was_seen(folder: Path) -> None:
    good = written(folder, {"ended": ""}, name="good")
    written(folder, {"ended": "no"}, name="bad")
    for file in folder.iterdir():
        os.utime(file, (time.time() - 600,) * 2)
    assert [one.id for one in operations.operations()] == ["bad"]
    assert not good.exists()
    assert operations.interrupt("bad") == "It is forgotten."
    assert operations.operations() == []


def test_what_is_over_goes_when_something_newer_is_done_with_its_cluster(folder: Path) -> None:
    old = written(folder, {"ended": "no capacity"}, name="old")
    other = written(folder, {"ended": "no"}, name="other", cluster="another")
    for file in (old, other):
        os.utime(file, (time.time() - 5,) * 2)
    with going_on(written(folder, {"line": "again"}, name="new")):
        assert [one.id for one in operations.operations()] == ["new", "other"]
    assert not old.exists()


@pytest.mark.parametrize("name", ["", "../a1", "nobody", "a.b"])
def test_another_name_is_none(folder: Path, name: str) -> None:
    written(folder)
    with pytest.raises(NoOperationError, match="there is no operation"):
        operations.interrupt(name)


def test_a_flood_is_bounded(folder: Path) -> None:
    written(folder, *[{"line": f"{n} " + "x" * 2000} for n in range(3000)])
    [one] = operations.operations()
    assert len(one.lines) <= operations.SHOWN_LINES
    assert one.lines[-1].startswith("2999 ")
    assert all(len(line) <= operations.LINE_CHARACTERS for line in one.lines)


def test_a_verb_runs_as_a_process_of_its_own_and_can_be_interrupted(
    folder: Path, tmp_path: Path
) -> None:
    os.mkfifo(tmp_path / "endless.yaml")  # it waits for somebody who writes it
    line = [str(tmp_path / "endless.yaml"), "-y"]
    begun = operations.begin("up", "mine", line, sys.executable, tmp_path)
    assert not begun.is_over
    assert operations.begin("up", "mine", line, sys.executable, tmp_path).id == begun.id
    assert (folder / f"{begun.id}.jsonl").stat().st_mode & 0o777 == 0o600
    assert operations.interrupt(begun.id) == "starting cluster 'mine' is being interrupted."
    eventually(lambda: operations.find(begun.id).is_over, 60)
    assert operations.find(begun.id).state.meaning == "bad"


def test_what_fails_says_why_with_the_sentence_of_the_command_line(tmp_path: Path) -> None:
    begun = operations.begin("down", "nobody", ["nobody", "-y"], sys.executable, tmp_path)
    eventually(lambda: operations.find(begun.id).is_over, 60)
    assert operations.find(begun.id).state.hint.startswith("there is no cluster 'nobody'")
