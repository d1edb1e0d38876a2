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


def test_an_older_name_of_a_key_is_taken() -> None:
    config = parse(AWS + "docker: {image: python, pull: false}")
    assert config.docker.pull_before_run is False
    assert config.notices == ("cluster.yaml:3: docker.pull: is taken as pull_before_run",)
    with pytest.raises(
        ConfigError, match=r"yaml:3: docker\.pull_before_run: must be true or false"
    ):
        parse(AWS + "docker: {image: python, pull: 3}")
    with pytest.raises(ConfigError, match=r"docker\.pull: unknown key"):
        parse(AWS + "docker: {image: python, pull: true, pull_before_run: false}")


SCALING = """
autoscaling_mode: aggressive
target_utilization_fraction: 0.8
worker_default_node_type: a
head_node_type: a
available_node_types: {a: {node_config: {InstanceType: m5.large}}}
"""


def test_how_ray_scaled_before_is_ignored_with_a_word() -> None:
    config = parse(AWS + SCALING)
    assert [notice.split(":")[2].strip() for notice in config.notices] == [
        "autoscaling_mode",
        "target_utilization_fraction",
        "worker_default_node_type",
    ]
    assert all(": is ignored: " in notice for notice in config.notices)


def test_the_head_is_of_rays_own_type_where_no_other_is_named() -> None:
    config = parse(AWS + "available_node_types: {w: {}, ray.head.default: {}}".replace("{}", NODE))
    assert config.head_node_type == "ray.head.default"
    assert config.notices == (
        "cluster.yaml:3: available_node_types: the head is taken to be a ray.head.default",
    )
    with pytest.raises(ConfigError, match="head_node_type: is required"):
        parse(AWS + f"available_node_types: {{w: {NODE}}}")


NODE = "{node_config: {InstanceType: m5.large}}"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (
            "cloud_id: c\nregion: r\nhead_node_type: {name: h}\nworker_node_types: []\n",
            "cluster.yaml:1: this is no cluster YAML: it has neither cluster_name nor provider",
        ),
        ("list_of_node_ips: [a]\nserver_address: b\n", "cluster.yaml:1: this is no cluster YAML"),
        (
            "cluster_name: a\nprovider: {type: local, coordinator_address: 'h:1'}\n"
            "available_node_types: {}\nhead_node_type: {}\nmin_workers: 0\n",
            "cluster.yaml:2: provider.coordinator_address: is refused",
        ),
        (
            AWS.replace("aws", "aws, available_instance_types: {m4.large: {max_count: 2}}")
            + "head_node: {InstanceType: m4.large}\nworker_nodes: {InstanceType: auto}\n",
            "cluster.yaml:2: provider.available_instance_types: is gone",
        ),
    ],
)
def test_a_file_of_another_kind_has_one_problem(text: str, says: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse(text)
    assert str(caught.value).startswith(says)
    assert len(caught.value.problems) == 1


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
