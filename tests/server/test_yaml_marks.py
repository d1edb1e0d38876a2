"""The problems of a cluster YAML as an editor of the browser takes them."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jupyter_cluster.server.answers import Edit, Mark
from jupyter_cluster.server.yaml_marks import MOST_MARKS, marks

pytestmark = pytest.mark.unit

LOCAL = "cluster_name: a\nprovider: {type: local}\n"


def marks_of(text: str, base_dir: Path = Path()) -> list[Mark]:
    return marks(text, "cluster.yaml", base_dir).marks


def in_javascript(text: str, begin: int, end: int) -> str:
    """What ``text.slice(begin, end)`` is in JavaScript."""
    units = text.encode("utf-16-le", "surrogatepass")
    return units[2 * begin : 2 * end].decode("utf-16-le", "surrogatepass")


def changed(text: str, edit: Edit) -> str:
    """The text with the edit made, as an editor of the browser makes it."""
    return in_javascript(text, 0, edit.begin) + edit.text + in_javascript(text, edit.end, 10**9)


@pytest.mark.parametrize("break_", ["\n", "\r\n"])
@pytest.mark.parametrize("comment", ["", "# é 😀 x 😀\n"])
def test_a_mark_and_its_edit_count_as_javascript_does(comment: str, break_: str) -> None:
    text = (comment + LOCAL + "max_wrokers: 3 # 😀\n").replace("\n", break_)
    (mark,) = marks_of(text)
    assert in_javascript(text, mark.begin, mark.end) == "max_wrokers"
    assert mark.severity == "error"
    assert mark.message.startswith("max_wrokers: unknown key; did you mean max_workers? Allowed:")
    assert mark.fix
    assert mark.fix.label == "Change to max_workers"
    mended = changed(text, mark.fix)
    assert mended == text.replace("max_wrokers", "max_workers")
    assert marks_of(mended) == []


def test_they_come_in_the_order_of_the_file_and_notices_are_no_errors() -> None:
    text = LOCAL + "autoscaling_mode: default\nmax_workers: many\nbudget: -1\n"
    assert [(one.severity, one.message.partition(":")[0]) for one in marks_of(text)] == [
        ("info", "autoscaling_mode"),
        ("error", "max_workers"),
        ("error", "budget"),
    ]


@pytest.mark.parametrize(
    ("text", "marked"),
    [
        ("", ""),
        ("# 😀 nothing\n", "# 😀 nothing"),
        ("# long\n" + "#" * 200_000, "# long"),
        ("a: [\n😀: '\n", "'"),
        ("a: 😀\ud83d\n", "\ud83d"),
        ("# 😀\n" + "[" * 90_000, "["),
    ],
)
def test_what_is_no_yaml_has_a_mark_inside_the_text(text: str, marked: str) -> None:
    (mark,) = marks_of(text)
    assert in_javascript(text, mark.begin, mark.end).startswith(marked)
    assert mark.end <= len(text.encode("utf-16-le", "surrogatepass")) // 2


def test_paths_are_meant_from_the_folder_of_the_file(tmp_path: Path) -> None:
    text = LOCAL + "file_mounts: {~/data: data}\n"
    assert [one.severity for one in marks_of(text, tmp_path)] == ["info", "error"]
    (tmp_path / "data").mkdir()
    assert [one.severity for one in marks_of(text, tmp_path)] == ["info"]


def test_of_many_problems_the_first_are_marked_and_the_rest_counted() -> None:
    found = marks_of(LOCAL + "".join(f"k{n}: 1\n" for n in range(1000)))
    assert len(found) == MOST_MARKS + 1
    assert found[-1].message == f"{1000 - MOST_MARKS} more problems, from here on"
    assert found[-1].begin > found[-2].begin


@pytest.mark.parametrize(
    "text",
    [
        LOCAL + "a0: &a0 [x, x]\n" + "".join(f"a{n}: &a{n} {[f'*a{n - 1}'] * 9}\n".replace("'", "")
                                             for n in range(1, 12)),
        LOCAL + "metadata: [" + "😀, " * 60_000,
        LOCAL + "'" + "x\n\n" * 60_000,
        LOCAL + "".join(f"max_wrokers{n}: 1\n" for n in range(9_000)),
    ],
)  # fmt: skip
def test_a_text_that_multiplies_or_is_long_takes_seconds_at_most(text: str) -> None:
    began = time.process_time()
    assert marks_of(text)
    assert time.process_time() - began < 20


PIECES = [
    *("cluster_name: a\n", "provider: {type: lokal}\n", "max_wrokers: 3", "auth:\n", "  x: 1\n"),
    *("\n", "\r\n", "\t", "  ", "- ", ": ", "[", "]", "{", "}", ",", '"', "'", "#", "%", "@"),
    *("&a ", "*a", "<<: *a\n", "|\n", "!!int ", "!!bool ", "!!timestamp ", "? ", "---\n", "no"),
    *("3.10", "😀", "é", "\ud800", "\x85", "\u2028", "\ufeff"),
]


@given(st.lists(st.sampled_from(PIECES), max_size=30).map("".join))
def test_whatever_is_typed_each_mark_is_inside_one_line_of_it(text: str) -> None:
    for mark in marks_of(text):
        assert 0 <= mark.begin <= mark.end
        assert len(in_javascript(text, mark.begin, mark.end).splitlines()) <= 1
        for end in (mark.end, mark.fix.end if mark.fix else 0):
            assert end <= len(text.encode("utf-16-le", "surrogatepass")) // 2
