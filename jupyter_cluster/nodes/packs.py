"""File mounts from the head to workers: the packs that the head was sent, in their order."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from jupyter_cluster.nodes.bring_up import Bring
from jupyter_cluster.nodes.node import Node
from jupyter_cluster.nodes.remote.files import read_index
from jupyter_cluster.nodes.session import CommandError
from jupyter_cluster.nodes.swarm import HEAD, Swarm

_PIECE = 2**18
# A smaller pack is there sooner than somebody is found who has it.
_SMALL_BYTES = 2_000_000


def send_packs(store: Path, swarm: Swarm) -> Bring:
    """Brings what a node lacks of the packs in a store, from wherever they can be had."""

    def bring(node: Node, roots: Mapping[str, str]) -> None:
        packs = read_index(str(store))["packs"]
        if not packs:
            return
        has = json.loads(node.script("files.py", "have", store.name))["packs"]
        lacking = [store / f"{name}.tar" for name in packs if name not in has]
        told = node.on_progress

        def on_progress() -> None:
            told()
            swarm.show_progress()

        with node.transfer():  # it may be a while until there is a place, and from another node
            watched = replace(node, on_progress=on_progress)
            sending = _Sending(watched, store.name, lacking, json.dumps(dict(roots)), node.go_on)
            if sum(pack.stat().st_size for pack in lacking) < _SMALL_BYTES:
                sending.take()
                sending.give_on(swarm)
            else:
                sending.bring_from(swarm)

    return bring


@dataclass(frozen=True)
class _Sending:
    """Packs of a store on their way to a node."""

    node: Node
    store: str
    packs: Sequence[Path]
    roots: str
    go_on: Callable[[], None]

    def bring_from(self, swarm: Swarm) -> None:
        while True:
            # The place is free again only when this node gives on what it got: those who wait for
            # a place come to it then, and not to the head once more.
            with swarm.source(self.go_on) as source:
                try:
                    if source == HEAD:
                        self.take()
                    else:
                        self._fetch(source)
                except CommandError:
                    if source == HEAD:
                        raise
                    swarm.leave(source)  # it has ended, or never had it: somebody else has
                else:
                    self.give_on(swarm)
                    return

    def take(self) -> None:
        for pack in self.packs:
            self.node.script("files.py", "take", self.store, self.roots, source=_pieces(pack))

    def _fetch(self, source: str) -> None:
        for pack in self.packs:
            words = (self.store, self.roots, "credentials", source, pack.stem)
            self.node.script("files.py", "fetch", *words)

    def give_on(self, swarm: Swarm) -> None:
        port = self.node.script("share.py", self.store, "credentials").strip()
        swarm.join(f"{self.node.ssh.address}:{port}")


def _pieces(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        while data := file.read(_PIECE):
            yield data
