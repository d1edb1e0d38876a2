"""What a panel costs its kernel: processor time with many nodes and many tasks a second."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from benchmarks.notebook.kernel import kernel

NAME = "bench-panel"
CONFIG = """
cluster_name: {name}
max_workers: {nodes}
provider: {{type: local}}
available_node_types:
  idle: {{resources: {{CPU: 1}}, min_workers: {idle}, max_workers: {idle}}}
  busy: {{resources: {{CPU: 1, busy: 1}}, min_workers: {busy}, max_workers: {busy}}}
head_node_type: idle
"""
# A fifth of the nodes works, as much as the cores of one machine can carry; each does 50 tasks a
# second.
BUSY_SHARE, TASK_SECONDS = 0.2, 0.02
UP_SECONDS = 180.0
# A panel that shows nothing would cost nothing.
CHECK = """
from jupyter_cluster.notebook.panel import live
[panel] = live._panels.values()
assert panel._widget.nodes.count("<tr data-key") == {nodes}, panel._widget.nodes
assert len(panel._widget.chart.split("jc-of-rate")[-1].split()) > 10, panel._widget.chart
"""


@dataclass(frozen=True)
class Cost:
    """What was measured.

    Attributes
    ----------
    nodes, rate : float
        Nodes that were ready, tasks that ended a second.
    without, with_panel : float
        Share of one core that the kernel's process used.
    """

    nodes: int
    rate: float
    without: float
    with_panel: float


def measure(nodes: int, seconds: float) -> Cost:
    """Cost of a panel of so many nodes, over so many seconds each with it and without."""
    import jupyter_cluster as jc

    with TemporaryDirectory(prefix="bench-panel-") as folder:
        file = Path(folder, "cluster.yaml")
        busy = max(1, round(nodes * BUSY_SHARE))
        file.write_text(CONFIG.format(name=NAME, nodes=nodes, busy=busy, idle=nodes - busy))
        with jc.up(str(file)) as cluster:
            _await_nodes(cluster, nodes)
            rate = busy / TASK_SECONDS
            naps = [TASK_SECONDS] * int(rate * (3 * seconds + 120))
            job = cluster.map(time.sleep, naps, name="load", resources={"busy": 1})
            _await_rate(cluster, rate)
            try:
                return _measure(cluster, job, nodes, seconds)
            finally:
                job.cancel()


def _measure(cluster: Any, job: Any, nodes: int, seconds: float) -> Cost:
    with kernel() as running:
        running.run("%load_ext jupyter_cluster")

        def share() -> float:
            before, began = running.cpu_seconds(), time.perf_counter()
            time.sleep(seconds)
            return (running.cpu_seconds() - before) / (time.perf_counter() - began)

        without = share()
        running.run(f"%cluster panel {NAME}")
        time.sleep(10)  # the first looks, at all that has been so far
        running.run(CHECK.format(nodes=nodes))
        done, began = job.row()["done"], time.perf_counter()
        with_panel = share()
        rate = (job.row()["done"] - done) / (time.perf_counter() - began)
        ready = sum(node["state"] == "ready" for node in cluster.nodes())
    return Cost(ready, rate, without, with_panel)


def _await_nodes(cluster: Any, nodes: int) -> None:
    deadline = time.monotonic() + UP_SECONDS
    while sum(node["state"] == "ready" for node in cluster.nodes()) < nodes:
        if time.monotonic() > deadline:
            raise RuntimeError(f"not all of {nodes} nodes came up in {UP_SECONDS:.0f} s")
        time.sleep(0.5)


def _await_rate(cluster: Any, rate: float) -> None:
    """Wait until all slots have been started and work."""
    deadline = time.monotonic() + UP_SECONDS
    while time.monotonic() < deadline:
        newest = cluster.endpoint.get("series", since=time.time() - 5)
        if newest and newest[-1]["rate"] > 0.8 * rate:
            return
        time.sleep(1)
    raise RuntimeError(f"the cluster does not reach {0.8 * rate:,.0f} tasks a second here")
