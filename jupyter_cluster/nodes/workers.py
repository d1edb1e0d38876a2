"""Worker nodes of a cluster with hosts: a provider's machines, set up as they come.

To the head's scaling loop this is a provider like any other; it runs in a process of its own (see
`jupyter_cluster.nodes.provisioning`), so that SSH and transfers never share an interpreter lock
with the dispatcher.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

from jupyter_cluster.background import Guard, describe, start_thread
from jupyter_cluster.config import ClusterConfig
from jupyter_cluster.errors import ProviderError, SetupError
from jupyter_cluster.model import NodeState, NodeType
from jupyter_cluster.nodes import files
from jupyter_cluster.nodes.bring_up import Bring, Recipe, bring_up, outside
from jupyter_cluster.nodes.command import OnLine
from jupyter_cluster.nodes.container import container_of
from jupyter_cluster.nodes.guard import ALIVE
from jupyter_cluster.nodes.mirror import Mirror, synced_targets
from jupyter_cluster.nodes.node import Node, open_node
from jupyter_cluster.nodes.packs import send_packs
from jupyter_cluster.nodes.places import Places
from jupyter_cluster.nodes.python import PythonEnvironment
from jupyter_cluster.nodes.remote.files import MOUNTS, SYNCED
from jupyter_cluster.nodes.session import Ssh
from jupyter_cluster.nodes.ssh import HostKeys, Login, wait_for
from jupyter_cluster.nodes.swarm import Swarm
from jupyter_cluster.providers.base import HEAD_NODE, HostProvider, Instance, Provider
from jupyter_cluster.resources import GPU, MEMORY
from jupyter_cluster.trust import Role

# How often the provider is asked while nodes are on their way, and otherwise.
_EAGER_SECONDS, _CALM_SECONDS = 1.0, 5.0
_RENEW_SECONDS = 1800.0
# So many nodes that answer are set up at the same time.
AT_ONCE = 32
# How often the head's files are looked at, and when a copy that has failed is tried again.
_WATCH_SECONDS, _RETRY_SECONDS = 2.0, 30.0
# Of the file, by the stages that are made from it.
_WORDS = {
    "initialization": "initialization_commands",
    "container": "docker options and mounts",
    "environment": "Python packages",
    "setup": "set-up commands",
}
_CREDENTIALS = ("ca.pem", f"{Role.AGENT}.pem", f"{Role.AGENT}.key")


@dataclass
class SettingUp:
    """A node on its way from a booted host to a running agent."""

    state: NodeState
    detail: str
    is_done: bool = False
    progressed: float = 0.0


@dataclass
class Copies:
    """What a node has of the packs on the head."""

    has: dict[str, int] = field(default_factory=dict)
    is_busy: bool = False
    retry: float = 0.0


class Workers(Provider):
    """Sets up what a host provider launches.

    Parameters
    ----------
    folder
        Of the cluster, on the head.
    head
        Where agents find the head, ``tls://address:port``.
    """

    def __init__(self, hosts: HostProvider, config: ClusterConfig, folder: Path, head: str) -> None:
        self._hosts, self._config, self._folder, self._head = hosts, config, folder, head
        hosts.on_notice = lambda text: self.on_notice(text)
        self._types: dict[str, NodeType] = {}
        self._host_keys = HostKeys(folder / "known_hosts")
        self._progress: dict[str, SettingUp] = {}
        self._connections: dict[str, Ssh] = {}
        self._listed: list[Instance] = []
        self._listed_at = 0.0
        self._changes = 0  # whether there was one while the provider was asked
        self._renewed = time.monotonic()
        self._swarms: dict[tuple[str, int], Swarm] = {}
        self._copies: dict[str, Copies] = {}
        self._mirror = Mirror(config, folder, lambda text: self.on_notice(text))
        self._closed = threading.Event()
        self._lock, self._lock_swarms = threading.Lock(), threading.Lock()
        self._places = Places(AT_ONCE)
        if config.file_mounts_sync_continuously:
            start_thread("looking for files that have changed", self._watch_files)

    # -- the contract -------------------------------------------------------------------------

    def node_types(self, known: Mapping[str, NodeType]) -> dict[str, NodeType]:
        """See `Provider.node_types`."""
        self._types = self._hosts.node_types(known)
        return self._types

    def create(self, node_type: str, node_ids: Sequence[str]) -> None:
        """See `Provider.create`."""
        try:
            self._hosts.create(node_type, node_ids)
        finally:
            self._note_change()

    def terminate(self, node_ids: Collection[str]) -> None:
        """See `Provider.terminate`."""
        for node in node_ids:
            if ssh := self._connections.pop(node, None):
                ssh.close()
        self._hosts.terminate(node_ids)
        for node in node_ids:
            self._progress.pop(node, None)
            self._copies.pop(node, None)
        self._note_change()

    def _note_change(self) -> None:
        self._changes += 1
        self._listed_at = 0.0

    def instances(self) -> Sequence[Instance]:
        """The workers, each as far as it is; what has booted is set up from now on."""
        with self._lock:
            self._look()
            return [self._as_it_is(instance) for instance in self._listed]

    def why_gone(self, node_ids: Collection[str]) -> dict[str, str]:
        """See `Provider.why_gone`."""
        return self._hosts.why_gone(node_ids)

    def renew(self) -> None:
        """See `Provider.renew`."""
        self._hosts.renew()

    def end_head(self, keep_disk: bool) -> None:
        """See `Provider.end_head`."""
        if keep_disk:
            self._hosts.stop_head()
        else:
            self._hosts.terminate([HEAD_NODE])

    def close(self) -> None:
        """Let go of all connections."""
        self._closed.set()
        for ssh in list(self._connections.values()):
            ssh.close()
        self._hosts.close()

    # -- looking ------------------------------------------------------------------------------

    def _look(self) -> None:
        pause = _EAGER_SECONDS if self._has_pending() else _CALM_SECONDS
        now = time.monotonic()
        if now - self._listed_at < pause - 0.1:
            return
        changes = self._changes
        self._listed = [i for i in self._hosts.instances() if i.node_id != HEAD_NODE]
        self._listed_at = now if changes == self._changes else 0.0
        for instance in self._listed:
            if instance.state is NodeState.CONNECTING and instance.node_id not in self._progress:
                self._begin(instance)
        for instance in self._listed:
            if self._is_up(instance) and self._is_behind(instance.node_id, now):
                start_thread(f"syncing files to {instance.node_id}", partial(self._sync, instance))
        if now - self._renewed > _RENEW_SECONDS:
            self._renewed = now
            start_thread("renewing what the provider gives for a while", self._hosts.renew)

    def _is_up(self, instance: Instance) -> bool:
        progress = self._progress.get(instance.node_id, _UNKNOWN)
        return progress.is_done and progress.state is not NodeState.FAILED

    # -- files --------------------------------------------------------------------------------

    def _watch_files(self) -> None:
        guard = Guard("looking for files that have changed", lambda e: self.on_notice(str(e)))
        while not self._closed.wait(_WATCH_SECONDS):
            with guard:
                self._mirror.look()

    def _stores(self) -> dict[str, int]:
        """The stores of packs on the head; each number changes with what is in it."""
        found = {}
        for name in (MOUNTS, SYNCED):
            try:
                found[name] = (self._folder / name / "index.json").stat().st_mtime_ns
            except OSError:
                found[name] = 0
        return found

    def _is_behind(self, node: str, now: float) -> bool:
        """Whether a node that is up lacks what the head has got since, and nobody brings it."""
        copies = self._copies.get(node)
        if copies is None or copies.is_busy or now < copies.retry or copies.has == self._stores():
            return False
        copies.is_busy = True
        return True

    def _sync(self, instance: Instance) -> None:
        copies = self._copies[instance.node_id]
        try:
            deadline = time.monotonic() + self._config.setup_timeout_minutes * 60
            with self._node_of(instance, deadline, lambda _line: None) as node:
                recipe = self._recipe(instance, node)
                recipe.bring_files(node, outside(node, recipe))
        except Exception as error:
            copies.retry = time.monotonic() + _RETRY_SECONDS
            self.on_notice(f"files that have changed did not reach {instance.node_id}: {error}")
        finally:
            copies.is_busy = False

    def _bring_files(self, node_id: str) -> Bring:
        """File mounts as the head was sent them, and then what is otherwise on the head by now."""

        def bring(node: Node, roots: Mapping[str, str]) -> None:
            synced = {files.key_of(one) for one in synced_targets(self._config)}
            if synced:
                self._mirror.look()
            stores = self._stores()
            mounts = {files.key_of(one) for one in self._config.file_mounts}
            for name, keys in ((MOUNTS, mounts), (SYNCED, synced)):
                if keys:
                    send = send_packs(self._folder / name, self._swarm(name, stores[name]))
                    send(node, {key: root for key, root in roots.items() if key in keys})
            self._copies.setdefault(node_id, Copies()).has = stores

        return bring

    def _swarm(self, name: str, state: int) -> Swarm:
        """Those who give on what a store has in this state."""
        with self._lock_swarms:
            for other in [key for key in self._swarms if key[0] == name and key[1] != state]:
                del self._swarms[other]
            return self._swarms.setdefault((name, state), Swarm())

    def _has_pending(self) -> bool:
        if not self._listed:
            return not self._listed_at
        return any(
            instance.state is not NodeState.CONNECTING
            or not self._progress.get(instance.node_id, _UNKNOWN).is_done
            for instance in self._listed
        )

    def _as_it_is(self, instance: Instance) -> Instance:
        progress = self._progress.get(instance.node_id)
        if progress is None or instance.state is not NodeState.CONNECTING:
            return instance
        detail = f"{progress.detail} ({instance.detail})" if progress.detail else instance.detail
        return replace(
            instance, state=progress.state, detail=detail, progressed=progress.progressed
        )

    # -- setting up ---------------------------------------------------------------------------

    def _begin(self, instance: Instance) -> None:
        """Set a host up on a thread of its own: others do not wait until it answers."""
        progress = self._progress[instance.node_id] = SettingUp(NodeState.CONNECTING, "")

        def tell(error: BaseException) -> None:
            progress.state, progress.detail = NodeState.FAILED, describe(error)
            progress.is_done = True

        start_thread(f"setting up {instance.node_id}", partial(self._set_up, instance), tell)

    def _set_up(self, instance: Instance) -> None:
        progress = self._progress[instance.node_id]
        log_path = self._folder / "logs" / f"{instance.node_id}.log"
        with log_path.open("a", buffering=1) as log:

            def report(state: NodeState, text: str) -> None:
                log.write(f"== {time.strftime('%H:%M:%S')} {state.value}: {text}\n")
                if state is not progress.state:
                    self._note(state, instance.node_id)
                progress.state, progress.detail = state, text

            try:
                self._bring_up(instance, report, lambda line: print(line, file=log))
                progress.state, progress.detail = NodeState.SETTING_UP, "its agent is starting"
                self._note(NodeState.READY, instance.node_id)
            except Exception as error:
                stage = getattr(error, "stage", "") or progress.state.value
                log.write(f"== failed in {stage}: {error}\n")
                progress.state = NodeState.FAILED
                progress.detail = f"{stage}: {error}"
            finally:
                progress.is_done = True

    def _note(self, state: NodeState, node: str) -> None:
        try:
            self._hosts.note(state.value, [node])
        except ProviderError as error:
            self.on_notice(f"{node}: its status could not be noted: {error}")

    def _bring_up(self, instance: Instance, report: Any, on_line: Any) -> None:
        # How long a node may take is the head's to say: it ends those that take too long.
        deadline = time.monotonic() + self._config.setup_timeout_minutes * 60
        with self._node_of(instance, deadline, on_line) as node:
            older = bring_up(node, self._recipe(instance, node), report)
        if older:
            what = ", ".join(_WORDS[stage] for stage in older)
            self.on_notice(
                f"{instance.node_id} runs on as it was set up: the {what} of the file hold for"
                " nodes that come later"
            )

    @contextmanager
    def _node_of(self, instance: Instance, deadline: float, on_line: OnLine) -> Iterator[Node]:
        ssh = wait_for(instance.address, self._login(), instance.machine, self._host_keys, deadline)
        self._connections[instance.node_id] = ssh
        try:
            identity = json.loads((self._folder / "cluster.json").read_text())
            node = open_node(ssh, identity["id"], on_line, deadline)
            node.on_progress = partial(self._note_progress, self._progress[instance.node_id])
            with ExitStack() as place:
                with node.transfer():  # the deadline waits with it
                    place.enter_context(self._places.one(node.go_on))  # who answers
                yield node
        finally:
            self._connections.pop(instance.node_id, None)
            ssh.close()

    def _note_progress(self, progress: SettingUp) -> None:
        progress.progressed = time.time()
        self._places.show_progress()

    def _login(self) -> Login:
        auth = self._config.auth
        return Login(auth.ssh_user, self._folder / "ssh.key", auth.ssh_port)

    def _recipe(self, instance: Instance, node: Node) -> Recipe:
        types = self._types or self.node_types(self._config.node_types())
        facts = types[instance.node_type]
        amounts = facts.resources
        options = {
            "node": instance.node_id,
            "node_type": instance.node_type,
            "resources": amounts.as_dict(),
            "head": self._head,
            "folder": f"{node.folder}/agent",
            "credentials": f"{node.folder}/credentials",
            "grace": self._config.worker_grace_minutes * 60,
            "alive": ALIVE,
            "spot": facts.spot,
        }
        credentials = self._folder / "credentials"
        kit = {f"credentials/{name}": (credentials / name).read_bytes() for name in _CREDENTIALS}
        kit["agent.json"] = json.dumps(options).encode()
        return Recipe(
            kit=kit,
            targets=tuple(sorted({*self._config.file_mounts, *synced_targets(self._config)})),
            bring_files=self._bring_files(instance.node_id),
            initialization=self._config.initialization(instance.node_type),
            container=container_of(
                self._config, instance.node_type, False, amounts.get(GPU), amounts.get(MEMORY)
            ),
            environment=read_environment(self._folder),
            setup=self._config.worker_setup(instance.node_type),
            module="jupyter_cluster.agent",
            arguments=lambda folder: [f"{folder}/agent.json"],
            mirror=self._config.python.mirror or "",
            adopts=True,
        )


_UNKNOWN = SettingUp(NodeState.CONNECTING, "")


def read_environment(folder: Path) -> PythonEnvironment:
    """The Python environment as the head keeps it for its workers."""
    place = folder / "environment"
    try:
        wheel = next(place.glob("*.whl"))
        requirements = (place / "requirements.txt").read_text().split()
        version = (place / "version").read_text()
    except (StopIteration, OSError) as error:
        raise SetupError(f"the head lacks the environment for its workers in {place}") from error
    return PythonEnvironment(
        version=version,
        requirements=tuple(requirements),
        wheel_name=wheel.name,
        wheel=wheel.read_bytes(),
    )
