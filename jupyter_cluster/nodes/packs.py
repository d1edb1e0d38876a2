"""File mounts from the head to workers: the packs that the head was sent, in their order."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path

from jupyter_cluster.nodes.bring_up import STORE, Bring
from jupyter_cluster.nodes.node import Node
from jupyter_cluster.nodes.remote.files import read_index
from jupyter_cluster.nodes.session import CommandError
from jupyter_cluster.nodes.swarm import HEAD, Swarm

_PIECE = 2**18
# A smaller pack is there sooner than somebody is found who has it.
_SMALL_BYTES = 2_000_000


def send_packs(store: Path, swarm: Swarm) -> Bring:
    """Brings what a node lacks of the packs in a store, from wherever they can be had."""

    def bring(node: Node, paths: Sequence[str]) -> None:
        packs = read_index(str(store))["packs"]
        if not packs:
            return
        has = json.loads(node.script("files.py", "have", STORE))["packs"]
        lacking = [store / f"{name}.tar" for name in packs if name not in has]
        roots = json.dumps(list(paths))
        if sum(pack.stat().st_size for pack in lacking) < _SMALL_BYTES:
            _take(node, lacking, roots)
            _give_on(node, swarm)
        else:
            _bring_from_swarm(node, lacking, roots, swarm)

    return bring


def _bring_from_swarm(node: Node, packs: list[Path], roots: str, swarm: Swarm) -> None:
    while True:
        # The place is free again only when this node gives on what it got: those who wait for a
        # place come to it then, and not to the head once more.
        with swarm.source() as source:
            try:
                if source == HEAD:
                    _take(node, packs, roots)
                else:
                    _fetch(node, packs, roots, source)
            except CommandError:
                if source == HEAD:
                    raise
                swarm.leave(source)  # it has ended, or never had it: somebody else has
            else:
                _give_on(node, swarm)
                return


def _take(node: Node, packs: list[Path], roots: str) -> None:
    for pack in packs:
        node.script("files.py", "take", STORE, roots, source=_pieces(pack))


def _fetch(node: Node, packs: list[Path], roots: str, source: str) -> None:
    for pack in packs:
        node.script("files.py", "fetch", STORE, roots, "credentials", source, pack.stem)


def _give_on(node: Node, swarm: Swarm) -> None:
    port = node.script("share.py", STORE, "credentials").strip()
    swarm.join(f"{node.ssh.address}:{port}")


def _pieces(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        while data := file.read(_PIECE):
            yield data
