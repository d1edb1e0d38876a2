"""``python -m benchmarks.thousand [COUNT]``: a real head with a thousand nodes in memory.

The head's own loop launches, meets, drains and ends them; only the agents are played: each says its
hello as soon as its machine is ready, and has nothing to do. Printed are the head's time for a
round, and how often the provider was called.
"""

from __future__ import annotations

import asyncio
import statistics
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from jupyter_cluster.config import ClusterConfig, local_config
from jupyter_cluster.dask_settings import configure_dask
from jupyter_cluster.head.asked import Scale
from jupyter_cluster.head.service import Head
from jupyter_cluster.model import NodeState, NodeType
from jupyter_cluster.providers.base import Instance, Provider
from jupyter_cluster.providers.memory import MemoryProvider
from jupyter_cluster.resources import Resources
from jupyter_cluster.trust import make_certificates
from jupyter_cluster.wire import PROTOCOL

BOOT_SECONDS = 1.0


@dataclass
class Figures:
    """Of one run; times in seconds.

    Attributes
    ----------
    calls : Counter
        Calls of the provider by their kind; ``created`` and ``ended`` count nodes.
    rounds : list of float
        How long each round of the scaling loop took.
    """

    calls: Counter[str] = field(default_factory=Counter)
    rounds: list[float] = field(default_factory=list)
    up: float = 0.0
    down: float = 0.0


class Counting(Provider):
    """Counts what is asked of a provider."""

    def __init__(self, inner: Provider, calls: Counter[str]) -> None:
        self._inner, self._calls = inner, calls

    def create(self, node_type: str, node_ids: Sequence[str]) -> None:
        self._calls.update({"create": 1, "created": len(node_ids)})
        self._inner.create(node_type, node_ids)

    def instances(self) -> Sequence[Instance]:
        self._calls["instances"] += 1
        return self._inner.instances()

    def terminate(self, node_ids: Collection[str]) -> None:
        self._calls.update({"terminate": 1, "ended": len(node_ids)})
        self._inner.terminate(node_ids)


class Stream:
    """Where a played agent would listen."""

    interval = 0.0

    def send(self, *_messages: Any) -> None:
        """It has nothing to do."""

    def closed(self) -> bool:
        """It is nobody's to close."""
        return True


async def measure(count: int) -> Figures:
    """From none to so many nodes and back."""
    figures = Figures()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "logs").mkdir()
        make_certificates(folder / "credentials", "thousand")
        config = local_config("thousand", cpus=count, cpus_per_node=1, max_workers=count)
        config = config.model_copy(update={"idle_timeout_minutes": 1 / 60})
        head = Head(folder, config, {"name": "thousand", "id": "thousand"})
        machines = MemoryProvider(
            {n: _booting(t) for n, t in config.node_types().items()}, time.time
        )

        def make(_folder: Path, _config: ClusterConfig, _head: str) -> Provider:
            return Counting(machines, figures.calls)

        running = asyncio.create_task(head.run(make, None))
        while head._scaling is None:
            await asyncio.sleep(0.01)
        _time_rounds(head, figures)
        began = time.monotonic()
        head.scale(Scale(request=[({"CPU": 1}, count)]))
        await meet_all(head, machines, count)
        figures.up = time.monotonic() - began
        began = time.monotonic()
        head.scale(Scale(request=[]))
        while head.fleet.alive:
            await asyncio.sleep(0.02)
        figures.down = time.monotonic() - began
        head.end("it was measured", keeps_results=False)
        await running
    return figures


def _booting(node_type: NodeType) -> NodeType:
    return NodeType(node_type.name, node_type.resources, boot_seconds=BOOT_SECONDS)


def _time_rounds(head: Head, figures: Figures) -> None:
    assert head._scaling is not None
    real = head._scaling._round

    async def timed() -> None:
        began = time.perf_counter()
        await real()
        figures.rounds.append(time.perf_counter() - began)

    head._scaling._round = timed  # type: ignore[method-assign]


async def meet_all(head: Head, machines: MemoryProvider, count: int) -> None:
    """Each node says hello when its machine has booted."""
    met: set[str] = set()
    while len(head.fleet.in_state(NodeState.READY)) < count:
        for instance in machines.instances():
            if instance.state is NodeState.READY and instance.node_id not in met:
                met.add(instance.node_id)
                _hello(head, instance)
        await asyncio.sleep(0.02)


def _hello(head: Head, instance: Instance) -> None:
    worker = f"tls://{instance.node_id}"
    head._scheduler.stream_comms[worker] = Stream()
    units = dict(Resources.of(CPU=1).units)
    head.dispatcher.on_hello(
        worker, PROTOCOL, instance.node_id, instance.node_type, units, 1, [], []
    )
    head.dispatcher.on_settled(worker, [])


def main(count: int) -> None:
    """Measure and print."""
    configure_dask()
    figures = asyncio.run(measure(count))
    rounds = sorted(figures.rounds)
    print(f"{count} nodes: all ready after {figures.up:.1f} s, of which {BOOT_SECONDS:.0f} s boot")
    print(f"all ended {figures.down:.1f} s after the last was needed, 1 s of it idle time-out")
    print(
        f"{len(rounds)} rounds: median {statistics.median(rounds) * 1e3:.1f} ms,"
        f" longest {rounds[-1] * 1e3:.0f} ms"
    )
    print("calls: " + ", ".join(f"{n} {name}" for name, n in sorted(figures.calls.items())))


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 1000)
