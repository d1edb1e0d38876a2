"""The round trip of a cell that does nothing: here, by `%%remote`, by ipyparallel's `%%px`."""

from __future__ import annotations

from benchmarks.notebook.kernel import Kernel, kernel

HERE, OURS, PEER = "here", "%%remote", "%%px"
CELLS = {HERE: "pass", OURS: "%%remote\npass", PEER: "%%px\npass"}
NAME = "bench-cells"
SETUP = f"""
%load_ext jupyter_cluster
import jupyter_cluster as jc
cluster = jc.up(name={NAME!r}, cpus=1)
import ipyparallel, logging
engines = ipyparallel.Cluster(n=1, log_level=logging.ERROR)
view = engines.start_and_connect_sync()[:]
view.activate()
"""
TEARDOWN = "cluster.down()\nengines.stop_cluster_sync()"
# What each has to make before its first cell is not counted.
WARM_UP = 5


def measure(rounds: int, each: int) -> dict[str, list[float]]:
    """Seconds of each round trip; they take turns, `each` at a time."""
    found: dict[str, list[float]] = {name: [] for name in CELLS}
    with kernel() as running:
        running.run(SETUP)
        try:
            _measure(running, rounds, each, found)
        finally:
            running.run(TEARDOWN)
    return found


def _measure(running: Kernel, rounds: int, each: int, found: dict[str, list[float]]) -> None:
    for source in CELLS.values():
        for _ in range(WARM_UP):
            running.run(source)
    for _ in range(rounds):
        for name, source in CELLS.items():
            found[name] += [running.run(source) for _ in range(each)]
