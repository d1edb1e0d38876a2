"""File mounts from the head to workers: the packs that the head was sent, in their order."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path

from jupyter_cluster.nodes.bring_up import Bring
from jupyter_cluster.nodes.node import Node
from jupyter_cluster.nodes.remote.files import read_index
from jupyter_cluster.nodes.ssh import CommandError
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
        there = f"{node.folder}/mounts"
        has = json.loads(node.script("files.py", "have", there))["packs"]
        roots = json.dumps(list(paths))
        for name in packs:
            if name not in has:
                _bring_pack(node, store / f"{name}.tar", there, roots, swarm)
        port = node.script("share.py", there, f"{node.folder}/credentials").strip()
        swarm.join(f"{node.ssh.address}:{port}")

    return bring


def _bring_pack(node: Node, pack: Path, there: str, roots: str, swarm: Swarm) -> None:
    if pack.stat().st_size < _SMALL_BYTES:
        node.script("files.py", "take", there, roots, source=_pieces(pack))
        return
    while True:
        with swarm.source() as source:
            if source == HEAD:
                node.script("files.py", "take", there, roots, source=_pieces(pack))
                return
            words = (f"{node.folder}/credentials", source, pack.stem)
            try:
                node.script("files.py", "fetch", there, roots, *words)
                return
            except CommandError:
                swarm.leave(source)  # it has ended, or never had it: somebody else has


def _pieces(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        while data := file.read(_PIECE):
            yield data
