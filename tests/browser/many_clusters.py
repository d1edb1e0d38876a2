"""``python tests/browser/many_clusters.py COUNT NODES``: many clusters in the registry, one large.

Their heads are real and share this process; their machines are in memory, and of agents there is
only the hello. The first cluster has the nodes. Says ``ready`` when all answer, and ends at a line.
"""

from __future__ import annotations

import asyncio
import fcntl
import sys
import time
from pathlib import Path
from typing import Any, TextIO

from benchmarks.thousand import meet_all
from jupyter_cluster.background import start_task
from jupyter_cluster.client.registry import Entry, entry
from jupyter_cluster.config import ClusterConfig, local_config
from jupyter_cluster.dask_settings import configure_dask
from jupyter_cluster.head.asked import Scale
from jupyter_cluster.head.job import JobSpec
from jupyter_cluster.head.service import Head
from jupyter_cluster.model import NodeType
from jupyter_cluster.providers.base import Provider
from jupyter_cluster.providers.memory import MemoryProvider
from jupyter_cluster.wire import Block

JOBS = 60


def place_of(number: int, nodes: int) -> tuple[Entry, ClusterConfig, TextIO]:
    """The folder of a cluster, as `up` makes it, and the lock that says that it lives."""
    place = entry(f"cluster-{number:02d}")
    config = local_config(place.name, cpus=nodes, cpus_per_node=1, max_workers=nodes)
    for folder in (place.folder, place.folder / "logs"):
        folder.mkdir(mode=0o700, parents=True)
    (place.folder / "config.json").write_text(config.model_dump_json())
    place.identity()
    lock = (place.folder / "lock").open("w")
    fcntl.flock(lock, fcntl.LOCK_EX)
    return place, config, lock


async def run_head(place: Entry, config: ClusterConfig, nodes: int) -> Any:
    """A head that answers, with its nodes."""
    types = {n: NodeType(n, t.resources, boot_seconds=0.5) for n, t in config.node_types().items()}
    machines = MemoryProvider(types, time.time)

    def make(_folder: Path, _config: ClusterConfig, _head: str) -> Provider:
        return machines

    head = Head(place.folder, config, place.identity())
    running = asyncio.create_task(head.run(make, None))
    while not (place.folder / "head.json").exists():
        await asyncio.sleep(0.02)
    if nodes > 1:
        head.scale(Scale(request=[({"CPU": 1}, nodes)]))
        await meet_all(head, machines, nodes)
        submit(head)
        start_task("what agents tell", tell_usage(head))
    return running


async def tell_usage(head: Head) -> None:
    """What agents tell each second, other figures each time."""
    while True:
        for number, worker in enumerate(list(head.dispatcher._by_address)):
            moment = time.time() + number
            head.dispatcher.on_usage(worker, moment % 1, int(moment % 1 * 2**30))
        await asyncio.sleep(1)


def submit(head: Head) -> None:
    """Jobs that the nodes have, and never end."""
    head.jobs.code.add_function("f" * 64, b"a function")
    for number in range(JOBS):
        spec = JobSpec(f"job{number}", f"job {number}", "map", "me", fn="f" * 64)
        job = head.jobs.submit(spec)
        head.jobs.add_tasks(job, Block.of(0, [b"item"] * 100), {})


async def main(count: int, nodes: int) -> None:
    """Run them until somebody says a line."""
    configure_dask()
    places = [place_of(number, 1 if number else nodes) for number in range(count)]
    for number, (place, config, _lock) in enumerate(places):
        await run_head(place, config, 1 if number else nodes)
    print("ready", flush=True)
    await asyncio.to_thread(sys.stdin.readline)


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]), int(sys.argv[2])))
