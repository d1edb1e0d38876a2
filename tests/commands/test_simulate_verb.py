"""`simulate`, and `up --tasks`: what they show before anything is started."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from jupyter_cluster.cli import main
from jupyter_cluster.client import launch
from jupyter_cluster.commands import parse, run
from jupyter_cluster.commands.console import Step
from jupyter_cluster.commands.tables import Table
from jupyter_cluster.commands.terminal import Terminal
from jupyter_cluster.config import load
from jupyter_cluster.notebook.magics import run_line

pytestmark = pytest.mark.unit

YAML = """
cluster_name: there
max_workers: 30
provider: {type: aws}
available_node_types:
  m5.4xlarge:
    resources: {CPU: 16, memory: 64000000000}
    node_config: {InstanceType: m5.4xlarge}
head_node_type: m5.4xlarge
"""
JOB = "134000x0.4s"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "cluster.yaml"
    path.write_text(YAML)
    return path


def test_it_shows_figures_bounds_and_decisions(
    file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["simulate", str(file), "--tasks", JOB, "--boot", "60s"]) == 0
    shown = capsys.readouterr().out
    assert shown.startswith("Cluster 'there' and 134,000 tasks of 0.4 s\nPrices are not known here")
    lines = {line.split("  ")[0]: line for line in shown.splitlines()}
    assert "134,000 of 134,000" in lines["tasks done"]
    assert "30 × m5.4xlarge" in lines["launched"]
    assert ", × 1.0" in lines["makespan at least"]
    assert " USD, × " in lines["cost at least"]
    assert "launch 30 × m5.4xlarge: 134,000 tasks of {CPU: 1} queued" in shown


def test_json_has_all_and_options_change_the_outcome(
    file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def result(*more: str) -> Any:
        assert main(["simulate", str(file), "--tasks", "2000x5s", "--json", *more]) == 0
        return json.loads(capsys.readouterr().out)

    plain = result()
    assert plain == result()
    assert plain["done"] == 2000
    assert result("--boot", "300s")["makespan"] > plain["makespan"] + 150
    assert result("--stragglers", "0.01x50")["makespan"] > plain["makespan"] + 100
    assert result("--spread", "1")["bound_cost"] != plain["bound_cost"]
    assert result("--failures", "0.5")["wasted_boots"] > 0
    assert result("--seed", "1")["makespan"] != plain["makespan"]
    assert result("--tasks", "10x1s@900s")["makespan"] > 900


def test_reclaims_are_for_spot_nodes(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    line = ["simulate", str(file), "--tasks", "3000x30s", "--reclaims", "10", "--json"]
    assert main(line) == 2
    assert "no node type has `spot: true`" in capsys.readouterr().err
    file.write_text(YAML.replace("    node_config", "    spot: true\n    node_config"))
    assert main(line) == 0
    result = json.loads(capsys.readouterr().out)
    assert result["lost"] > 0
    assert result["done"] == 3000


def test_without_a_file_it_is_a_cluster_on_this_machine(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["simulate", "--tasks", "4x3s"]) == 0
    shown = capsys.readouterr().out
    assert shown.startswith("Cluster 'local' and 4 tasks of 3 s\n")
    assert "Prices" not in shown
    assert re.search("cost of workers +nothing\n", shown)


def test_the_chart_is_a_page_of_its_own(
    file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    chart = tmp_path / "chart.html"
    assert main(["simulate", str(file), "--tasks", "9x1s", "--chart", str(chart)]) == 0
    page = chart.read_text(encoding="utf-8")
    assert "tasks per second" in page
    assert "m5.4xlarge up" in page
    missing = tmp_path / "missing" / "chart.html"
    assert main(["simulate", str(file), "--tasks", "9x1s", "--chart", str(missing)]) == 2
    assert f"--chart {missing}: No such file or directory" in capsys.readouterr().err


def test_resources_that_are_not_known_are_asked_for(
    file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file.write_text(YAML.replace("    resources: {CPU: 16, memory: 64000000000}\n", ""))
    assert main(["simulate", str(file), "--tasks", "9x1s"]) == 2
    error = capsys.readouterr().err
    assert "resources of m5.4xlarge are not known" in error
    assert error.count("\n") == 1


def test_it_works_in_a_notebook(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run_line(f"simulate {file} --tasks 9x1s", Terminal("%cluster"))
    assert "9 of 9" in capsys.readouterr().out


class Refusing:
    """A console whose user says no."""

    program = "test"

    def __init__(self) -> None:
        self.shown: list[str | Table] = []
        self.asked: list[str] = []

    def show(self, *parts: str | Table) -> None:
        assert not self.asked or parts == ("Nothing was started.",)
        self.shown += parts

    def json(self, value: Any) -> None:
        raise AssertionError(value)

    def notice(self, text: str) -> None:
        self.shown.append(text)

    def chart(self, make: Callable[[], Any]) -> None:
        raise AssertionError(make)

    @contextmanager
    def step(self, text: str) -> Iterator[Step]:
        assert text == "asking aws", "nothing was to be started"
        yield self.Silent()

    class Silent:
        """A step that nobody looks at."""

        text = ""

        def update(self, text: str, done: int = 0, total: int = 0) -> None:
            pass

    def ask(self, question: str) -> bool:
        self.asked.append(question)
        return False


@pytest.mark.parametrize(
    ("tasks", "says"),
    [
        (
            JOB,
            r"134,000 tasks of 0.4 s: about 3 min \d+ s and \S+ USD at estimated prices; 30 × m5",
        ),
        ("9x1s:GPU=1", r"9 tasks of 1 s with {GPU: 1}: 9 would not run: {GPU: 1}: no node type "),
    ],
)
def test_up_says_what_tasks_would_take_before_it_asks(
    file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tasks: str, says: str
) -> None:
    monkeypatch.setenv("JUPYTER_CLUSTER_HOME", str(tmp_path / "home"))
    # Without an account nobody tells prices; what the tasks take is estimated all the same.
    monkeypatch.setattr(launch, "survey", lambda config: (config.node_types(), []))
    console = Refusing()
    assert run(parse(["up", str(file), "--tasks", tasks]), console) is None
    assert console.asked == [f"Start cluster {load(file).cluster_name!r}?"]
    line = str(console.shown[-2])
    assert re.match(says, line), line
