"""The registry on disk: what is alive is told by a lock, not by process ids."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import TextIO

import pytest

from jupyter_cluster.cli import main
from jupyter_cluster.client import registry
from jupyter_cluster.client.tunnel import close_tunnel
from jupyter_cluster.config import parse
from jupyter_cluster.errors import RegistryError

pytestmark = pytest.mark.unit


@pytest.fixture(autouse=True)
def own_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JUPYTER_CLUSTER_HOME", str(tmp_path))


def make(name: str) -> registry.Entry:
    entry = registry.entry(name)
    entry.folder.mkdir(parents=True)
    (entry.folder / "cluster.json").write_text("{}")
    return entry


def hold(entry: registry.Entry) -> TextIO:
    lock = (entry.folder / "lock").open("w")
    fcntl.flock(lock, fcntl.LOCK_EX)
    return lock


def test_without_a_name_the_only_running_one_is_found() -> None:
    with pytest.raises(RegistryError, match="no cluster is running; start one with `up`"):
        registry.find()
    make("stopped")
    running = make("running")
    with hold(running):
        assert registry.find() == running
        assert registry.find("running") == running
        with (
            hold(make("second")),
            pytest.raises(RegistryError, match="several clusters are running: running, second"),
        ):
            registry.find()


def test_a_stopped_one_and_an_unknown_one_are_told_apart() -> None:
    make("stopped")
    with pytest.raises(RegistryError, match="'stopped' has stopped; its results are kept"):
        registry.find("stopped")
    with pytest.raises(RegistryError, match="there is no cluster 'other'; none is running"):
        registry.find("other")


@pytest.mark.parametrize("name", ["", "a b", "../x", "-x", "a/b", "x" * 101, "\ud800"])
def test_a_name_that_would_leave_the_folder_is_refused(name: str) -> None:
    with pytest.raises(RegistryError, match="is no name for a cluster"):
        registry.entry(name)


# -- what is damaged gets a sentence --------------------------------------------------------------

DAMAGED = {
    "empty": b"",
    "a list": b"[1, 2]",
    "a text": b'"x"',
    "null": b"null",
    "binary": b"\xff\xfe\x00",
    "an empty map": b"{}",
    "other types": b'{"name": 5, "id": null, "created": "x", "scheduler": 7, "endpoint": [1],'
    b' "provider": 3, "host": 4, "user": [], "machine": {}, "port": "x"}',
    "too deep": b"[" * 100_000,
}
CONFIG = (
    "cluster_name: c\nprovider: {type: ssh, head_ip: 127.0.0.1, worker_ips: [127.0.0.1]}\n"
    "auth: {ssh_port: 1}\n"
)
HOST = (
    b'{"host": "127.0.0.1", "port": 1, "user": "x", "machine": "m", "folder": "/tmp/x",'
    b' "key": null, "proxy_command": null}'
)
HEAD = b'{"scheduler": "tls://127.0.0.1:1", "endpoint": "https://127.0.0.1:1"}'
LINES = (
    "list",
    "status",
    "connect c",
    "exec c ls",
    "rsync-up c /etc/hosts x",
    "scale --max-workers 2",
    "down c --workers-only",
    "down c -y",
)


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of a cluster on other hosts, of which none answers."""
    folder = tmp_path_factory.mktemp("good")
    registry.Entry("c", folder).identity()
    (folder / "config.json").write_text(parse(CONFIG).as_json(with_secrets=True))
    (folder / "host.json").write_bytes(HOST)
    (folder / "head.json").write_bytes(HEAD)
    return folder


def says_a_sentence(line: str, capsys: pytest.CaptureFixture[str]) -> None:
    code = main(line.split())
    said = capsys.readouterr()
    assert code in (0, 1, 2)
    assert "Traceback" not in said.out + said.err
    assert "validation error" not in said.out + said.err
    assert code == 0 or said.err.startswith("jupyter-cluster: ") or "✓" in said.err


@pytest.mark.parametrize("damage", DAMAGED)
@pytest.mark.parametrize("name", ["cluster.json", "config.json", "host.json", "head.json"])
def test_each_verb_says_a_sentence_of_a_damaged_file(
    name: str, damage: str, good: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    place = registry.entry("c")
    for line in LINES:
        shutil.rmtree(place.folder, ignore_errors=True)
        shutil.copytree(good, place.folder)
        (place.folder / name).write_bytes(DAMAGED[damage])
        says_a_sentence(line, capsys)


def no_folder(folder: Path) -> None:
    shutil.rmtree(folder)
    folder.write_text("x")


def no_credentials(folder: Path) -> None:
    shutil.rmtree(folder / "credentials")


def lock_is_a_folder(folder: Path) -> None:
    (folder / "lock").mkdir()


def lock_is_a_loop(folder: Path) -> None:
    (folder / "lock").symlink_to("lock")


def a_file_is_a_folder(folder: Path) -> None:
    for name in ("cluster.json", "config.json", "head.json", "processes.json"):
        (folder / name).unlink(missing_ok=True)
        (folder / name).mkdir()


def no_registry(folder: Path) -> None:
    shutil.rmtree(folder.parent.parent)
    folder.parent.parent.write_text("x")


def clusters_are_a_file(folder: Path) -> None:
    shutil.rmtree(folder.parent)
    folder.parent.write_text("x")


@pytest.mark.parametrize(
    "harm",
    [
        no_folder,
        no_credentials,
        lock_is_a_folder,
        lock_is_a_loop,
        a_file_is_a_folder,
        clusters_are_a_file,
        no_registry,
    ],
)
def test_each_verb_says_a_sentence_where_something_else_lies(
    harm: Callable[[Path], None],
    good: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    for number, line in enumerate(("list", "status", "connect c", "logs", "down c -y", "down c")):
        home = tmp_path / str(number)
        monkeypatch.setenv("JUPYTER_CLUSTER_HOME", str(home))
        place = registry.entry("c")
        shutil.copytree(good, place.folder)
        (place.folder / "host.json").unlink()
        harm(place.folder)
        says_a_sentence(line, capsys)


def test_a_registry_at_nobodys_home_is_said(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("JUPYTER_CLUSTER_HOME", "~nobody-of-this-name/x")
    says_a_sentence("list", capsys)


def test_a_relative_registry_is_the_same_from_everywhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("JUPYTER_CLUSTER_HOME", "here")
    assert registry.home() == tmp_path / "here"
    assert os.path.isabs(registry.entry("c").folder)


@pytest.mark.parametrize("line", ["status", "jobs", "nodes --json", "cost", "monitor"])
def test_from_another_network_each_verb_names_the_one_that_finds_the_way(
    line: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    place = registry.entry("c")
    place.identity()
    nobody = {"address": "127.0.0.1", "port": 1, "user": "x", "machine": "m", "key": str(tmp_path)}
    place.write("host.json", nobody)
    place.write("head.json", json.loads(HEAD))
    assert main(line.split()) == 1
    said = capsys.readouterr().err
    assert "the head of cluster 'c' does not answer: SSH to 127.0.0.1 " in said
    assert "; `connect c` finds the way again, e.g. from another network" in said
    close_tunnel(place)
