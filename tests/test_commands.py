"""The parser that terminal and magic share, and what verbs show: pure."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import pytest

from jupyter_cluster.commands import TextRequested, overview, parse
from jupyter_cluster.commands.naming import named
from jupyter_cluster.commands.plan import most_expensive, plan_parts, price_text
from jupyter_cluster.commands.tables import Table, as_text
from jupyter_cluster.commands.verbs import VERBS
from jupyter_cluster.commands.views import cost_line, job_line, status_parts
from jupyter_cluster.config import parse as parse_yaml
from jupyter_cluster.errors import UsageError
from jupyter_cluster.formats import money
from jupyter_cluster.model import NodeType
from jupyter_cluster.resources import Resources

pytestmark = pytest.mark.unit

LOCAL = """
cluster_name: here
max_workers: 3
provider: {type: local}
available_node_types: {small: {resources: {CPU: 1}, min_workers: 1}}
head_node_type: small
"""
AWS = """
cluster_name: there
provider: {type: aws}
available_node_types: {small: {node_config: {InstanceType: m5.large}}}
head_node_type: small
"""


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("up", {"file": None, "yes": False, "name": None, "cpus": None, "max_workers": None}),
        ("up cluster.yaml -y", {"file": "cluster.yaml", "yes": True}),
        ("up --name a --cpus 4 --max-workers 2", {"name": "a", "cpus": 4, "max_workers": 2}),
        ("down demo --yes", {"cluster": "demo", "yes": True}),
        ("status --json", {"cluster": None, "json": True}),
        ("nodes demo", {"cluster": "demo", "json": False}),
        ("jobs --cancel palettes", {"cancel": "palettes", "delete": None}),
        ("jobs demo --delete palettes", {"cluster": "demo", "delete": "palettes"}),
        ("scale --min-workers a=1 --min-workers b=0", {"min_workers": [("a", 1), ("b", 0)]}),
        ("scale --request CPU=4,GPU=1x3", {"request": [({"CPU": 4.0, "GPU": 1.0}, 3)]}),
        ("scale --request CPU=0.5×2", {"request": [({"CPU": 0.5}, 2)]}),
        ("scale --request x1=2", {"request": [({"x1": 2.0}, 1)]}),
        ("scale --no-request", {"request": None, "no_request": True}),
        ("logs -f --node n --job j", {"follow": True, "node": "n", "job": "j"}),
        ("monitor --follow", {"follow": True}),
        ("connect demo", {"cluster": "demo"}),
        ("config explain c.yaml", {"what": "explain", "file": "c.yaml"}),
        ("demo --count 20", {"count": 20}),
    ],
)
def test_a_line_becomes_options(line: str, expected: dict[str, Any]) -> None:
    options = vars(parse(line.split()))
    assert options["verb"] == line.split()[0]
    assert {key: options[key] for key in expected} == expected


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("stauts", "there is no verb 'stauts'; did you mean 'status'?"),
        ("xyzzy", "there is no verb 'xyzzy'; there are: up, down"),
        ("status --jsno", "there is no option '--jsno'; did you mean '--json'?"),
        ("jobs --cancle=x", "did you mean '--cancel'?"),
        ("status a b", "one word too many: 'b'"),
        ("up --cpus many", "--cpus: 'many' is not a whole number; `jupyter-cluster up --help`"),
        ("up --cpus 1e3", "--cpus: '1e3' is not a whole number"),
        ("scale --max-workers many", "--max-workers: 'many' is not a whole number"),
        ("dashboard --port 65536", "--port: '65536' is not a port, a number from 0 to 65535"),
        ("up --name", "--name needs a value"),
        ("jobs --json=x", "--json takes no value, and got 'x'"),
        ("up --max 3", "there is no option '--max'"),
        ("scale --min-workers 3", "'3' is not TYPE=N"),
        ("scale --request CPU", "'CPU' is not RESOURCE=AMOUNT"),
        ("scale --request CPU=1 --no-request", "--no-request and --request exclude each other"),
        ("jobs --cancel a --delete b", "--delete and --cancel exclude each other"),
        ("connect", "CLUSTER must be given"),
        ("config chekc", "what cannot be 'chekc'; there are: 'check', 'explain', 'schema'"),
        ("--colour", "unrecognized arguments: --colour"),
    ],
)
def test_a_wrong_line_says_what_is_wrong_and_where_to_look(line: str, says: str) -> None:
    with pytest.raises(UsageError) as error:
        parse(line.split())
    assert says in str(error.value)
    assert "argument " not in str(error.value).replace("unrecognized arguments", "")
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("line", ["", "--help", "-h"])
def test_help_names_every_verb(line: str) -> None:
    with pytest.raises(TextRequested) as text:
        parse(line.split())
    assert all(f"\n  {verb.name} " in str(text.value) for verb in VERBS)


@pytest.mark.parametrize("verb", VERBS, ids=lambda verb: verb.name)
def test_help_of_a_verb_has_its_examples_and_they_are_valid(verb: Any) -> None:
    with pytest.raises(TextRequested) as text:
        parse([verb.name, "--help"], "%cluster")
    assert f"usage: %cluster {verb.name} " in str(text.value)
    for example in verb.examples:
        assert f"%cluster {example}" in str(text.value)
        assert parse(example.split()).verb == verb.name


def test_the_version_is_told() -> None:
    with pytest.raises(TextRequested, match=r"^\d+\.\d+"):
        parse(["--version"])


def test_a_cluster_is_named_by_itself_or_by_its_file(tmp_path: Any) -> None:
    file = tmp_path / "cluster.yaml"
    file.write_text(LOCAL)
    assert named(None) is None
    assert named("demo") == "demo"
    assert named(str(file)) == "here"


def test_the_overview_speaks_of_the_program_that_was_used() -> None:
    assert "`%cluster VERB --help`" in overview("%cluster")


# -- views ----------------------------------------------------------------------------------------

NODE = {
    "id": "small-1",
    "type": "small",
    "state": "ready",
    "age": 12.0,
    "resources": {"CPU": 1, "memory": 2e9},
    "slots_busy": 1,
    "tasks_finished": 7,
    "idle_seconds": None,
    "why": "",
}
JOB = {
    "id": "abc",
    "name": "palettes",
    "unit": "image",
    "state": "running",
    "total": 10,
    "queued": 2,
    "running": 1,
    "done": 6,
    "failed": 1,
    "cancelled": 0,
    "sealed": True,
    "submitted": 0.0,
    "finished": 4.0,
    "note": "",
    "rate": 1.5,
    "kind": "map",
}
COST = {"so_far": 0.0, "per_hour": 0.0, "node_hours": {}, "price_known": True}
STATUS = {
    "cluster": "here",
    "provider": "local",
    "state": "running",
    "started": 0.0,
    "nodes": [NODE],
    "max_workers": 3,
    "jobs": [JOB],
    "cost": COST,
    "infeasible": ["no node type has a GPU"],
    "problem": "the disk is full",
}


def test_the_status_shows_nodes_jobs_and_all_that_is_wrong() -> None:
    parts = status_parts(STATUS)
    lines = [part for part in parts if isinstance(part, str)]
    nodes, jobs = (part for part in parts if isinstance(part, Table))
    assert "Cluster 'here' on this machine: running" in lines[0]
    assert "1 of at most 3 nodes, 1 slot busy" in lines[0]
    assert lines[1:] == [
        "Cost: nothing",
        "cannot run: no node type has a GPU",
        "problem: the disk is full",
    ]
    assert nodes.rows[0][3:6] == ("CPU: 1, memory: 2 GB", "1", "7")
    assert jobs.rows[0][:4] == ("palettes", "abc", "running", "6 of 10")
    assert jobs.rows[0][7:9] == ("1.5 images/s", "4 s")


def test_a_job_that_may_get_more_tasks_shows_a_plus() -> None:
    jobs = status_parts({**STATUS, "jobs": [{**JOB, "sealed": False}]})[-1]
    assert isinstance(jobs, Table)
    assert jobs.rows[0][3] == "6 of 10+"


def test_a_job_in_one_line() -> None:
    assert job_line(JOB) == "Job 'palettes': running, 6 of 10 images done, 1 failed, 1.5 images/s"


@pytest.mark.parametrize(
    ("cost", "line"),
    [
        ({}, "Cost: nothing"),
        ({"so_far": 0.421, "per_hour": 1.5}, "Cost: 0.42 USD so far, 1.50 USD per hour now"),
        ({"price_known": False}, "Cost: unknown, since the price of a node type is"),
    ],
)
def test_the_cost_in_one_line(cost: dict[str, Any], line: str) -> None:
    assert cost_line({**COST, **cost}) == line


def test_a_small_amount_is_not_rounded_to_nothing() -> None:
    assert [money(usd) for usd in (0.0, 0.00042, 12.5)] == ["0.00 USD", "0.00042 USD", "12.50 USD"]


def test_the_plan_of_a_local_cluster_costs_nothing() -> None:
    config = parse_yaml(LOCAL)
    who, cost, table = plan_parts(config)
    assert who == "Cluster 'here' on this machine: at most 3 worker nodes"
    assert cost == ("It costs nothing. It ends itself after 30 min without a task and a client.")
    assert isinstance(table, Table)
    assert table.rows == [("small", "CPU: 1", "1", "3", "0")]


def test_the_plan_has_the_head_and_says_what_it_costs_without_spot_instances() -> None:
    config = parse_yaml(AWS)
    types = {
        name: replace(one, price=0.1, on_demand=0.3, spot=True, max_workers=2, min_workers=1)
        for name, one in config.node_types().items()
    }
    _who, cost, table = plan_parts(config, types)
    head = config.head_node_type
    assert isinstance(table, Table)
    assert table.rows[0][0] == f"the head ({head})"
    assert table.rows[0][2:] == ("1", "1", "0.3")  # never a spot instance
    assert table.rows[1][4] == "0.1 as spot, else 0.3"
    most = 0.3 + 0.3 * min(config.max_workers, 2 * len(types))
    assert f"{money(0.3 + 0.1 * len(types))} per hour at the least" in cost
    assert f"{money(most)} at the most" in cost


def test_an_unknown_price_is_said_to_be_unknown() -> None:
    assert price_text(parse_yaml(AWS)) == "an unknown price per hour"


def test_at_the_most_the_dearest_types_run_up_to_their_limits() -> None:
    def priced(name: str, most: int, price: float) -> NodeType:
        return NodeType(name, Resources(), max_workers=most, price=price)

    types = [priced("a", 10, 1.0), priced("b", 2, 3.0), priced("c", 1, 0.0)]
    assert most_expensive(types, 5) == pytest.approx(2 * 3.0 + 3 * 1.0)
    assert most_expensive(types, 1) == pytest.approx(3.0)


def test_a_table_as_text_is_never_broken_and_takes_no_markup() -> None:
    long = "x" * 150
    table = Table("t", ("name", "count"), [("[bold]a[/bold]", "1"), (long, "10")], ("count",))
    heading, first, second = as_text(table).splitlines()
    assert re.fullmatch(r"name +count", heading)
    assert re.fullmatch(r"\[bold\]a\[/bold\] +1", first)
    assert second == f"{long}     10"
