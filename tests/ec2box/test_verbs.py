"""The verbs of a terminal on a cluster of hosts."""

from __future__ import annotations

import os
import pty
import re
import select
import subprocess
import sys
import time
import urllib.request

import pytest
from helpers import eventually

import jupyter_cluster as jc
from ec2box.bench import Bench

pytestmark = [pytest.mark.ec2box, pytest.mark.timeout(480)]

PROGRAM = """
import sys
import jupyter_cluster as jc

cluster = jc.connect()
print("squares", cluster.map(lambda x: x * x, range(int(sys.argv[1]))).results())
sys.exit(7)
"""


def slow_square(x: int) -> int:
    time.sleep(0.3)
    return x * x


def test_up_shows_the_plan_with_prices_and_what_is_scarce(bench: Bench):
    bench.rig.quota(6)
    done = bench.command("up", str(bench.file()), "-y", timeout=120)
    assert done.returncode == 0, done.stderr
    assert "at most 4 worker nodes" in done.stdout
    assert re.search(r"the head \(head\) .* 1 +1 +0\.128", done.stdout), done.stdout
    assert "0.13 USD per hour at the least and 0.64 USD at the most" in done.stdout
    assert "worker: enough for 2 of 4 m5.large" in done.stderr
    assert "it is up" in done.stderr


def test_up_refuses_before_anything_is_made_what_cannot_be(bench: Bench):
    bench.rig.quota(1)
    done = bench.command("up", str(bench.file()), "-y")
    assert done.returncode == 1
    assert "may not run a single m5.large" in done.stderr
    types = {"worker": {"node_config": {"InstanceType": "m5.huge"}}}
    done = bench.command("up", str(bench.file(available_node_types=types)), "-y")
    assert "m5.huge" in done.stderr
    assert not bench.left_over()


def test_commands_files_and_programs_on_the_head_and_on_nodes(bench: Bench):
    cluster = bench.up(max_workers=1)
    done = bench.command("exec", "posters", "echo it is $(hostname); exit 5")
    assert done.stdout.startswith("it is ip-172-31-")
    assert done.returncode == 5

    (bench.folder / "program.py").write_text(PROGRAM)
    done = bench.command("submit", "posters", str(bench.folder / "program.py"), "4")
    assert (done.returncode, done.stdout.strip()) == (7, "squares [0, 1, 4, 9]")

    node = next(row["id"] for row in cluster.nodes() if row["state"] == "ready")
    done = bench.command(
        "exec", "posters", "python -c 'import sys; print(sys.prefix)'", "--node", node
    )
    assert re.search(r"/\.jupyter_cluster/\w+/python", done.stdout)

    folder = bench.folder / "some"
    (folder / "below").mkdir(parents=True)
    (folder / "below" / "a b.txt").write_text("text")
    (folder / "big").write_bytes(os.urandom(3_000_000))
    (folder / "link").symlink_to("below/a b.txt")
    done = bench.command("rsync-up", "posters", str(folder), "~/there")
    assert "3 files copied" in done.stderr, done.stderr
    done = bench.command("rsync-down", "posters", "~/there", str(bench.folder / "back"))
    assert "3 files copied" in done.stderr, done.stderr
    assert (bench.folder / "back" / "below" / "a b.txt").read_text() == "text"
    assert (bench.folder / "back" / "big").read_bytes() == (folder / "big").read_bytes()
    assert str((bench.folder / "back" / "link").readlink()) == "below/a b.txt"
    bench.command("rsync-down", "posters", "~/there/below/a b.txt", str(bench.folder / "one.txt"))
    assert (bench.folder / "one.txt").read_text() == "text"
    done = bench.command("rsync-down", "posters", "~/nowhere", str(bench.folder / "x"))
    assert "there is no ~/nowhere on" in done.stderr

    done = bench.command("logs", "posters", "--node", node)
    assert "Python 3" in done.stdout
    done = bench.command("cost", "posters")
    assert "the head itself" in done.stdout
    done = bench.command("exec", "posters", "true", "--node", "worker-99")
    assert "it has head" in done.stderr


def test_attach_is_a_real_terminal(bench: Bench):
    bench.start(bench.file())
    master, slave = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "jupyter_cluster.cli", "attach", "posters"],
        stdin=slave,
        stdout=slave,
        stderr=slave,
        env={**os.environ, "TERM": "xterm"},
    )
    os.close(slave)

    def read_until(wanted: bytes) -> bytes:
        text, deadline = b"", time.monotonic() + 30
        while wanted not in text:
            assert time.monotonic() < deadline, text
            if select.select([master], [], [], 0.5)[0]:
                text += os.read(master, 4096)
        return text

    read_until(b"$ ")
    os.write(master, b"test -t 0 && echo ter''minal; which python\n")
    assert b"python/bin/python" in read_until(b"/bin/python")
    os.write(master, b"exit 3\n")
    assert process.wait(60) == 3
    os.close(master)


def page(cluster: str, wanted: str) -> str:
    """The first piece of a cluster's page that has what is wanted, as a browser gets it."""
    words = [sys.executable, "-m", "jupyter_cluster.cli", "dashboard", cluster, "--no-browser"]
    reader = urllib.request.build_opener(urllib.request.HTTPCookieProcessor())
    with subprocess.Popen(words, text=True, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        try:
            with reader.open(process.stdout.readline().strip(), timeout=20) as answer:
                stream = reader.open(f"{answer.url}follow", timeout=60)
            with stream:
                return next(text for line in stream if wanted in (text := line.decode()))
        finally:
            process.terminate()


def ready(cluster: jc.Cluster) -> list[str]:
    return [row["id"] for row in cluster.nodes() if row["state"] == "ready"]


def test_workers_alone_are_ended_and_those_always_kept_stay(bench: Bench):
    types = {"worker": {"min_workers": 1}}
    cluster = bench.up(max_workers=2, available_node_types=types)
    cluster.map(abs, range(-4, 0)).results()
    # Which of the two is ready first is chance, and the other one is then needed no more.
    eventually(lambda: ready(cluster), 60)
    first = ready(cluster)[0]
    jc.shutdown()
    assert "on aws" in page("posters", f"{first} is ready")
    done = bench.command("down", "posters", "--workers-only", "--keep-min-workers")
    assert done.returncode == 0, done.stderr
    eventually(lambda: len(bench.workers("running")) == 1, 60)


def test_up_again_syncs_what_has_changed_and_restarts_only_when_asked(bench: Bench):
    data = bench.folder / "data"
    data.mkdir()
    (data / "a").write_text("one")
    path = bench.file(
        file_mounts={"~/data": str(data)},
        head_setup_commands=["date +%N >~/set-up"],
        max_workers=2,
        available_node_types={"worker": {"min_workers": 2}},
    )
    bench.start(path)
    look = ("exec", "posters", "cat ~/data/*; cat ~/set-up")
    first = bench.command(*look).stdout.split()
    started = jc.connect("posters").started
    (data / "a").write_text("two")
    (data / "b").write_text("three")
    bench.start(path)
    second = bench.command(*look).stdout.split()
    assert first[0].startswith("one")
    assert second == ["twothree" + first[0].removeprefix("one")]
    assert jc.connect("posters").started == started
    cluster = jc.connect("posters")
    bench.await_ready(cluster, 2)
    job = cluster.map(slow_square, range(200), max_retries=0)
    eventually(lambda: job.done > 3, 60)
    workers = bench.workers("running")
    done = bench.command("up", str(path), "-y", "--restart-only")
    assert done.returncode == 0, done.stderr
    assert cluster.status()["started"] > started
    assert job.results() == [x * x for x in range(200)]
    assert workers.items() <= bench.workers("running").items()
    ends = tuple(f"{node} has {how}" for node in workers for how in ("failed", "ended"))
    assert not [e["text"] for e in cluster.events() if e["text"].startswith(ends)]
