"""Clusters whose head is on a host of its own: made, set up, found again and ended from here.

Every step is noted in the registry before it is taken, so that an `up` that was interrupted goes on
where it was, and a `down` finds all that there is.
"""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from jupyter_cluster.client.endpoint import Endpoint
from jupyter_cluster.client.registry import HOST_FILE, Entry
from jupyter_cluster.client.tunnel import close_tunnel, login_of
from jupyter_cluster.client.whereabouts import (
    check_only_one,
    config_of,
    hosts_of,
    open_place,
    write_config,
)
from jupyter_cluster.config import ClusterConfig
from jupyter_cluster.errors import ClusterError, ConnectionLostError, NoClusterError, ProviderError
from jupyter_cluster.model import NodeState, NodeType
from jupyter_cluster.nodes import files
from jupyter_cluster.nodes.bring_up import Recipe, bring_up, send_tree
from jupyter_cluster.nodes.container import container_of
from jupyter_cluster.nodes.guard import ALIVE
from jupyter_cluster.nodes.node import Node, open_node
from jupyter_cluster.nodes.provisioning import host_provider
from jupyter_cluster.nodes.python import differences, environment_here
from jupyter_cluster.nodes.ssh import HostKeys, wait_for
from jupyter_cluster.providers.base import HEAD_NODE, HostProvider, Instance
from jupyter_cluster.resources import GPU, MEMORY
from jupyter_cluster.trust import Role, write_private

Progress = Callable[[str], None]

_POLL_SECONDS = 0.5
# After so long every instance is in every answer of EC2.
_SHOWN_SECONDS = 30.0
# A head that has started answers within so long.
_ANSWER_SECONDS = 60.0
# What the head needs of the certificates: its own, the agents', which it gives to workers, and a
# client's, for scripts that run on it.
_CREDENTIALS = ("ca.pem", *(f"{r}.{kind}" for r in Role for kind in ("pem", "key")))


def start(
    place: Entry,
    config: ClusterConfig,
    progress: Progress,
    on_line: Progress,
    restart: bool | None,
    setup: bool,
    may_launch: bool,
) -> None:
    """Make the head's host where there is none, and bring it to what the configuration says."""
    deadline = time.monotonic() + config.setup_timeout_minutes * 60
    hosts = open_place(place, config)
    hosts.on_notice = progress
    found = find_head(hosts)
    if not may_launch and (found is None or found.state is NodeState.STOPPED):
        raise NoClusterError(f"cluster {place.name!r} does not run any more")
    is_known = found is not None and place.is_alive
    if not is_known:
        check_only_one(place, hosts, progress)
    hosts.prepare(_public_key(place, config), progress)
    head = _head(place, hosts, progress, deadline)
    if not is_known:
        check_only_one(place, hosts, progress)
    _bring_up_head(place, config, hosts, head, progress, on_line, deadline, restart, setup)
    write_config(place, config)
    _await_answer(place)


def survey(config: ClusterConfig) -> tuple[dict[str, NodeType], list[str]]:
    """What the provider says about a cluster that is not there yet."""
    return host_provider(config, {"name": config.cluster_name, "id": ""}).survey()


def head_state(place: Entry) -> NodeState | None:
    """What the provider says of the head's machine; None where there is none.

    Raises
    ------
    ProviderError
        It cannot be asked.
    """
    found = find_head(hosts_of(place))
    return None if found is None else found.state


def reach(place: Entry, progress: Progress) -> None:
    """Find the way to a head again: from another network, or where its machine was stopped.

    Raises
    ------
    ClusterError
        Its machine is gone.
    """
    try:
        Endpoint(place).get("status")
        return
    except ConnectionLostError:
        progress("its head does not answer: looking for its machine")
    config = config_of(place)
    deadline = time.monotonic() + config.setup_timeout_minutes * 60
    hosts = open_place(place, config)
    hosts.on_notice = progress
    if find_head(hosts) is None:
        raise ClusterError(
            f"the head of cluster {place.name!r} is gone, with what it has kept; `down` removes"
            " what is left of the cluster, `up` starts it anew"
        )
    progress("opening SSH for this address")
    hosts.open_ssh()
    head = _head(place, hosts, progress, deadline)
    _bring_up_head(
        place, config, hosts, head, progress, lambda _line: None, deadline, None, setup=False
    )
    _await_answer(place)


def _await_answer(place: Entry) -> None:
    """A head that is started again has its address from before, and listens a moment later."""
    deadline = time.monotonic() + _ANSWER_SECONDS
    while True:
        try:
            Endpoint(place).get("status")
            return
        except ConnectionLostError:
            if time.monotonic() > deadline:
                raise
            time.sleep(_POLL_SECONDS)


def _bring_up_head(
    place: Entry,
    config: ClusterConfig,
    hosts: HostProvider,
    head: Instance,
    progress: Progress,
    on_line: Progress,
    deadline: float,
    restart: bool | None,
    setup: bool,
) -> None:
    host = _note_host(place, config, head)
    progress("waiting for SSH on its head")
    keys = HostKeys(place.folder / "known_hosts")
    ssh = wait_for(host["address"], login_of(host), host["machine"], keys, deadline)
    try:
        node = open_node(ssh, place.identity()["id"], on_line, deadline)
        recipe = _recipe(place, config, hosts, head, progress)
        recipe.restart = _is_changed(place, config) if restart is None else restart
        recipe.skip_start = restart is False
        recipe.skip_setup = not setup
        for text in differences(recipe.environment) if setup and config.python.sync else ():
            progress(text)

        def report(state: NodeState, text: str) -> None:
            progress(text)
            on_line(f"== {state.value}: {text}")

        bring_up(node, recipe, report)
        node.in_folder(_own_registry(place))
        hosts.note("up-to-date", [HEAD_NODE])
        place.write("head.json", node.read_json("head.json"))
    finally:
        ssh.close()
    close_tunnel(place)  # it may lead to where the head was before


def _public_key(place: Entry, config: ClusterConfig) -> str:
    """The public half of the cluster's SSH key, which is made where the user has given none.

    Empty where the user has given the private half alone: EC2 has the other by a name.
    """
    if config.auth.ssh_public_key is not None:
        return Path(config.auth.ssh_public_key).read_text().strip()
    if config.auth.ssh_private_key is not None:
        return ""
    path = place.credentials / "ssh.key"
    if not path.exists():
        private = Ed25519PrivateKey.generate().private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.OpenSSH,
            serialization.NoEncryption(),
        )
        write_private(path, private)
    key = serialization.load_ssh_private_key(path.read_bytes(), None)
    line = key.public_key().public_bytes(
        serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH
    )
    return f"{line.decode()} jupyter_cluster {place.name}"


def key_path(place: Entry, config: ClusterConfig) -> Path:
    """The private key with which hosts are reached."""
    own = config.auth.ssh_private_key
    return Path(own) if own else place.credentials / "ssh.key"


# -- the head's machine ---------------------------------------------------------------------------


def _head(place: Entry, hosts: HostProvider, progress: Progress, deadline: float) -> Instance:
    """The head's machine, running."""
    found = find_head(hosts)
    if found is None:
        progress("launching its head")
        hosts.create_head(_noted(place))
        progress("its head is booting")
    elif found.state is NodeState.STOPPED:
        progress("starting its head, which had stopped")
        hosts.start_head()
        progress("its head is booting")
    while True:
        found = find_head(hosts)
        if found is not None and found.state is NodeState.CONNECTING and found.external_address:
            return found
        why = hosts.why_gone([HEAD_NODE]).get(HEAD_NODE, "") if found is None else ""
        if why or (found is None and _is_lost(place)):
            because = f": {why}" if why else ""
            raise ProviderError(f"the head's machine has ended while it was booting{because}")
        if found is not None:
            place.write(HOST_FILE, {**place.read(HOST_FILE), "machine": found.machine})
        if time.monotonic() > deadline:
            raise ProviderError("the head's machine does not boot: it is still pending")
        progress("its head is booting")
        time.sleep(_POLL_SECONDS)


def find_head(hosts: HostProvider) -> Instance | None:
    """The head among the hosts of a cluster."""
    return next((i for i in hosts.instances() if i.node_id == HEAD_NODE), None)


def _noted(place: Entry) -> float:
    """The moment of a launch, noted before it: repeated, it makes no second head.

    A machine that was seen and is no more was ended; its successor has a moment of its own.
    """
    host = place.read(HOST_FILE)
    if "noted" not in host or host.get("machine"):
        host = {"noted": time.time()}
        place.write(HOST_FILE, host)
    return float(host["noted"])


def _is_lost(place: Entry) -> bool:
    return bool(place.read(HOST_FILE).get("machine"))


def _note_host(place: Entry, config: ClusterConfig, head: Instance) -> dict[str, Any]:
    host = {
        **place.read(HOST_FILE),
        "machine": head.machine,
        "address": head.external_address,
        "private_address": head.address,
        "user": config.auth.ssh_user,
        "port": config.auth.ssh_port,
        "key": str(key_path(place, config)),
        "proxy_command": config.auth.ssh_proxy_command,
    }
    place.write(HOST_FILE, host)
    return host


def _own_registry(place: Entry) -> str:
    """The head's folder is a registry's entry too: scripts on the head find their cluster in it."""
    clusters = "registry/clusters"
    return (
        f"mkdir -p {clusters} && ln -sfn ../.. {clusters}/{place.name} && ln -sfn keeper.lock lock"
    )


# -- what it is to become -------------------------------------------------------------------------


def _is_changed(place: Entry, config: ClusterConfig) -> bool:
    """Whether a head that runs was started with another configuration."""
    before = (place.folder / "config.json").read_text(errors="replace")
    return place.is_alive and before != config.as_json(with_secrets=True)


def _recipe(
    place: Entry,
    config: ClusterConfig,
    hosts: HostProvider,
    head: Instance,
    progress: Progress,
) -> Recipe:
    def bring_files(node: Node, roots: Mapping[str, str]) -> None:
        # Looked at only now: who only connects has maybe no such files any more.
        tree = files.scan(config.file_mounts, config.rsync_exclude, config.rsync_filter)
        send_tree(tree, progress)(node, roots)

    environment = environment_here(config.python.sync)
    amounts = hosts.node_types(config.node_types())[config.head_node_type].resources
    container = container_of(
        config, config.head_node_type, True, amounts.get(GPU), amounts.get(MEMORY)
    )
    return Recipe(
        kit=_kit(place, config),
        targets=tuple(sorted(config.file_mounts)),
        bring_files=bring_files,
        initialization=config.initialization(config.head_node_type),
        container=container,
        environment=environment,
        setup=config.head_setup(),
        module="jupyter_cluster.head",
        arguments=lambda folder: [folder, "--address", head.address, "--alive", ALIVE],
        started="head.json",
        mirror=config.python.mirror or "",
    )


def _kit(place: Entry, config: ClusterConfig) -> dict[str, bytes]:
    """The files of the cluster's folder on the head's host."""
    kit = {f"credentials/{name}": (place.credentials / name).read_bytes() for name in _CREDENTIALS}
    return {
        **kit,
        "ssh.key": key_path(place, config).read_bytes(),
        "cluster.json": json.dumps(place.identity()).encode(),
        "config.json": config.as_json(with_secrets=False).encode(),
    }


# -- the end --------------------------------------------------------------------------------------


def end(place: Entry, progress: Progress) -> None:
    """End all hosts and delete what was made for the cluster; verified.

    A cluster that cannot be ended from here is left at its work, with all by which it ends itself.
    """
    hosts = hosts_of(place)
    hosts.on_notice = progress
    hosts.check_release()
    if place.is_alive:
        progress("telling its head")
        # So that it launches nothing more. It ends its workers and then its own machine, whatever
        # becomes of us; where it does not answer, its machine is ended from here anyway.
        with contextlib.suppress(ClusterError):
            Endpoint(place, timeout=10).post("down")
    close_tunnel(place)
    _await_launched(place, hosts, progress)
    hosts.release(progress)


def _await_launched(place: Entry, hosts: HostProvider, progress: Progress) -> None:
    """A head that was asked for a moment ago may not be shown yet; it must not be overlooked."""
    host = place.read(HOST_FILE)
    while time.time() - host.get("noted", 0.0) < _SHOWN_SECONDS:
        if find_head(hosts) is not None:
            return
        progress("its head was asked for a moment ago: waiting until it is shown")
        time.sleep(_POLL_SECONDS)
