"""Cases as JSON, through the command that a person would type."""

import io
import json
import subprocess
import sys

import pytest

from jupyter_cluster.autoscaler.__main__ import main

pytestmark = pytest.mark.unit

CASE = {
    "node_types": {
        "small": {"resources": {"CPU": 4, "memory": 16e9}, "min_workers": 1, "price": 0.2},
        "large": {"resources": {"CPU": 16, "memory": 64e9}, "max_workers": 5, "price": 0.7},
        "gpu": {"resources": {"CPU": 8, "memory": 32e9, "GPU": 1}},
    },
    "max_workers": 20,
    "demands": [[{"CPU": 1}, 60], [{"GPU": 1}, 2], [{"CPU": 99}, 3]],
}


def run(case, monkeypatch, capsys):
    """What the command prints for a case, as JSON."""
    monkeypatch.setattr(sys, "stdin", io.StringIO(json.dumps(case)))
    assert main(["plan", "-"]) == 0
    captured = capsys.readouterr()
    assert captured.err == ""
    return json.loads(captured.out)


def refusal(text, monkeypatch, capsys):
    monkeypatch.setattr(sys, "stdin", io.StringIO(text))
    assert main(["plan", "-"]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    return captured.err


def test_a_case_in_a_file_is_planned_and_nothing_else_is_printed(tmp_path):
    file = tmp_path / "case.json"
    file.write_text(json.dumps(CASE))
    command = [sys.executable, "-m", "jupyter_cluster.autoscaler", "plan", str(file)]
    printed = subprocess.run(command, capture_output=True, text=True, check=True)
    assert printed.stderr == ""
    answer = json.loads(printed.stdout)
    assert answer.pop("seconds") > 0
    assert list(answer) == ["launch", "unplaced", "infeasible", "cost", "bound"]
    # 16 CPUs come with the two GPU nodes and 4 with the minimum; three more have the other 40.
    assert answer["launch"] == {"gpu": 2, "large": 2, "small": 3}
    assert answer["infeasible"] == [[{"CPU": 99}, 3]]
    assert answer["unplaced"] == 3
    assert answer["bound"] <= answer["cost"]


def test_what_is_there_is_used_first(monkeypatch, capsys):
    there = {
        "nodes": {"large": 1},
        "node_free": [{"type": "small", "free": {"CPU": 2.5}, "count": 2}],
        "pending": {"large": 1},
        "head": {"resources": {"CPU": 8}, "free": {"CPU": 3}},
    }
    # 16 + 2 × 2 + 16 + 3 tasks find room; of small there are two, so the minimum is there.
    full = run({**CASE, **there, "demands": [[{"CPU": 1}, 39]]}, monkeypatch, capsys)
    assert (full["launch"], full["unplaced"], full["cost"]) == ({}, 0, 0)
    one_more = run({**CASE, **there, "demands": [[{"CPU": 1}, 40]]}, monkeypatch, capsys)
    assert one_more["launch"] == {"small": 1}


def test_the_head_is_no_worker_and_holds_what_no_type_can(monkeypatch, capsys):
    case = {**CASE, "max_workers": 1, "head": {"resources": {"CPU": 200}}}
    answer = run(case, monkeypatch, capsys)
    assert answer["launch"] == {"small": 1}
    assert answer["infeasible"] == []
    # 204 CPUs hold all 60 small tasks and one of 99 CPUs; no GPU node may come.
    assert answer["unplaced"] == 2 + 2


def test_a_type_without_its_own_maximum_has_that_of_the_cluster(monkeypatch, capsys):
    case = {**CASE, "demands": [[{"GPU": 1}, 30]]}
    assert run(case, monkeypatch, capsys)["launch"] == {"gpu": 19, "small": 1}


def test_upscaling_speed_throttles_all_but_minima(monkeypatch, capsys):
    types = {"box": {"resources": {"CPU": 1}, "min_workers": 7, "price": 1}}
    case = {"node_types": types, "max_workers": 50, "demands": [[{"CPU": 1}, 40]]}
    assert run(case, monkeypatch, capsys)["launch"] == {"box": 40}
    assert run({**case, "upscaling_speed": 1}, monkeypatch, capsys)["launch"] == {"box": 7}
    grown = {**case, "upscaling_speed": 1, "nodes": {"box": 8}, "pending": {"box": 2}}
    answer = run({**grown, "demands": [[{"CPU": 1}, 40]]}, monkeypatch, capsys)
    assert (answer["launch"], answer["unplaced"]) == ({"box": 6}, 40 - 8 - 2 - 6)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("{", "Invalid JSON"),
        ("[]", "the case: Input should be an object"),
        ('{"node_types": {}, "demands": []}', "max_workers: Field required"),
        (
            '{"node_types": {"a": {"resources": {"CPU": -1}}}, "max_workers": 1, "demands": []}',
            "node_types.a.resources.CPU: Input should be greater than or equal to 0",
        ),
        (
            '{"node_types": {}, "max_workers": 1, "demands": [[{"CPU": 0.00001}, 1]]}',
            "demands.0.0: resource CPU: 1e-05 is smaller than 0.0001",
        ),
        (
            '{"node_types": {}, "max_workers": 1, "demands": [], "nodes": {"b": 1}}',
            "nodes: there is no node type 'b'; there are none",
        ),
        (
            '{"node_types": {"a": {"resources": {"CPU": 1}}}, "max_workers": 1, "demands": [],'
            ' "node_free": [{"type": "a", "free": {"CPU": 2}}]}',
            "node_free.0: {CPU: 2} is more than a a has, {CPU: 1}",
        ),
    ],
)
def test_a_case_that_cannot_be_read_gets_a_sentence(text, sentence, monkeypatch, capsys):
    assert sentence in refusal(text, monkeypatch, capsys)


def test_a_missing_file_gets_a_sentence(tmp_path, capsys):
    assert main(["plan", str(tmp_path / "none.json")]) == 2
    assert "No such file" in capsys.readouterr().err
