"""Where each effective value came from."""

from __future__ import annotations

from pathlib import Path

import pytest

from jupyter_cluster.config import ClusterConfig, explain, local_config, parse

pytestmark = pytest.mark.unit

AWS = """\
cluster_name: a
max_workers: 30
provider:
  type: aws
  region: eu-west-1
  aws_credentials: {aws_secret_access_key: hush}
docker: {image: python}
available_node_types:
  cpu:
    node_config: {InstanceType: m5.large, SecurityGroupIds: [], KeyName: k}
  gpu:
    node_config: {InstanceType: p3.2xlarge}
    max_workers: 3
    docker: {worker_image: cuda}
head_node_type: cpu
setup_commands: [all]
worker_setup_commands: [worker]
"""


def explained(config: ClusterConfig) -> dict[str, tuple[object, str]]:
    rows = explain(config)
    assert len({row.key for row in rows}) == len(rows)
    return {row.key: (row.value, row.origin) for row in rows}


@pytest.mark.parametrize(
    ("key", "value", "origin"),
    [
        ("cluster_name", "a", "cluster.yaml:1"),
        ("budget", None, "default"),
        ("auth.ssh_port", 22, "default"),
        ("provider.region", "eu-west-1", "cluster.yaml:5"),
        ("provider.use_internal_ips", False, "default"),
        ("provider.availability_zone", None, "all zones, from provider.region (cluster.yaml:5)"),
        ("available_node_types.cpu.max_workers", 30, "from max_workers (cluster.yaml:2)"),
        ("available_node_types.gpu.max_workers", 3, "cluster.yaml:13"),
        ("available_node_types.cpu.node_config.InstanceType", "m5.large", "cluster.yaml:10"),
        ("available_node_types.cpu.node_config.SecurityGroupIds", [], "cluster.yaml:10"),
        ("available_node_types.cpu.node_config.KeyName", "k", "cluster.yaml:10"),
        ("available_node_types.cpu.resources", {}, "filled in from the machine"),
        ("available_node_types.cpu.min_workers", 0, "default"),
        (
            "available_node_types.cpu.docker.worker_image",
            "python",
            "from docker.image (cluster.yaml:7)",
        ),
        ("available_node_types.gpu.docker.worker_image", "cuda", "cluster.yaml:14"),
        ("available_node_types.gpu.docker.pull_before_run", True, "default"),
        ("docker.head_image", "python", "from docker.image (cluster.yaml:7)"),
        ("head_setup_commands", ("all",), "merged: setup_commands (cluster.yaml:16)"),
        (
            "worker_setup_commands",
            ("all", "worker"),
            "merged: setup_commands (cluster.yaml:16) + worker_setup_commands (cluster.yaml:17)",
        ),
        (
            "available_node_types.cpu.worker_setup_commands",
            ("all", "worker"),
            "merged: setup_commands (cluster.yaml:16) + worker_setup_commands (cluster.yaml:17)",
        ),
        (
            "available_node_types.cpu.initialization_commands",
            (),
            "from initialization_commands (default)",
        ),
    ],
)
def test_each_value_has_its_origin(key: str, value: object, origin: str) -> None:
    assert explained(parse(AWS))[key] == (value, origin)


def test_secrets_are_hidden() -> None:
    value, origin = explained(parse(AWS))["provider.aws_credentials.aws_secret_access_key"]
    assert value == "**********"
    assert origin == "cluster.yaml:6"


def test_a_path_is_shown_as_it_is_used(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    text = 'cluster_name: a\nprovider: {type: local}\nfile_mounts:\n  "~/d": data\n'
    rows = explained(parse(text, "my.yaml", tmp_path))
    assert rows['file_mounts."~/d"'] == (str(tmp_path / "data"), "my.yaml:4")


def test_what_follows_from_the_provider_says_so() -> None:
    ssh = parse("cluster_name: a\nprovider: {type: ssh, head_ip: h, worker_ips: [b, c]}")
    origin = "from provider.worker_ips (cluster.yaml:2)"
    assert explained(ssh)["max_workers"] == (2, origin)
    local = explained(parse("cluster_name: a\nprovider: {type: local}"))
    assert local["available_node_types.local.resources.CPU"] == (1, "default")


def test_the_embedded_configuration_comes_from_this_machine() -> None:
    rows = explained(local_config(cpus=2))
    assert rows["max_workers"] == (2, "this machine")
    assert rows["available_node_types.local.resources.CPU"] == (1, "this machine")
    assert rows["budget"] == (None, "default")


def test_a_plugins_own_keys_are_explained(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    info = tmp_path / "cloudy-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: cloudy\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[jupyter_cluster.providers]\ncloudy = cloudy:Provider")
    monkeypatch.syspath_prepend(tmp_path)
    rows = explained(parse("cluster_name: a\nprovider:\n  type: cloudy\n  flavour: big\n"))
    assert rows["provider.flavour"] == ("big", "cluster.yaml:4")
