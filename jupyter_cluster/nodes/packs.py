"""File mounts from the head to workers: the packs that the head was sent, in their order."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path

from jupyter_cluster.nodes.bring_up import Bring
from jupyter_cluster.nodes.node import Node
from jupyter_cluster.nodes.remote.files import read_index

_PIECE = 2**18


def send_packs(store: Path) -> Bring:
    """Brings what a node lacks of the packs in a store."""

    def bring(node: Node, paths: Sequence[str]) -> None:
        packs = read_index(str(store))["packs"]
        there = f"{node.folder}/mounts"
        has = json.loads(node.script("files.py", "have", there))["packs"] if packs else []
        for name in packs:
            if name not in has:
                source = _pieces(store / f"{name}.tar")
                node.script("files.py", "take", there, json.dumps(list(paths)), source=source)

    return bring


def _pieces(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        while data := file.read(_PIECE):
            yield data
