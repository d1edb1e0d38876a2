"""The embedded configuration for this machine."""

from __future__ import annotations

import os

import psutil
import pytest

from jupyter_cluster.config import LocalProvider, local_config
from jupyter_cluster.errors import ConfigError, UsageError
from jupyter_cluster.resources import Resources

pytestmark = pytest.mark.unit


@pytest.mark.parametrize(
    ("cores", "nodes", "each"),
    [(1, 1, 1), (2, 2, 1), (3, 3, 1), (4, 4, 1), (6, 3, 2), (8, 4, 2), (10, 3, 3), (64, 4, 16)],
)
def test_up_to_four_nodes_share_the_cores_and_memory(cores: int, nodes: int, each: int) -> None:
    config = local_config(cpus=cores, memory_bytes=12_000_000_000)
    assert config.max_workers == nodes
    node_type = config.node_types()["local"]
    assert node_type.resources == Resources.of(CPU=each, memory=12_000_000_000 // nodes)
    assert (node_type.min_workers, node_type.max_workers) == (0, nodes)
    assert nodes * each <= cores


def test_by_default_it_is_the_size_of_what_this_process_may_use() -> None:
    config = local_config()
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    resources = config.node_types()["local"].resources
    assert config.max_workers == max(1, (cores or 1) // int(resources.get("CPU")))
    assert config.max_workers * resources.get("memory") <= psutil.virtual_memory().total
    assert isinstance(config.provider, LocalProvider)
    assert config.notices == ()


def test_sizes_may_be_chosen() -> None:
    config = local_config(
        "mine", cpus=8, cpus_per_node=4, memory_bytes=100, max_workers=5, idle_timeout_minutes=0.5
    )
    assert (config.cluster_name, config.max_workers) == ("mine", 5)
    assert config.node_types()["local"].resources == Resources.of(CPU=4, memory=20)
    assert config.limits().idle_timeout == 30


def test_a_node_larger_than_the_machine_is_one_node() -> None:
    assert local_config(cpus=2, cpus_per_node=4).max_workers == 1


def test_idle_nodes_may_be_ended_as_the_autoscaler_thinks_best() -> None:
    assert local_config(idle_timeout_minutes="auto").limits().idle_timeout is None


@pytest.mark.parametrize("argument", ["cpus", "cpus_per_node", "memory_bytes"])
def test_a_size_below_one_is_refused(argument: str) -> None:
    sizes = {argument: 0}
    with pytest.raises(UsageError, match=f"{argument} must be at least 1, not 0"):
        local_config(**sizes)  # type: ignore[arg-type]


def test_a_bad_name_has_the_sentence_of_the_file() -> None:
    with pytest.raises(ConfigError, match="local_config: cluster_name: may have only letters"):
        local_config("my cluster")
