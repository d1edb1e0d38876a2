"""Files of every kind that Ray's launcher had: read as they are, or the thing to change is said."""

from __future__ import annotations

import pytest

from jupyter_cluster.config import parse
from jupyter_cluster.errors import ConfigError

pytestmark = pytest.mark.unit

AWS = "cluster_name: a\nprovider: {type: aws}\n"
ON_PREMISE = "cluster_name: a\nprovider: {type: local, head_ip: h, worker_ips: [a, b]}\n"


def test_empty_sections_of_before_are_read() -> None:
    config = parse(
        AWS
        + "head_node_type: a\navailable_node_types: {a: {node_config: {InstanceType: m5.large}}}\n"
        "head_node: {}\nworker_nodes:\n"
    )
    assert list(config.available_node_types) == ["a"]
    assert config.notices == (
        "cluster.yaml:5: head_node: is ignored: it is empty",
        "cluster.yaml:6: worker_nodes: is ignored: it is empty",
    )


def test_a_file_without_node_types_has_two() -> None:
    config = parse(
        AWS + "min_workers: 1\ninitial_workers: 0\nautoscaling_mode: default\nmax_workers: 4\n"
        "head_node:\n  InstanceType: m5.large\n"
        "worker_nodes:\n  InstanceType: m5.xlarge\n  InstanceMarketOptions: {MarketType: spot}\n"
    )
    head, worker = config.available_node_types.values()
    assert config.head_node_type == "head"
    assert (head.node_config["InstanceType"], head.max_workers) == ("m5.large", 0)
    assert worker.node_config["InstanceType"] == "m5.xlarge"
    assert worker.min_workers == 1
    assert "cluster.yaml:3: min_workers: is taken as that of the node type worker" in config.notices
    assert len(config.notices) == 5


def test_a_slip_in_a_section_of_before_has_its_line() -> None:
    with pytest.raises(ConfigError) as caught:
        parse(AWS + "head_node:\n  InstanceType: m5.large\n  ImageID: ami-1\n")
    assert str(caught.value).startswith("cluster.yaml:5: available_node_types.head.node_config.Im")


def test_rays_on_premise_file_has_its_minimum_at_the_top() -> None:
    config = parse(ON_PREMISE + "min_workers: 2\nmax_workers: 2\nhead_node: {}\n")
    assert config.available_node_types["host"].min_workers == 2
    assert config.provider.type == "ssh"


def test_a_minimum_of_a_wrong_kind_has_its_line() -> None:
    with pytest.raises(ConfigError) as caught:
        parse(ON_PREMISE + "min_workers: MANY\n")
    assert str(caught.value) == (
        "cluster.yaml:3: available_node_types.host.min_workers: must be a whole number, not the "
        "text 'MANY'"
    )


@pytest.mark.parametrize("cloud", ["azure", "gcp", "kubernetes", "vsphere", "aliyun", "spark"])
def test_a_file_for_another_cloud_has_one_problem(cloud: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse(
            f"cluster_name: a\nprovider:\n  type: {cloud}\n  location: x\n  access_key:\n"
            "auth: {ssh_private_key: /nowhere}\nhead_node: {azureArmParameters: {vmSize: x}}\n"
            "available_node_types: {a: {node_config: {machineType: x}}}\n"
        )
    assert str(caught.value).startswith(f"cluster.yaml:3: provider.type: {cloud} ")
    assert "(type: aws)" in str(caught.value)
    assert "(type: ssh)" in str(caught.value)
    assert len(caught.value.problems) == 1


def test_a_manifest_of_kubernetes_is_told_from_a_cluster_yaml() -> None:
    with pytest.raises(ConfigError) as caught:
        parse("apiVersion: v1\nkind: Role\nmetadata: {name: x}\n")
    assert str(caught.value) == (
        "cluster.yaml:1: this is a manifest of Kubernetes, no cluster YAML"
    )


@pytest.mark.parametrize(
    ("docker", "line"),
    [
        ("docker: {container_name: c}", "docker.container_name"),
        ("docker: {image: '', run_options: [--rm]}", "docker.run_options"),
        ("docker: {worker_run_options: [--rm]}", "docker.worker_run_options"),
    ],
)
def test_options_of_a_container_need_an_image(docker: str, line: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse(AWS + docker)
    assert str(caught.value).startswith(f"cluster.yaml:3: {line}: is for a container, and no image")


def test_an_older_name_of_a_key_is_said() -> None:
    with pytest.raises(ConfigError, match=r"docker\.pull: is called pull_before_run"):
        parse(AWS + "docker: {image: python, pull: true}")


@pytest.mark.parametrize(
    "docker",
    [
        "docker: {image: '', container_name: ''}",
        "docker: {image: python, container_name: c}",
        "docker: {head_image: python, run_options: [--rm]}",
    ],
)
def test_a_docker_section_without_effect_or_with_an_image_is_read(docker: str) -> None:
    assert parse(AWS + docker)
