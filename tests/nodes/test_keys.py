"""Each documented key of a cluster file is read, and does to hosts what it says."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import Any

import pytest

import jupyter_cluster
from jupyter_cluster.config import ClusterConfig, parse, schema
from jupyter_cluster.nodes.container import container_of
from jupyter_cluster.nodes.mirror import synced_targets

pytestmark = pytest.mark.unit

ROOT = Path(jupyter_cluster.__file__).parent
# Kept for its owner, and not interpreted.
KEPT = {"metadata"}


def attributes() -> set[str]:
    """What any module reads of an object."""
    return {
        node.attr
        for path in ROOT.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Load)
    }


def test_each_key_is_read_somewhere() -> None:
    made = schema()
    sections = [made, *made["$defs"].values()]
    keys = {
        key
        for section in sections
        for key, value in section["properties"].items()
        if not value.get("deprecated")
    }
    assert keys - attributes() == set() | (KEPT - attributes())


def config(docker: str, more: str = "") -> ClusterConfig:
    return parse(
        "cluster_name: a\nprovider: {type: ssh, head_ip: h, worker_ips: [b]}\n"
        f"docker: {{image: i, {docker}}}\n{more}"
    )


def both(docker: str, more: str = "") -> tuple[Any, Any]:
    """The containers of head and worker, on hosts with a GPU and 10 GB."""
    made = config(docker, more)
    return tuple(  # type: ignore[return-value]
        container_of(made, "host", is_head, 1, 10**10) for is_head in (True, False)
    )


@pytest.mark.parametrize(
    ("docker", "attribute", "head", "worker"),
    [
        ("", "image", "i", "i"),
        ("head_image: j", "image", "j", "i"),
        ("worker_image: j", "image", "i", "j"),
        ("", "name", "jupyter-cluster-a", "jupyter-cluster-a"),
        ("container_name: c", "name", "c", "c"),
        ("", "pull", True, True),
        ("pull_before_run: false", "pull", False, False),
        ("run_options: [-a]", "options", ("-a",), ("-a",)),
        ("run_options: [-a], head_run_options: [-b]", "options", ("-a", "-b"), ("-a",)),
        ("run_options: [-a], worker_run_options: [-b]", "options", ("-a",), ("-a", "-b")),
        ("", "has_gpus", True, True),
        ("disable_automatic_runtime_detection: true", "has_gpus", False, False),
        ("", "shm", 3 * 10**9, 3 * 10**9),
        ("disable_shm_size_detection: true", "shm", 0, 0),
        ("", "engine", "docker", "docker"),
        ("use_podman: true", "engine", "podman", "podman"),
    ],
)
def test_each_key_of_docker_does_what_it_says(
    docker: str, attribute: str, head: Any, worker: Any
) -> None:
    assert tuple(getattr(one, attribute) for one in both(docker)) == (head, worker)


def test_what_a_container_is_goes_into_its_command() -> None:
    head, _worker = both("run_options: ['--user 4321', '-e HOME=/tmp', --privileged]")
    start = head.start("/f", {"/data": "/f/mounted/k"}, "id")
    for part in ("--privileged", "--gpus all", "--shm-size=3000000000b", "-v /f:/f", "=id"):
        assert part in start
    assert "--user 4321 -e HOME=/tmp" in head.inspect
    assert "--privileged" not in head.inspect
    assert head.get_image == "sudo -n docker pull -q i"
    kept, _worker = both("pull_before_run: false")
    assert kept.get_image.startswith("sudo -n docker image inspect i")


def test_commands_are_those_of_the_file() -> None:
    made = config(
        "",
        "initialization_commands: [i]\nsetup_commands: [s]\nhead_setup_commands: [h]\n"
        "worker_setup_commands: [w]\n",
    )
    assert tuple(made.initialization("host")) == ("i",)
    assert tuple(made.head_setup()) == ("s", "h")
    assert tuple(made.worker_setup("host")) == ("s", "w")


def test_what_is_copied_from_the_head_is_said_by_the_file(tmp_path: Path) -> None:
    mounts = f"file_mounts: {{'~/data': {tmp_path}}}\ncluster_synced_files: [/shared]\n"
    assert synced_targets(config("", mounts)) == ["/shared"]
    on = f"{mounts}file_mounts_sync_continuously: true\n"
    assert synced_targets(config("", on)) == ["/shared", "~/data"]
