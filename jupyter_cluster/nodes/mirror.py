"""On the head: what changes there under certain paths, as packs for the workers.

With `file_mounts_sync_continuously` these are the file mounts, which begin as the packs that the
head was sent; and the paths of `cluster_synced_files`, in any case. The packs have a store of their
own: what is only here must not count as sent from where the file mounts come from.
"""

from __future__ import annotations

import hashlib
import os
import threading
from collections.abc import Callable, Sequence
from pathlib import Path

from jupyter_cluster.config import ClusterConfig
from jupyter_cluster.errors import SetupError
from jupyter_cluster.nodes import files
from jupyter_cluster.nodes.remote.files import SYNCED, read_index, write_index

# After so many packs, or bytes beyond twice the files, one is made that has all: nodes that come
# later need only that.
_MOST_PACKS, _MOST_BYTES = 50, 100_000_000


def synced_targets(config: ClusterConfig) -> list[str]:
    """Paths on the head that are copied to workers from there."""
    mounts = config.file_mounts if config.file_mounts_sync_continuously else ()
    return sorted({*mounts, *config.cluster_synced_files})


class Mirror:
    """Looks at these paths, and makes a pack of what has changed.

    Parameters
    ----------
    folder
        Of the cluster, on the head.
    notice
        Told of what cannot be copied, once.
    """

    def __init__(self, config: ClusterConfig, folder: Path, notice: Callable[[str], None]) -> None:
        self._config, self._notice = config, notice
        self.store = folder / SYNCED
        self._known: files.Known = {}
        self._said: set[str] = set()
        self._lock = threading.Lock()

    def look(self) -> None:
        """Make a pack where something is otherwise than before."""
        with self._lock:
            try:
                tree = self._scan()
                index = read_index(str(self.store))
                if not files.is_current(tree, index):
                    self._pack(tree, index["packs"], files.lacking(tree, index))
            except SetupError as error:
                self._say(str(error))

    def _scan(self) -> files.Tree:
        there = {}
        for target in synced_targets(self._config):
            path = Path.home() / Path(target).expanduser()
            if path.exists():
                there[target] = str(path)
            elif target in self._config.cluster_synced_files:
                self._say(f"cluster_synced_files: there is no {path} on the head")
        exclude, filters = self._config.rsync_exclude, self._config.rsync_filter
        return files.scan(there, exclude, filters, self._known)

    def _pack(self, tree: files.Tree, packs: Sequence[str], names: Sequence[str]) -> None:
        size = sum((self.store / f"{one}.tar").stat().st_size for one in packs)
        whole = len(packs) >= _MOST_PACKS or size > 2 * tree.size + _MOST_BYTES
        self.store.mkdir(mode=0o700, exist_ok=True)
        partial, digest = self.store / "leaving.part", hashlib.sha256()
        sent = files.Tree(dict(tree.files), dict(tree.paths), dict(tree.folders))
        with partial.open("wb") as file:
            for piece in files.pack(sent, tree.files if whole else names, self._say, whole):
                file.write(piece)
                digest.update(piece)
        name = digest.hexdigest()
        os.replace(partial, self.store / f"{name}.tar")
        kept = [name] if whole else [*(one for one in packs if one != name), name]
        index = {"packs": kept, "applied": [], "files": sent.files, "folders": sent.folders}
        write_index(str(self.store), index)
        for gone in set(packs) - set(kept):
            (self.store / f"{gone}.tar").unlink(missing_ok=True)

    def _say(self, text: str) -> None:
        if text not in self._said:
            self._said.add(text)
            self._notice(text)
