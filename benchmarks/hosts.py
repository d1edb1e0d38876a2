"""Launching and file mounts on hosts, beside plain ssh and rsync, on EC2 in a box.

    bash scripts/test bench-hosts [ROUNDS]

Everything runs on one machine, so figures are of software and not of networks; what counts is the
ratio to the peer of the same run.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from ec2box.bench import Bench, ssh_key
from ec2box.rig import Rig

import jupyter_cluster as jc
from jupyter_cluster.nodes import files
from jupyter_cluster.nodes.bring_up import send_tree
from jupyter_cluster.nodes.command import Exchange
from jupyter_cluster.nodes.node import Node, open_node
from jupyter_cluster.nodes.packs import send_packs
from jupyter_cluster.nodes.remote import files as remote_files
from jupyter_cluster.nodes.session import Ssh
from jupyter_cluster.nodes.ssh import HostKeys, Login, wait_for
from jupyter_cluster.nodes.swarm import Swarm
from jupyter_cluster.trust import make_certificates

SMALL_FILES, LARGE_BYTES, NODES = 5000, 200_000_000, 8
TARGET = "~/data"
# Thirty nodes on a network so slow that it, and not this machine, is what all wait for.
MANY, SLOW_MEGABITS, SLOW_BYTES = 30, 40, 20_000_000
_SSH = "ssh -o BatchMode=yes -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null -q"


def seconds(work: Callable[[], object]) -> float:
    """How long something takes."""
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


# -- up -------------------------------------------------------------------------------------------


def measure_up(bench: Bench) -> dict[str, float]:
    """From `up` to the first result, and the same SSH commands by themselves with `ssh`."""
    commands: list[tuple[str, bytes, float]] = []
    real = Ssh._execute

    def recorded(self: Ssh, command: str, exchange: Exchange, *parts: Any) -> None:
        data = b"".join(exchange.source)
        began = time.perf_counter()
        real(self, command, replace(exchange, source=[data] if data else ()), *parts)
        commands.append((command, data, time.perf_counter() - began))

    Ssh._execute = recorded  # type: ignore[method-assign]
    try:
        up = seconds(lambda: bench.start(bench.file(max_workers=1)))
    finally:
        Ssh._execute = real  # type: ignore[method-assign]
    cluster = jc.connect("posters")
    first = seconds(lambda: cluster.map(abs, [-1]).results())
    again = seconds(lambda: cluster.map(abs, [-1]).results())
    bench.end()
    replayed = [row for row in commands if "setsid" not in row[0] and "head.json" not in row[0]]
    with hosts(bench, 1) as ((address,), key):
        words = [*_SSH.split(), "-i", str(key), f"ubuntu@{address}"]
        subprocess.run([*words, "true"], check=True)
        bare = sum(
            seconds(
                lambda c=command, d=data: subprocess.run([*words, c], input=d, capture_output=True)
            )
            for command, data, _took in replayed
        )
    return {
        "up, s": up,
        "of it in SSH commands, s": sum(took for *_, took in replayed),
        "the same commands by ssh, s": bare,
        "demand to first result on a new node, s": first,
        "the next result, s": again,
    }


@contextmanager
def hosts(bench: Bench, count: int) -> Iterator[tuple[list[str], Path]]:
    """Bare hosts, and the key that they take."""
    ec2 = bench.client()
    private, public = ssh_key()
    key = bench.folder / "bare.pem"
    key.write_bytes(private)
    key.chmod(0o600)
    ec2.import_key_pair(KeyName="bare", PublicKeyMaterial=public)
    group = ec2.create_security_group(GroupName="bare", Description="all inside")["GroupId"]
    everything = {"IpProtocol": "-1", "IpRanges": [{"CidrIp": "172.31.0.0/16"}]}
    ec2.authorize_security_group_ingress(GroupId=group, IpPermissions=[everything])
    image = ec2.describe_images()["Images"][0]["ImageId"]
    options = {"ImageId": image, "InstanceType": "m5.large", "SecurityGroupIds": [group]}
    rows = ec2.run_instances(MinCount=count, MaxCount=count, KeyName="bare", **options)["Instances"]
    addresses = [row["PrivateIpAddress"] for row in rows]
    for address in addresses:
        while subprocess.run(
            [*_SSH.split(), "-i", str(key), f"ubuntu@{address}", "true"]
        ).returncode:
            time.sleep(0.1)
    yield addresses, key
    ec2.terminate_instances(InstanceIds=[row["InstanceId"] for row in rows])
    ec2.delete_key_pair(KeyName="bare")
    while bench.instances():
        time.sleep(0.1)
    ec2.delete_security_group(GroupId=group)


# -- files ----------------------------------------------------------------------------------------


def write_data(folder: Path) -> dict[str, Path]:
    """The two kinds of data."""
    small, large = folder / "small", folder / "large"
    for number in range(SMALL_FILES):
        path = small / f"{number // 100}" / f"{number}"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(os.urandom(1000))
    large.mkdir()
    (large / "one").write_bytes(os.urandom(LARGE_BYTES))
    return {f"{SMALL_FILES} small files": small, f"{LARGE_BYTES // 10**6} MB": large}


def measure_files(bench: Bench, name: str, data: Path) -> dict[str, float]:
    """To one node and to eight; then again with nothing changed."""
    with hosts(bench, NODES + 1) as (addresses, key):
        nodes = [_node(address, key) for address in addresses]
        tree = files.scan({TARGET: str(data)}, (), ())
        bring = send_tree(tree)
        roots = {files.key_of(TARGET): f"{nodes[0].home}/data"}
        one = seconds(lambda: bring(nodes[0], roots))
        again = seconds(lambda: send_tree(files.scan({TARGET: str(data)}, (), ()))(nodes[0], roots))
        eight = _to_all(nodes[1:], tree, roots)
        rsync_one = seconds(lambda: _rsync(data, addresses[0], key))
        rsync_again = seconds(lambda: _rsync(data, addresses[0], key))
        rsync_eight = _rsync_all(data, addresses[1:], key)
        for node in nodes:
            node.ssh.close()
    return {
        f"{name} to one, s": one,
        f"{name} to one by rsync, s": rsync_one,
        f"{name} to eight, s": eight,
        f"{name} to eight by rsync, s": rsync_eight,
        f"{name}, nothing changed, s": again,
        f"{name}, nothing changed, by rsync, s": rsync_again,
    }


def measure_slow_network(bench: Bench, data: Path) -> dict[str, float]:
    """To one node and to thirty, where each machine sends no more than so much a second."""
    what = f"{SLOW_BYTES // 10**6} MB at {SLOW_MEGABITS} Mbit/s"
    with hosts(bench, MANY + 1) as (addresses, key):
        nodes = [_node(address, key) for address in addresses]
        tree = files.scan({TARGET: str(data)}, (), ())
        roots = {files.key_of(TARGET): f"{nodes[0].home}/data"}
        bench.rig.limit(SLOW_MEGABITS)
        rows = {
            f"{what} to one, s": _to_all(nodes[:1], tree, roots),
            f"{what} to one by rsync, s": _rsync_all(data, addresses[:1], key),
            f"{what} to thirty, s": _to_all(nodes[1:], tree, roots),
            f"{what} to thirty by rsync, s": _rsync_all(data, addresses[1:], key),
        }
        bench.rig.limit(0)
        for node in nodes:
            node.ssh.close()
    return rows


def _node(address: str, key: Path) -> Node:
    keys = HostKeys(key.parent / f"known-{time.time_ns()}")
    ssh = wait_for(address, Login("ubuntu", key), address, keys, time.monotonic() + 30)
    node = open_node(ssh, "bench", lambda _line: None)
    credentials = key.parent / "credentials"
    if not credentials.exists():
        make_certificates(credentials, "bench")
    node.put({f"credentials/{p.name}": p.read_bytes() for p in credentials.iterdir()})
    node.put_scripts()
    return node


def _to_all(nodes: list[Node], tree: files.Tree, roots: dict[str, str]) -> float:
    """As a head does it, from the pack that it was sent."""
    with tempfile.TemporaryDirectory() as name, open(Path(name) / "pack", "w+b") as pack:
        for piece in files.pack(
            tree, files.lacking(tree, {"packs": [], "files": {}, "applied": []})
        ):
            pack.write(piece)
        pack.seek(0)
        store = Path(name) / "store"
        remote_files.take(str(store), pack)
        bring = send_packs(store, Swarm())
        with ThreadPoolExecutor(len(nodes)) as threads:
            return seconds(lambda: list(threads.map(lambda node: bring(node, roots), nodes)))


def _rsync_all(data: Path, addresses: list[str], key: Path) -> float:
    with ThreadPoolExecutor(len(addresses)) as threads:
        return seconds(lambda: list(threads.map(lambda a: _rsync(data, a, key), addresses)))


def _rsync(data: Path, address: str, key: Path) -> None:
    words = ["rsync", "-a", "-e", f"{_SSH} -i {key}", f"{data}/", f"ubuntu@{address}:rsync/"]
    subprocess.run(words, check=True)


def main(rounds: int) -> None:
    """Measure and print medians."""
    rig = Rig(Path(os.environ["EC2BOX_WHEELS"]))
    os.environ.update(rig.environment)
    found: dict[str, list[float]] = {}
    with tempfile.TemporaryDirectory() as name:
        data = write_data(Path(name) / "data")
        slow = Path(name) / "slow"
        slow.mkdir()
        (slow / "one").write_bytes(os.urandom(SLOW_BYTES))
        for number in range(rounds):
            folder = Path(name) / f"round-{number}"
            folder.mkdir()
            os.environ["JUPYTER_CLUSTER_HOME"] = str(folder / "registry")
            bench = Bench(rig, folder)
            rows = measure_up(bench)
            for kind, path in data.items():
                rows |= measure_files(bench, kind, path)
            if number == 0:  # it takes two minutes, and varies little: the network is what counts
                rows |= measure_slow_network(bench, slow)
            for what, took in rows.items():
                found.setdefault(what, []).append(took)
    rig.close()
    for what, all_ in found.items():
        low, high = min(all_), max(all_)
        print(f"{what:<50} {statistics.median(all_):7.2f}  ({low:.2f} to {high:.2f})")
    print(json.dumps({what: statistics.median(all_) for what, all_ in found.items()}))


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 3)
