"""The terminal on real clusters: every verb, its JSON, its exit code, and Ctrl-C in it."""

from __future__ import annotations

import contextlib
import json
import os
import pty
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from helpers import eventually, processes_of

import jupyter_cluster as jc
from jupyter_cluster.cli import main
from jupyter_cluster.client import registry

pytestmark = pytest.mark.local

GONE = "has ended: nothing of it runs any more"
COMMAND = [sys.executable, "-m", "jupyter_cluster.cli"]
YAML = """
cluster_name: {name}
max_workers: 2
provider: {{type: local}}
available_node_types: {{small: {{resources: {{CPU: 1}}, min_workers: 2}}}}
head_node_type: small
"""


@contextlib.contextmanager
def running(*words: str, **streams: Any) -> Iterator[subprocess.Popen[str]]:
    """The command as a process of its own, which is not left behind."""
    streams = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **streams}
    with subprocess.Popen([*COMMAND, *words], text=True, **streams) as process:
        try:
            yield process
        finally:
            process.kill()


@pytest.fixture
def say(capsys: pytest.CaptureFixture[str]) -> Callable[..., str]:
    """Run a line that succeeds, and give what it writes to stdout."""

    def run(*words: str) -> str:
        capsys.readouterr()
        code = main(words)
        written = capsys.readouterr()
        assert code == 0, written.err
        return written.out

    return run


@pytest.fixture
def fail(capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str]]:
    """Run a line that fails, and give its exit code and message."""

    def run(*words: str) -> tuple[int, str]:
        capsys.readouterr()
        code = main(words)
        return code, capsys.readouterr().err

    return run


def speak(x: int) -> int:
    print(f"task {x} speaks")
    return x


@pytest.fixture(scope="module")
def spoken(cluster: jc.Cluster) -> jc.Cluster:
    """A cluster that has run a job, of which two tasks printed a line."""
    cluster.map(speak, range(2), name="speeches", unit="speech").results(timeout=60)
    eventually(lambda: len(cluster.endpoint.get("logs")) == 2)
    return cluster


# -- showing --------------------------------------------------------------------------------------


def test_status_shows_cluster_nodes_and_jobs(spoken: jc.Cluster, say: Callable[..., str]) -> None:
    shown = say("status")
    assert "Cluster 'shared' on this machine: running" in shown
    assert "Cost: nothing" in shown
    assert "speeches" in shown
    assert "2 of 2" in shown


@pytest.mark.parametrize(
    ("line", "keys"),
    [
        ("status", {"cluster", "nodes", "jobs", "cost", "version"}),
        ("cost", {"so_far", "per_hour", "node_hours", "price_known"}),
        ("scale", {"max_workers", "min_workers", "request"}),
    ],
)
def test_json_is_one_object(
    spoken: jc.Cluster, say: Callable[..., str], line: str, keys: set[str]
) -> None:
    assert keys <= json.loads(say(line, "--json")).keys()


@pytest.mark.parametrize(
    ("line", "keys"),
    [
        ("jobs", {"id", "name", "state", "done"}),
        ("list", {"name", "state", "provider", "created"}),
    ],
)
def test_json_is_one_list(
    spoken: jc.Cluster, say: Callable[..., str], line: str, keys: set[str]
) -> None:
    rows = json.loads(say(line, "--json"))
    assert rows
    assert all(keys <= row.keys() for row in rows)


@pytest.mark.parametrize(("line", "count"), [("logs", 2), ("monitor", 3)])
def test_json_of_what_can_be_followed_is_a_line_each(
    spoken: jc.Cluster, say: Callable[..., str], line: str, count: int
) -> None:
    rows = [json.loads(row) for row in say(line, "--json").splitlines()]
    assert len(rows) >= count
    assert [row["number"] for row in rows] == sorted(row["number"] for row in rows)


def test_logs_are_those_of_a_job_or_a_node(spoken: jc.Cluster, say: Callable[..., str]) -> None:
    assert {line.split("  ")[1] for line in say("logs", "--job", "speeches").splitlines()} == {
        "task 0 speaks",
        "task 1 speaks",
    }
    written = {
        node: say("logs", "--node", node).splitlines()
        for node in {line["node"] for line in spoken.endpoint.get("logs")}
    }
    assert sum(map(len, written.values())) == len(say("logs").splitlines()) > 0
    assert all(line.startswith(f"{node}/") for node, lines in written.items() for line in lines)


@pytest.mark.parametrize("more", [(), ("--json",)])
def test_logs_of_a_node_that_never_was_are_an_error(
    spoken: jc.Cluster, fail: Callable[..., tuple[int, str]], more: tuple[str, ...]
) -> None:
    code, said = fail("logs", "--node", "worker-99", *more)
    assert (code, said.strip()) == (
        1,
        "jupyter-cluster: this cluster has no node 'worker-99' and never had one",
    )


@pytest.mark.parametrize("option", ["--restart-only", "--no-restart"])
def test_what_up_could_leave_out_on_a_host_is_refused_here(
    fail: Callable[..., tuple[int, str]], home: Path, option: str
) -> None:
    code, said = fail("up", "--name", "unmade", option)
    assert code == 2
    assert "cluster 'unmade' is on this machine" in said


def test_monitor_shows_decisions_with_their_reasons(
    spoken: jc.Cluster, say: Callable[..., str]
) -> None:
    assert "scale-up    launch" in say("monitor")
    assert "queued" in say("monitor")


def test_list_and_connect_name_the_cluster(spoken: jc.Cluster, say: Callable[..., str]) -> None:
    assert "shared   running  local" in say("list")
    assert 'jc.connect("shared")' in say("connect", "shared")


def test_scale_changes_limits_and_nodes_follow(
    cluster: jc.Cluster, say: Callable[..., str]
) -> None:
    shown = say("scale", "--max-workers", "3", "--min-workers", "local=1", "--request", "CPU=1x2")
    assert shown.splitlines() == [
        "At most 3 nodes",
        "At least 1 of type local",
        "Held: 2 × CPU: 1",
    ]
    eventually(lambda: say("nodes").count(" ready ") >= 2)
    assert len(json.loads(say("nodes", "--json"))) >= 2
    shown = say("scale", "--no-request", "--max-workers", "2", "--min-workers", "local=0")
    assert shown.splitlines() == ["At most 2 nodes"]


def test_jobs_are_cancelled_and_deleted(cluster: jc.Cluster, say: Callable[..., str]) -> None:
    cluster.map(time.sleep, [600] * 4, name="sleepers")
    eventually(lambda: "sleepers" in say("jobs"))
    assert say("jobs", "--cancel", "sleepers").startswith("Job 'sleepers': cancelled, 0 of 4")
    assert say("jobs", "--delete", "sleepers") == "Job 'sleepers' is deleted.\n"
    assert "sleepers" not in say("jobs")


def test_a_terminal_without_unicode_is_no_error(spoken: jc.Cluster) -> None:
    environment = {**os.environ, "PYTHONIOENCODING": "ascii"}
    with running("monitor", env=environment) as process:
        out, err = process.communicate(timeout=30)
    assert (process.returncode, err) == (0, "")
    assert "launch 2 ? local" in out


# -- going wrong ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("line", "code", "says"),
    [
        ("stauts", 2, "did you mean 'status'?"),
        ("up c.yaml --cpus 2", 2, "write them into c.yaml"),
        ("config check", 2, "config check FILE"),
        ("status nowhere", 1, "there is no cluster 'nowhere'; there are: shared"),
        ("down nowhere", 1, "there is no cluster 'nowhere'; there are: shared"),
        ("jobs --cancel nothing", 1, "there is no job 'nothing'"),
        ("logs --job nothing", 1, "there is no job 'nothing'"),
        ("scale --min-workers big=1", 1, "there is no node type 'big'; there are: local"),
        ("status missing.yaml", 1, "missing.yaml: there is no such file"),
        ("up --cpus 1 --name shared", 1, "is running with another configuration"),
        ("up --cpus 0", 2, "cpus must be at least 1, not 0"),
    ],
)
def test_an_error_is_one_message_and_an_exit_code(
    cluster: jc.Cluster, fail: Callable[..., tuple[int, str]], line: str, code: int, says: str
) -> None:
    ended, message = fail(*line.split())
    assert ended == code
    assert message.startswith("jupyter-cluster: ")
    assert says in message
    assert "Traceback" not in message


def test_config_is_checked_and_explained(
    tmp_path: Path, say: Callable[..., str], fail: Callable[..., tuple[int, str]]
) -> None:
    good, bad = tmp_path / "good.yaml", tmp_path / "bad.yaml"
    good.write_text(YAML.format(name="good"))
    bad.write_text(YAML.format(name="bad") + "max_wrokers: 3\n")
    assert say("config", "check", str(good)) == f"{good} is valid.\n"
    assert json.loads(say("config", "check", str(good), "--json"))["valid"] is True
    rows = json.loads(say("config", "explain", str(good), "--json"))
    assert {"key": "max_workers", "value": 2, "origin": f"{good}:3"} in rows
    assert "provider.type" in say("config", "explain", str(good))
    assert json.loads(say("config", "schema"))["$schema"].startswith("https://json-schema.org/")
    code, message = fail("config", "check", str(bad))
    assert code == 1
    assert "max_workers" in message


def test_problems_of_a_config_come_as_json_too(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bad = tmp_path / "bad.yaml"
    bad.write_text(YAML.format(name="bad") + "max_wrokers: 3\n")
    assert main(["config", "check", str(bad), "--json"]) == 1
    (problem,) = json.loads(capsys.readouterr().out)["problems"]
    assert (problem["line"], problem["key"]) == (7, "max_wrokers")


def test_a_reader_that_has_enough_is_no_error(spoken: jc.Cluster) -> None:
    code = "import sys; sys.stdin.readline()"
    with subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE) as reader:
        assert reader.stdin
        with running("monitor", "-f", stdout=reader.stdin) as process:
            reader.stdin.close()
            assert reader.wait(30) == 0
            eventually(lambda: spoken.scale(max_workers=2) and process.poll() is not None)
            assert process.stderr
            assert process.stderr.read() == ""
            assert process.returncode == 1


# -- starting and ending --------------------------------------------------------------------------


def test_up_waits_for_its_nodes_and_twice_says_so_and_down_leaves_nothing(
    home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "cluster.yaml"
    file.write_text(YAML.format(name="twice"))
    assert main(["up", str(file)]) == 0
    first = capsys.readouterr()
    assert "It costs nothing." in first.out
    assert "2 of at most 2 nodes" in first.out
    assert "down twice" in first.out
    assert "cluster 'twice': it is up" in first.err
    assert main(["up", str(file)]) == 0
    second = capsys.readouterr()
    assert "cluster 'twice': it was running already" in second.err
    assert "It costs" not in second.out
    assert main(["down", str(file)]) == 0
    assert "nothing of it is left" in capsys.readouterr().err
    assert not processes_of(home / "clusters" / "twice")
    assert main(["down", str(file)]) == 1
    assert "there is no cluster 'twice'" in capsys.readouterr().err


def test_down_asks_before_work_is_lost(home: Path, fail: Callable[..., tuple[int, str]]) -> None:
    cluster = jc.up(name="busy", cpus=1)
    cluster.map(time.sleep, [600], name="sleeper")
    eventually(lambda: cluster.jobs() and cluster.jobs()[0]["running"])
    code, message = fail("down", "busy")
    assert code == 2
    assert "works on 1 job: sleeper" in message
    assert "add -y" in message
    assert answered("down", "busy", answer="n").startswith("Nothing was ended.")
    assert registry.entry("busy").is_alive
    answered("down", "busy", answer="y")
    assert not registry.entry("busy").exists
    jc.shutdown()


def answered(*words: str, answer: str) -> str:
    """What a line writes to stdout when it is run in a terminal and its question answered."""
    ours, theirs = pty.openpty()
    with running(*words, stdin=theirs, stderr=theirs) as process, open(ours, "rb", 0) as screen:
        os.close(theirs)
        shown = b""
        while b"[y/N]" not in shown:
            shown += screen.read(1000)
        os.write(ours, f"{answer}\n".encode())
        with contextlib.suppress(OSError):  # how Linux says that nobody writes to it any more
            while screen.read(1000):
                pass
        written, _ = process.communicate(timeout=60)
        assert process.returncode == 0
    return written


def test_status_and_list_do_not_import_the_engine(cluster: jc.Cluster) -> None:
    code = (
        "import sys; from jupyter_cluster.cli import main\n"
        "verbs = ('status', 'nodes', 'jobs', 'cost', 'list', 'monitor', 'logs')\n"
        "codes = [main([verb]) for verb in verbs]\n"
        "heavy = {'distributed', 'dask', 'tornado', 'plotly', 'IPython'} & sys.modules.keys()\n"
        "sys.exit(f'{codes} {heavy}' if any(codes) or heavy else 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


# -- following and Ctrl-C -------------------------------------------------------------------------


def next_line(process: subprocess.Popen[str], word: str) -> str:
    """The next line on stdout with a word in it."""
    assert process.stdout
    return next(line for line in process.stdout if word in line)


def interrupted(process: subprocess.Popen[str]) -> tuple[int, str]:
    """Press Ctrl-C; returns the exit code and what it had to say."""
    process.send_signal(signal.SIGINT)
    _out, err = process.communicate(timeout=30)
    return process.returncode, err


def test_monitor_follows_until_it_is_interrupted(cluster: jc.Cluster) -> None:
    with running("monitor", "-f") as process:
        cluster.scale(max_workers=5)
        assert next_line(process, "max_workers is 5")
        cluster.scale(max_workers=2)
        assert next_line(process, "max_workers is 2")
        assert interrupted(process) == (130, "")


def test_logs_follow_until_they_are_interrupted(cluster: jc.Cluster) -> None:
    with running("logs", "-f") as process:
        cluster.map(speak, [42], name="later").results(timeout=60)
        assert next_line(process, "task 42 speaks")
        assert interrupted(process) == (130, "")


def test_following_goes_on_after_the_head_was_killed_and_ends_with_the_cluster(home: Path) -> None:
    cluster = jc.up(name="short", cpus=1)
    entry = registry.entry("short")
    with running("monitor", "short", "-f") as process:
        cluster.scale(max_workers=2)
        assert next_line(process, "max_workers is 2")
        os.kill(entry.read("processes.json")["head"], signal.SIGKILL)
        eventually(lambda: scaled(cluster, 3))
        assert next_line(process, "max_workers is 3")
        cluster.down()
        _out, err = process.communicate(timeout=30)
        assert (process.returncode, err) == (0, f"Cluster 'short' {GONE}.\n")
    jc.shutdown()


def scaled(cluster: jc.Cluster, count: int) -> bool:
    try:
        return bool(cluster.scale(max_workers=count))
    except jc.errors.ConnectionLostError:
        return False


@pytest.mark.parametrize(
    "line",
    [
        "up --name shared --cpus 2",
        "down shared",
        "status",
        "nodes",
        "jobs",
        "scale --max-workers 2",
        "logs",
        "logs -f",
        "monitor",
        "monitor -f",
        "cost",
        "connect shared",
    ],
)
def test_a_verb_that_waits_is_interrupted_quietly(cluster: jc.Cluster, line: str) -> None:
    head = psutil.Process(registry.entry("shared").read("processes.json")["head"])
    head.suspend()  # so that every verb has something to wait for
    try:
        with running(*line.split()) as process:
            eventually(lambda: psutil.Process(process.pid).net_connections("tcp"))
            code, said = interrupted(process)
    finally:
        head.resume()
    assert (code, said) == (130, "")
    assert cluster.is_alive


@pytest.mark.parametrize("moment", ["lock", "processes.json"])
def test_up_that_is_interrupted_leaves_nothing_running(home: Path, moment: str) -> None:
    name = f"midway-{moment.partition('.')[0]}"
    folder = home / "clusters" / name
    with running("up", "--name", name, "--cpus", "1") as process:
        eventually((folder / moment).exists)
        code, said = interrupted(process)
    assert (code, said) == (130, "")
    eventually(lambda: not processes_of(folder))
    assert not registry.entry(name).is_alive
