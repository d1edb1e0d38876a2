"""File mounts: the same bytes on every node, each sent as seldom as can be."""

from __future__ import annotations

import hashlib
import os
import time
from pathlib import Path

import pytest
from helpers import eventually

import jupyter_cluster as jc
from ec2box.bench import Bench

pytestmark = [pytest.mark.ec2box, pytest.mark.timeout(480)]


def digest(name: str) -> tuple[str, str]:
    """The node's name and the digest of a file on it."""
    time.sleep(0.3)
    path = Path("~/data").expanduser() / name
    return os.uname().nodename, hashlib.sha256(path.read_bytes()).hexdigest()


def test_all_nodes_have_the_same_bytes_and_gave_them_to_each_other(bench: Bench):
    data = bench.folder / "data"
    data.mkdir()
    (data / "large").write_bytes(os.urandom(20_000_000))
    (data / "no").write_text("stays here")
    (data / ".gitignore").write_text("no\n")
    types = {"worker": {"min_workers": 4}}
    cluster = bench.up(
        file_mounts={"~/data": str(data)},
        rsync_filter=[".gitignore"],
        available_node_types=types,
        worker_setup_commands=["test ! -e ~/data/no"],
    )
    bench.await_ready(cluster, 4)
    expected = hashlib.sha256((data / "large").read_bytes()).hexdigest()
    found = dict(cluster.map(digest, ["large"] * 40))
    assert set(found.values()) == {expected}
    assert len(found) == 4
    head = bench.head()
    sent = bench.rig.run(head, "cat /sys/class/net/eth0/statistics/tx_bytes")
    assert 20_000_000 < int(sent) < 3 * 20_000_000, "the head sent it to all by itself"


def test_up_again_brings_changes_to_nodes_that_are_up(bench: Bench):
    data = bench.folder / "data"
    data.mkdir()
    (data / "a").write_text("one")
    changes = {"file_mounts": {"~/data": str(data)}, "max_workers": 1}
    types = {"worker": {"min_workers": 1}}
    path = bench.file(**changes, available_node_types=types)
    bench.start(path)
    cluster = jc.connect("posters")
    bench.await_ready(cluster, 1)
    first = list(cluster.map(digest, ["a"]))
    (data / "a").write_text("two")
    bench.start(path)
    expected = hashlib.sha256(b"two").hexdigest()
    eventually(lambda: list(cluster.map(digest, ["a"])) == [(first[0][0], expected)], 60)


def slow(x: int) -> int:
    time.sleep(0.5)
    return x


def test_what_changes_on_the_head_reaches_a_busy_worker_and_nothing_else_does(bench: Bench):
    data = bench.folder / "data"
    data.mkdir()
    (data / "a").write_text("one")
    changes = {
        "max_workers": 1,
        "available_node_types": {"worker": {"min_workers": 1}},
        "file_mounts": {"~/data": str(data)},
        "file_mounts_sync_continuously": True,
        "cluster_synced_files": ["~/shared"],
        "head_setup_commands": ["mkdir -p ~/shared && echo made there >~/shared/x"],
    }
    cluster = bench.up(**changes, worker_setup_commands=["echo set up >>~/ran"])
    job = cluster.map(slow, range(100), max_retries=0)
    eventually(lambda: job.done > 1, 90)
    worker = next(iter(bench.workers("running").values()))
    look = "cd /home/ubuntu && cat data/a shared/x ran"
    assert bench.rig.run(worker, look).split("\n") == ["onemade there", "set up", ""]
    bench.command("exec", "posters", "echo two >~/data/a; echo more >>~/shared/x")
    eventually(lambda: "two\nmade there\nmore" in bench.rig.run(worker, look), 60)
    # What a file says otherwise by now holds for nodes that come later.
    bench.start(
        bench.file(
            **changes,
            worker_setup_commands=["echo another >>~/ran"],
            docker={"worker_image": "rayproject/ray:latest-cpu"},
        )
    )
    eventually(lambda: "runs on as it was set up" in " ".join(e["text"] for e in cluster.events()))
    assert job.results() == list(range(100))
    assert bench.rig.run(worker, "cat /home/ubuntu/ran").split("\n") == ["set up", ""]
    assert list(bench.workers("running").values()) == [worker]


@pytest.mark.parametrize(
    ("user", "options"), [("4321", ["--user 4321", "-e HOME=/tmp"]), ("0", ["--user root"])]
)
def test_a_container_of_another_user_sees_what_takes_the_place_of_a_file(
    bench: Bench, user: str, options: list[str]
):
    (bench.folder / "folder").mkdir()
    (bench.folder / "folder" / "inner").write_text("inner")
    one = bench.folder / "one"
    one.write_text("first")
    path = bench.file(
        docker={"image": "rayproject/ray:latest-cpu", "run_options": options},
        file_mounts={"/data/one": str(one), "~/folder": str(bench.folder / "folder")},
    )
    bench.start(path)
    look = ("exec", "posters", "id -u; cat /data/one ~/folder/inner")
    assert bench.command(*look).stdout == f"{user}\nfirstinner"
    assert not bench.rig.run(bench.head(), "ls /tmp/run 2>/dev/null || true")  # read, not run
    one.write_text("second")
    bench.start(path)
    assert bench.command(*look).stdout == f"{user}\nsecondinner"
