"""The `ssh` provider: hosts that exist already, e.g. in a laboratory.

None is made or switched off. Which host is which node is written down in the cluster's folder on
the head, and what was started on a host is ended there before it counts as free again.
"""

from __future__ import annotations

import contextlib
import json
import os
import shlex
import signal
import threading
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

from jupyter_cluster.config import ClusterConfig
from jupyter_cluster.errors import CapacityError, ProviderError, SetupError
from jupyter_cluster.model import NodeState, NodeType
from jupyter_cluster.nodes.command import answering
from jupyter_cluster.nodes.container import container_of
from jupyter_cluster.nodes.node import open_node
from jupyter_cluster.nodes.session import Ssh
from jupyter_cluster.nodes.ssh import HostKeys, Login, connect
from jupyter_cluster.providers.base import HEAD_NODE, HostProvider, Instance
from jupyter_cluster.resources import CPU, GPU, MEMORY, Resources
from jupyter_cluster.trust import write_private

_FILE = "hosts.json"
_STOP_SECONDS = 60.0
_AT_ONCE = 16
# Cores, kilobytes of memory, GPUs: a line each.
_PROBE = (
    "nproc; sed -n 's/^MemTotal: *\\([0-9]*\\).*/\\1/p' /proc/meminfo;"
    " nvidia-smi -L 2>/dev/null | wc -l"
)


class SshProvider(HostProvider):
    """The hosts that a cluster file names.

    Parameters
    ----------
    folder
        Of the cluster: here for the head's host, on the head for the workers'.
    """

    def __init__(self, config: ClusterConfig, identity: Mapping[str, Any], folder: Path) -> None:
        self._config, self._identity, self._folder = config, identity, folder
        self._provider: Any = config.provider
        self._lock = threading.Lock()
        self._found: dict[str, Resources] = {}

    @classmethod
    def of(
        cls, config: ClusterConfig, identity: Mapping[str, Any], user_data: Mapping[str, str]
    ) -> SshProvider:
        """See `HostProvider.of`; user data is for machines that boot."""
        return cls(config, identity, Path(identity.get("folder", os.devnull)))

    # -- what there is ------------------------------------------------------------------------

    def _read(self) -> dict[str, str]:
        """Which host is which node."""
        try:
            return json.loads((self._folder / _FILE).read_text())  # type: ignore[no-any-return]
        except (OSError, ValueError):
            return {}

    def _keys(self) -> HostKeys:
        is_there = self._folder.is_dir()
        return HostKeys(self._folder / "known_hosts" if is_there else Path(os.devnull))

    def _write(self, hosts: Mapping[str, str]) -> None:
        write_private(self._folder / _FILE, json.dumps(hosts).encode())

    def instances(self) -> Sequence[Instance]:
        """See `Provider.instances`."""
        return [
            self._head() if node == HEAD_NODE else self._worker(node, host)
            for node, host in self._read().items()
        ]

    def _head(self) -> Instance:
        inside = self._provider.head_ip
        outside = self._provider.external_head_ip or inside
        return Instance(
            HEAD_NODE,
            self._config.head_node_type,
            NodeState.CONNECTING,
            inside,
            inside,
            outside,
            inside,
        )

    def _worker(self, node: str, host: str) -> Instance:
        kind = self._type_of(node)
        return Instance(node, kind, NodeState.CONNECTING, host, host, host, host)

    def _type_of(self, node: str) -> str:
        """The node type of a worker by its name; a worker's where the name tells none."""
        named, types = node.rpartition("-")[0], self._config.available_node_types
        if named in types:
            return named
        head = self._config.head_node_type
        return next((name for name in types if name != head), head)

    def node_types(self, known: Mapping[str, NodeType]) -> dict[str, NodeType]:
        """The types; where their resources are left out, those of the first host."""
        return {
            name: replace(one, resources=one.resources or self._resources(name), price=0.0)
            for name, one in known.items()
        }

    def home(self) -> dict[str, str]:
        """See `HostProvider.home`."""
        return {"provider.head_ip": self._provider.head_ip}

    def survey(self) -> tuple[dict[str, NodeType], list[str]]:
        """See `HostProvider.survey`."""
        most, there = self._config.max_workers, len(self._provider.worker_ips)
        notices = [f"max_workers is {most}, and there are {there} worker_ips"]
        return self.node_types(self._config.node_types()), notices if most > there else []

    def _resources(self, node_type: str) -> Resources:
        is_head = node_type == self._config.head_node_type or not self._provider.worker_ips
        host = self._provider.head_ip if is_head else self._provider.worker_ips[0]
        if host not in self._found:
            with self._reached(host) as ssh:
                cores, memory, gpus = ssh.ask(
                    answering(_PROBE), deadline=time.monotonic() + _STOP_SECONDS
                ).split()
            amounts = {CPU: int(cores), MEMORY: int(memory) * 1024, GPU: int(gpus)}
            self._found[host] = Resources.of({k: v for k, v in amounts.items() if v})
        return self._found[host]

    # -- taking and giving back ---------------------------------------------------------------

    def create(self, node_type: str, node_ids: Sequence[str]) -> None:
        """Take a free host for each."""
        with self._lock:
            hosts = self._read()
            free = [ip for ip in self._provider.worker_ips if ip not in hosts.values()]
            wanted = [node for node in node_ids if node not in hosts]
            hosts |= dict(zip(wanted, free, strict=False))
            self._write(hosts)
        if len(wanted) > len(free):
            raise CapacityError(
                f"all {len(self._provider.worker_ips)} hosts of provider.worker_ips are in use",
                node_type,
            )

    def terminate(self, node_ids: Collection[str]) -> None:
        """End what runs there; a host that does not answer stays taken until it does."""
        with ThreadPoolExecutor(_AT_ONCE) as threads:
            problems = [text for text in threads.map(self._end, node_ids) if text]
        if problems:
            raise ProviderError("; ".join(problems))

    def _end(self, node: str) -> str:
        """End a node; returns what prevents it."""
        host = self._read().get(node)
        if host is None:
            return ""
        try:
            with self._reached(host) as ssh:
                self._clean(ssh, self._type_of(node))
        except SetupError as error:
            return f"{node}: {error}"
        with self._lock:
            self._write({n: h for n, h in self._read().items() if n != node})
        return ""

    def _clean(self, ssh: Ssh, node_type: str) -> None:
        node = open_node(ssh, self._identity["id"], _quiet, time.monotonic() + _STOP_SECONDS)
        if node.read("remote/stop.py"):  # what runs in a container may belong to root
            words = f"python3 remote/stop.py . {int(signal.SIGTERM)} {_STOP_SECONDS / 2:.0f}"
            node.in_folder(f"{words} 2>/dev/null || sudo -n {words}")
        is_head = node_type == self._config.head_node_type
        container = container_of(self._config, node_type, is_head, 0, 0)
        if container is not None:
            there = f"command -v {container.engine} >/dev/null"
            node.host(f"! {there} || {{ {container.remove(self._identity['id'])}; }}", quiet=True)
        folder = shlex.quote(node.folder)
        node.ask(f"rm -rf {folder} 2>/dev/null || sudo -n rm -rf {folder}")

    @contextlib.contextmanager
    def _reached(self, host: str) -> Iterator[Ssh]:
        outside = self._provider.external_head_ip
        address = outside if outside and host == self._provider.head_ip else host
        with contextlib.closing(connect(address, self._login(), host, self._keys())) as ssh:
            yield ssh

    def _login(self) -> Login:
        auth, kept = self._config.auth, self._folder / "ssh.key"
        if kept.exists():  # on the head
            return Login(auth.ssh_user, kept, auth.ssh_port)
        return Login(
            auth.ssh_user, Path(auth.ssh_private_key or ""), auth.ssh_port, auth.ssh_proxy_command
        )

    # -- the head's host ----------------------------------------------------------------------

    def prepare(self, public_key: str, progress: Callable[[str], None]) -> None:
        """There is nothing to make; the key must be one that the hosts take."""
        if self._config.auth.ssh_private_key is None:
            raise ProviderError(
                "auth.ssh_private_key: name the SSH key that the hosts of provider ssh take; their"
                " head needs it to reach the workers"
            )

    def create_head(self, noted: float) -> None:
        """Take the head's host."""
        with self._lock:
            self._write({**self._read(), HEAD_NODE: self._provider.head_ip})

    def start_head(self) -> None:
        """It is not ours to switch on."""

    def stop_head(self) -> None:
        """It is not ours to switch off."""

    def open_ssh(self) -> Sequence[str]:
        """It is open, or not ours to open."""
        return ()

    def check_release(self) -> None:
        """See `HostProvider.check_release`; who may log in may end what runs."""

    def release(self, progress: Callable[[str], None]) -> None:
        """End what runs on the head, and then, through its host, what runs on workers.

        In this order: a head that still works may be setting a worker up.
        """
        progress("ending what runs on its hosts")
        if HEAD_NODE not in self._read():
            return
        try:
            with self._reached(self._provider.head_ip) as head:
                self._clean(head, self._config.head_node_type)
                with ThreadPoolExecutor(_AT_ONCE) as threads:
                    ends = threads.map(lambda ip: self._left(head, ip), self._provider.worker_ips)
                    left = [text for text in ends if text]
        except SetupError as error:
            raise ProviderError(str(error)) from error
        if left:
            raise ProviderError("; ".join(left))

    def _left(self, head: Ssh, host: str) -> str:
        """End what runs on a worker, reached through the head; returns what prevents it."""
        login = replace(self._login(), proxy_command=None)
        try:
            channel = head.channel(host, login.port)
            keys = self._keys()
            with contextlib.closing(connect(host, login, host, keys, channel)) as ssh:
                self._clean(ssh, self._type_of(""))
        except (SetupError, OSError) as error:
            minutes = self._config.worker_grace_minutes
            return f"{host}: {error}; what runs there ends by itself after {minutes:g} minutes"
        return ""


def _quiet(_line: str) -> None:
    """Nobody reads what it takes to end a node."""
