"""The JSON Schema for editors, and the page that documents every key."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import Draft202012Validator

from jupyter_cluster import config
from jupyter_cluster.config import ClusterConfig, schema
from jupyter_cluster.errors import ConfigError

pytestmark = pytest.mark.unit

PAGE = Path(__file__).parents[2] / "docs" / "cluster-yaml.md"

GOOD = {
    "seed": "cluster_name: autoscaler_demo\nmax_workers: 30\n"
    "docker: {image: 'rayproject/ray:latest-cpu', container_name: ray_container}\n"
    "provider: {type: aws, region: us-west-1}\n"
    "available_node_types: {default: {resources: {}, node_config: {InstanceType: m5.4xlarge}}}\n"
    "head_node_type: default\nhead_setup_commands: []\n"
    "setup_commands: [pip install tqdm colorthief]\n",
    "local": "cluster_name: a\nprovider: {type: local}\nidle_timeout_minutes: auto\nbudget: 5",
    "ssh": "cluster_name: a\nprovider: {type: ssh, head_ip: h, worker_ips: [b]}",
    "on-premise": "cluster_name: a\nprovider: {type: local, head_ip: h, worker_ips: [b]}",
    "ignored": "cluster_name: a\nprovider: {type: aws, cloudwatch: {}}\nhead_node_type: a\n"
    "available_node_types: {a: {labels: {b: c}, node_config: {InstanceType: x}}}\n"
    "head_start_ray_commands: [ray start]",
}

BAD = {
    "unknown key": "cluster_name: a\nprovider: {type: local}\nmax_wrokers: 3",
    "wrong kind": "cluster_name: a\nprovider: {type: local}\nmax_workers: many",
    "negative": "cluster_name: a\nprovider: {type: local}\nmax_workers: -1",
    "no provider": "cluster_name: a",
    "bad name": "cluster_name: a b\nprovider: {type: local}",
    "unknown key of aws": "cluster_name: a\nprovider: {type: aws, project_id: x}",
    "no head": "cluster_name: a\nprovider: {type: ssh}",
    "idle timeout": "cluster_name: a\nprovider: {type: local}\nidle_timeout_minutes: soon",
    "no node type": "cluster_name: a\nprovider: {type: local}\nhead_node_type: a\n"
    "available_node_types: {}",
}


def test_the_schema_is_one() -> None:
    Draft202012Validator.check_schema(schema())


@pytest.mark.parametrize("text", GOOD.values(), ids=GOOD)
def test_the_schema_accepts_what_loads(text: str) -> None:
    assert isinstance(config.parse(text), ClusterConfig)
    assert [
        e.message for e in Draft202012Validator(schema()).iter_errors(yaml.safe_load(text))
    ] == []


@pytest.mark.parametrize("text", BAD.values(), ids=BAD)
def test_the_schema_refuses_what_does_not_load(text: str) -> None:
    with pytest.raises(ConfigError):
        config.parse(text)
    assert not Draft202012Validator(schema()).is_valid(yaml.safe_load(text))


def sections() -> Iterator[tuple[str, dict[str, Any]]]:
    made = schema()
    yield "the top level", made
    yield from made["$defs"].items()


@pytest.mark.parametrize(("name", "section"), list(sections()))
def test_every_key_has_a_description(name: str, section: dict[str, Any]) -> None:
    for key, value in section["properties"].items():
        assert value.get("description"), f"{key} in {name}"


@pytest.mark.parametrize(("name", "section"), list(sections()))
def test_the_page_has_every_key_with_its_default_and_meaning(
    name: str, section: dict[str, Any]
) -> None:
    rows = set(re.findall(r"^\| `(\w+)` \| (.*?) \| (.*) \|$", PAGE.read_text(), re.MULTILINE))
    for key, value in section["properties"].items():
        if not value.get("deprecated"):
            assert (key, _default(key, value, section), value["description"]) in rows, name


def _default(key: str, value: dict[str, Any], section: dict[str, Any]) -> str:
    if key in section.get("required", ()):
        return "required"
    default = value.get("default", {})
    if default in (None, ""):
        return "none"
    return str(default).lower() if isinstance(default, bool) else f"{default!r}".replace(".0", "")


def test_the_page_names_every_key_of_rays_that_is_ignored_or_refused() -> None:
    from jupyter_cluster.config import _ray

    page = PAGE.read_text()
    for path in [*_ray.IGNORED, *_ray._REFUSED]:
        assert f"`{path[-1]}`" in page


def test_the_pages_examples_load(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    examples = re.findall(r"```yaml\n(.*?)```", PAGE.read_text(), re.DOTALL)
    assert len(examples) >= 3
    for text in examples:
        assert isinstance(config.parse(text, base_dir=tmp_path), ClusterConfig)


def test_the_public_names_are_these() -> None:
    assert config.__all__ == [
        "Auth",
        "AwsProvider",
        "ClusterConfig",
        "Docker",
        "Examined",
        "Explained",
        "Fix",
        "KeyPair",
        "LocalProvider",
        "NodeDocker",
        "NodeTypeConfig",
        "PluginProvider",
        "Problem",
        "Python",
        "SecurityGroup",
        "Span",
        "SshProvider",
        "examine",
        "explain",
        "load",
        "local_config",
        "parse",
        "schema",
    ]


def test_the_labextension_knows_a_cluster_yaml_by_all_keys_of_its_top_level() -> None:
    from jupyter_cluster.config import _ray

    path = Path(__file__).parents[2] / "labextension" / "src" / "yaml" / "keys.json"
    keys = json.loads(path.read_text())
    of_ray = {str(path[0]) for path in (*_ray.IGNORED, *_ray._REFUSED) if len(path) == 1}
    assert sorted(keys["own"] + keys["common"]) == sorted({*ClusterConfig.model_fields, *of_ray})
