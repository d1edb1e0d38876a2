"""Cluster YAMLs with slips of every kind: each is read, or refused by sentences."""

from __future__ import annotations

import json
import random
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from helpers import no_hang

from jupyter_cluster.config import ClusterConfig, explain, parse
from jupyter_cluster.errors import ConfigError

pytestmark = pytest.mark.fuzz

PAGE = Path(__file__).parents[2] / "docs" / "cluster-yaml.md"
OWN = """\
cluster_name: demo
max_workers: 4
budget: 12.5
idle_timeout_minutes: auto
provider:
  type: aws
  region: us-west-2
  security_group: {IpPermissions: [{FromPort: 1, ToPort: 2, IpProtocol: tcp}]}
docker:
  image: "python:3.11"
  run_options: ["--ulimit nofile=65536:65536"]
available_node_types:
  small: &small
    resources: {CPU: 2, memory: 4e9}
    max_workers: 3
    node_config: {InstanceType: m5.large, ImageId: latest_dlami}
  big:
    <<: *small
    node_config:
      InstanceType: p3.2xlarge
      BlockDeviceMappings: [{DeviceName: /dev/sda1, Ebs: {VolumeSize: 140}}]
head_node_type: small
setup_commands: [pip install tqdm]
head_node: {}
"""
VALUES = [
    *("", "~", "[]", "{}", "0", "-1", "1e3", "1e309", ".nan", ".inf", "-.inf", "yes", "no", "010"),
    *(
        "9" * 30,
        "9" * 5000,
        "0x10",
        "22:22",
        "2026-01-01",
        "'",
        '"',
        '"\\ud800"',
        '"\\0"',
        "*x",
        "&x y",
    ),
    *(
        "!!int x",
        "!!python/object:os.system a",
        "!!binary aGk=",
        "[1, [2, [3]]]",
        "{a: {b: c}}",
        "x" * 3000,
    ),
    *(
        "a: b",
        "- a",
        "|",
        ">-",
        "@",
        "%",
        "`",
        "\u202e",
        "é",
        "<<",
        "null",
        "true",
        "<script>",
        "{x}",
    ),
]
KEYS = [
    "max_workers",
    "head_node",
    "worker_nodes",
    "min_workers",
    "metadata",
    "auth",
    "cluster_name",
]


def _line(lines: list[str], chance: random.Random) -> int:
    return chance.randrange(len(lines))


def _drop(lines: list[str], chance: random.Random) -> None:
    del lines[_line(lines, chance)]


def _twice(lines: list[str], chance: random.Random) -> None:
    at = _line(lines, chance)
    lines.insert(at, lines[at])


def _value(lines: list[str], chance: random.Random) -> None:
    at = _line(lines, chance)
    key, _, _rest = lines[at].partition(":")
    lines[at] = f"{key}: {chance.choice(VALUES)}"


def _typo(lines: list[str], chance: random.Random) -> None:
    at = _line(lines, chance)
    place = chance.randrange(len(lines[at]) + 1)
    letters = chance.choice("abXY_-:{}[]&*!|>'\"%@`#,? \t\r\0\x1b\x85\u2028\ufeff")
    lines[at] = lines[at][:place] + letters + lines[at][place + chance.randrange(2) :]


def _indent(lines: list[str], chance: random.Random) -> None:
    at = _line(lines, chance)
    lines[at] = " " * chance.randrange(7) + lines[at].lstrip()


def _cut(lines: list[str], chance: random.Random) -> None:
    text = "\n".join(lines)
    lines[:] = text[: chance.randrange(len(text) + 1)].split("\n")


def _swap(lines: list[str], chance: random.Random) -> None:
    a, b = _line(lines, chance), _line(lines, chance)
    lines[a], lines[b] = lines[b], lines[a]


def _key(lines: list[str], chance: random.Random) -> None:
    lines.append(f"{chance.choice(KEYS)}: {chance.choice(VALUES)}")


def _merge(lines: list[str], chance: random.Random) -> None:
    merged = ("<<: *x", "<<: {max_workers: 3}", "<<: [1, 2]", "<<: ~", "<<: [{a: 1}, 3]")
    lines.insert(_line(lines, chance), chance.choice(merged))


def _strange(lines: list[str], chance: random.Random) -> None:
    strange = ("---", "...", "%YAML 1.2", "? [a, b]\n: c", "[a]: 1", "~: 3", "!!map", "- x", "a")
    lines.insert(_line(lines, chance), chance.choice(strange))


def _deep(lines: list[str], chance: random.Random) -> None:
    depth = chance.choice([30, 60, 1500, 20_000])
    lines.append("metadata: " + "[" * depth + "]" * depth)


def _laughs(lines: list[str], chance: random.Random) -> None:
    lines += ["metadata:", "  a0: &a0 [x, x, x, x, x, x, x, x, x]"]
    for n in range(1, chance.randrange(2, 9)):
        lines.append(f"  a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]")


def _loop(lines: list[str], _chance: random.Random) -> None:
    lines.append("metadata: &m {self: *m}")


# The likelier ones stand more often.
SLIPS: list[Callable[[list[str], random.Random], None]] = [
    *[_value] * 6,
    *[_typo] * 6,
    *(_drop, _twice, _indent, _cut, _swap, _key, _key, _merge, _strange, _deep, _laughs, _loop),
]


def mutated(seeds: list[str], chance: random.Random) -> str:
    lines = chance.choice(seeds).splitlines()
    for _ in range(chance.choice([1, 1, 1, 2, 3])):
        chance.choice(SLIPS)(lines, chance)
        lines = lines or [""]
    return "\n".join(lines)


def test_a_mutated_file_is_read_or_refused_by_sentences(fuzz: Any, tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    seeds = [OWN, *re.findall(r"```yaml\n(.*?)```", PAGE.read_text(), re.DOTALL)]
    read, said = 0, list[str]()
    for chance in fuzz.rounds(2000):
        text = mutated(seeds, chance)
        with no_hang(60):
            try:
                config = parse(text, base_dir=tmp_path)
            except ConfigError as error:
                said.append(str(error))
                continue
            read += 1
            # What is read survives the way to the head, and can be explained and planned with.
            again = ClusterConfig.model_validate_json(config.as_json(with_secrets=True))
            assert again.node_types().keys() == config.node_types().keys()
            assert explain(config)
            assert config.limits()
            assert json.dumps(config.model_dump(mode="json"))
    assert read > 50 * min(fuzz.times, 1)
    assert not [text for text in said if "validation error" in text or len(text) > 20_000]
