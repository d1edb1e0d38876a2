"""Files that do not load, and the sentence that each gets."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jupyter_cluster.config import Problem, load, parse
from jupyter_cluster.errors import ConfigError

pytestmark = pytest.mark.unit

LOCAL = "cluster_name: a\nprovider: {type: local}\n"
AWS = "cluster_name: a\nprovider: {type: aws}\n"
TYPES = "head_node_type: a\navailable_node_types:\n"


def problems(text: str, base_dir: Path | None = None) -> tuple[Problem, ...]:
    with pytest.raises(ConfigError) as caught:
        parse(text, base_dir=base_dir)
    found: tuple[Problem, ...] = caught.value.problems
    assert str(caught.value) == "\n".join(map(str, found))
    return found


def only(text: str) -> str:
    (problem,) = problems(text)
    return str(problem)


@pytest.mark.parametrize(
    ("text", "start"),
    [
        # Syntax
        ("", "cluster.yaml: the file is empty"),
        ("# nothing\n", "cluster.yaml: the file is empty"),
        ("---\n", "cluster.yaml: the file is empty"),
        ("a: 1\n\tb: 2\n", "cluster.yaml:2: column 1 is a tab; YAML allows only spaces"),
        ("a:\n  - b\n\t- c\n", "cluster.yaml:3: column 1 is a tab"),
        ("a: b: c\n", "cluster.yaml:1: column 5: a colon is not allowed here"),
        ("a: [1, 2\nb: 3\n", "cluster.yaml:2: column 2: a list that starts with [ is not closed"),
        ("a: {b: 1\n", "cluster.yaml:2: column 1: a map that starts with { is not closed"),
        ('a: "b\nc: d\n', "cluster.yaml:1: column 4: a quote is not closed"),
        ('a: "\\d"\n', "cluster.yaml:1: column 6: a backslash in double quotes starts an escape"),
        ("a: b\n  - c: d\n", "cluster.yaml:2: column 6: a colon is not allowed here"),
        ("a: - b\n", "cluster.yaml:1: column 4: a list item (-) is not allowed here"),
        ("a: 1\n b: 2\n", "cluster.yaml:2: column 3: a colon is not allowed here"),
        ("a:\n    b: 1\n  c: 2\n", "cluster.yaml:3: column 3: the indentation does not fit"),
        ("a: 1\nb\nc: 2\n", "cluster.yaml:2: column 1: this line has no colon"),
        ("a: *b\n", "cluster.yaml:1: column 4: a *name is used that no &name defines"),
        ("a: 1\n---\nb: 2\n", "cluster.yaml:2: column 1: a second document starts here"),
        ("a: [1,\n", "cluster.yaml:2: column 1: a value is missing here, or a [ or { before it"),
        ("a:\n  -\n  b: 1\n", "cluster.yaml:3: column 3: a value is missing before this, or this"),
        ("a: *.py\n", "cluster.yaml:1: column 5: a text that starts with * or & needs quotes"),
        ("a: @b\n", "cluster.yaml:1: column 4: a text may not start with this character"),
        ("a: !Ref b\n", "cluster.yaml:1: column 4: tags with ! are not allowed here"),
        ("a: !!int b\n", "cluster.yaml:1: a: 'b' is not what its tag"),
        ("a: !!int\n", "cluster.yaml:1: a: '' is not what its tag"),
        ("a: !!bool b\n", "cluster.yaml:1: a: 'b' is not what its tag"),
        ("a: !!timestamp b\n", "cluster.yaml:1: a: 'b' is not what its tag"),
        ("a: &x [*x]\n", "cluster.yaml:1: a[0]: the alias stands inside the value it refers to"),
        ("a: {{ b }}\n", "cluster.yaml:1: a: a key must be text, not a list or a map"),
        ("a: 1\n<<: 2\n", "cluster.yaml:2: column 5: << must refer to a map"),
        ("a: 1\nb: \x07\n", "cluster.yaml:2: character number 0x7 is not allowed"),
        ("[" * 5000, "cluster.yaml:1: column 42: lists or maps are nested too deeply"),
        # The wrong kind of value
        ("- a\n", "cluster.yaml:1: must be a map (key: value), not a list"),
        ("hello\n", "cluster.yaml:1: must be a map (key: value), not the text 'hello'"),
        (LOCAL + "docker: [a]", "cluster.yaml:3: docker: must be a map (key: value), not a list"),
        (LOCAL + "auth: x", "cluster.yaml:3: auth: must be a map (key: value), not the text 'x'"),
        ("cluster_name: a\nprovider: aws", "cluster.yaml:2: provider: must be a map"),
        (LOCAL + "setup_commands: ls", "cluster.yaml:3: setup_commands: must be a list"),
        (LOCAL + "max_workers: many", "cluster.yaml:3: max_workers: must be a whole number, not"),
        (LOCAL + "max_workers: 1.5", "cluster.yaml:3: max_workers: must be a whole number, not"),
        (LOCAL + "max_workers: yes", "cluster.yaml:3: max_workers: must be a whole number, not"),
        (
            LOCAL + 'max_workers: "30"',
            "cluster.yaml:3: max_workers: must be a whole number, not the text '30'; leave the "
            "quotes out",
        ),
        (
            LOCAL + "max_workers: 010",
            "cluster.yaml:3: max_workers: must be a whole number, not the text '010'; write 10",
        ),
        (
            LOCAL + "setup_commands:\n  - ls\n  - no",
            "cluster.yaml:5: setup_commands[1]: must be text, but YAML reads no as false; put it "
            'in quotes: "no"',
        ),
        (LOCAL + "docker: {image: 3.10}", "cluster.yaml:3: docker.image: must be text, but YAML "),
        (LOCAL + "docker: {image: [a]}", "cluster.yaml:3: docker.image: must be text, not a list"),
        (LOCAL + "python: {sync: 1}", "cluster.yaml:3: python.sync: must be true or false"),
        (LOCAL + "budget:", "cluster.yaml:3: budget: has no value; write one or leave the key out"),
        (LOCAL + "auth:\n", "cluster.yaml:3: auth: has no value; write one or leave the key out"),
        (LOCAL + "metadata:", "cluster.yaml:3: metadata: has no value"),
        (
            LOCAL + TYPES + "  a:\n",
            "cluster.yaml:5: available_node_types.a: has no value",
        ),
        (LOCAL + "max_workers: null", "cluster.yaml:3: max_workers: must be a whole number, not "),
        (
            LOCAL + "idle_timeout_minutes: soon",
            "cluster.yaml:3: idle_timeout_minutes: must be a number or 'auto', not soon",
        ),
        # Amounts out of range
        (LOCAL + "max_workers: -1", "cluster.yaml:3: max_workers: must be at least 0, not -1"),
        (LOCAL + "idle_timeout_minutes: -5", "cluster.yaml:3: idle_timeout_minutes: must be at "),
        (LOCAL + "budget: 0", "cluster.yaml:3: budget: must be more than 0, not 0"),
        (LOCAL + "max_hourly_cost: .inf", "cluster.yaml:3: max_hourly_cost: must be a finite "),
        (LOCAL + "auth: {ssh_port: 70000}", "cluster.yaml:3: auth.ssh_port: must be at most 65535"),
        (
            LOCAL + TYPES + "  a: {min_workers: -2}",
            "cluster.yaml:5: available_node_types.a.min_workers: must be at least 0, not -2",
        ),
        # Amounts that do not fit one another
        (
            LOCAL + "max_workers: 9\n" + TYPES + "  a:\n    min_workers: 3\n    max_workers: 2",
            "cluster.yaml:7: available_node_types.a.min_workers: 3 is more than this type's "
            "max_workers (2)",
        ),
        (
            LOCAL + "max_workers: 5\n" + TYPES + "  a: {min_workers: 3}\n  b: {min_workers: 4}",
            "cluster.yaml:3: max_workers: 5 is less than the min_workers of all types together, "
            "3 (a) + 4 (b)",
        ),
        (
            LOCAL + TYPES + "  a: {min_workers: 3, max_workers: 4}",
            "cluster.yaml:1: max_workers: 2 (the default) is less than the min_workers",
        ),
        # Names
        ("provider: {type: local}", "cluster.yaml:1: cluster_name: is required"),
        ("cluster_name: a", "cluster.yaml:1: provider: is required"),
        ("cluster_name: a\nprovider: {}", "cluster.yaml:2: provider.type: is required"),
        (
            "cluster_name: my cluster\nprovider: {type: local}",
            "cluster.yaml:1: cluster_name: may have only letters, digits, _ and -",
        ),
        ("cluster_name: -a\nprovider: {type: local}", "cluster.yaml:1: cluster_name: may have"),
        ('cluster_name: "a\\n"\nprovider: {type: local}', "cluster.yaml:1: cluster_name: may have"),
        (
            "cluster_name: 12\nprovider: {type: local}",
            "cluster.yaml:1: cluster_name: must be text, but YAML reads 12 as the number 12",
        ),
        (
            "cluster_name: a\nprovider: {type: awz}",
            "cluster.yaml:2: provider.type: unknown provider 'awz'; did you mean aws? Known: aws, "
            "local, ssh",
        ),
        ("cluster_name: a\nprovider: {type: moon}", "cluster.yaml:2: provider.type: unknown "),
        ("cluster_name: a\nprovider: {type: ssh}", "cluster.yaml:2: provider.head_ip: is required"),
        (
            LOCAL + "head_node_type: gpus\navailable_node_types: {cpu: {}, gpu: {}}",
            "cluster.yaml:3: head_node_type: no node type is named 'gpus'; did you mean gpu? "
            "Known: cpu, gpu",
        ),
        (
            LOCAL + "available_node_types: {cpu: {}, gpu: {}}",
            "cluster.yaml:1: head_node_type: is required with available_node_types: write one of "
            "cpu, gpu",
        ),
        (LOCAL + "head_node_type: a", "cluster.yaml:1: available_node_types: is required, since"),
        (
            LOCAL + "head_node_type: a\navailable_node_types: {}",
            "cluster.yaml:4: available_node_types: must name at least one node type",
        ),
        # Keys
        (
            LOCAL + "max_wrokers: 3",
            "cluster.yaml:3: max_wrokers: unknown key; did you mean max_workers? Allowed: "
            "cluster_name, ",
        ),
        (
            LOCAL + TYPES + "  a:\n    max_wrokers: 3",
            "cluster.yaml:6: available_node_types.a.max_wrokers: unknown key; did you mean "
            "max_workers? Allowed: node_config, resources, ",
        ),
        (
            LOCAL + TYPES + "  a: {docker: {worker_imag: x}}",
            "cluster.yaml:5: available_node_types.a.docker.worker_imag: unknown key; did you mean "
            "worker_image? Allowed: worker_image, pull_before_run, worker_run_options",
        ),
        (
            "cluster_name: a\nprovider: {type: aws, security_group: {groupname: x}}",
            "cluster.yaml:2: provider.security_group.groupname: unknown key; did you mean "
            "GroupName? Allowed: GroupName, IpPermissions",
        ),
        (
            LOCAL + "head_node_type: docker\navailable_node_types: {docker: {cpu: 3}}",
            "cluster.yaml:4: available_node_types.docker.cpu: unknown key. Allowed: node_config, ",
        ),
        (
            LOCAL + "head_node_type: provider\navailable_node_types: {provider: {image: x}}",
            "cluster.yaml:4: available_node_types.provider.image: unknown key; did you mean image, "
            "a key of docker? Allowed: node_config, ",
        ),
        (LOCAL + "<aws>: 1", 'cluster.yaml:3: "<aws>": unknown key'),
        (
            "cluster_name: a\nprovider: {type: aws, aws: {region: x}}",
            "cluster.yaml:2: provider.aws: unknown key",
        ),
        (LOCAL + "docker: {imgae: x}", "cluster.yaml:3: docker.imgae: unknown key; did you mean "),
        (LOCAL + "auth: {user: x}", "cluster.yaml:3: auth.user: unknown key"),
        (
            LOCAL + "region: x",
            "cluster.yaml:3: region: unknown key; did you mean region, a key of provider aws?",
        ),
        (
            AWS + TYPES + "  a:\n    node_config: {InstanceType: x}\n    KeyName: x",
            "cluster.yaml:7: available_node_types.a.KeyName: unknown key; arguments of EC2 belong "
            "in available_node_types.a.node_config.",
        ),
        # What EC2 needs
        (
            AWS + TYPES + "  a: {resources: {CPU: 4}}",
            "cluster.yaml:5: available_node_types.a.node_config: must name an InstanceType or a "
            "LaunchTemplate",
        ),
        # Resources
        (
            LOCAL + TYPES + "  a: {resources: {CPU: lots}}",
            "cluster.yaml:5: available_node_types.a.resources.CPU: must be a number, not the text",
        ),
        (
            LOCAL + TYPES + "  a: {resources: {memory: 8 GB}}",
            "cluster.yaml:5: available_node_types.a.resources.memory: must be a number, not the "
            "text '8 GB'; write it in bytes, e.g. 8e9",
        ),
        (
            LOCAL + TYPES + "  a: {resources: {CPU: -1}}",
            "cluster.yaml:5: available_node_types.a.resources.CPU: must be at least 0, not -1",
        ),
        (
            LOCAL + TYPES + "  a: {resources: {gpu: 1}}",
            "cluster.yaml:5: available_node_types.a.resources.gpu: upper and lower case matter: "
            "write GPU",
        ),
        (
            LOCAL + TYPES + "  a: {resources: {CPU: 0.00001}}",
            "cluster.yaml:5: available_node_types.a.resources.CPU: resource CPU: 1e-05 is smaller",
        ),
    ],
)
def test_each_mistake_has_its_sentence(text: str, start: str) -> None:
    assert only(text).startswith(start)


@pytest.mark.parametrize(
    ("key", "instead"),
    [
        ("min_workers", "available_node_types.<name>.min_workers"),
        ("initial_workers", "available_node_types.<name>.min_workers"),
        ("head_node", "head_node_type"),
        ("worker_nodes", "available_node_types"),
        ("no_restart", "--no-restart"),
    ],
)
def test_a_deprecated_key_of_rays_names_what_to_use(key: str, instead: str) -> None:
    types = "head_node_type: a\navailable_node_types: {a: {}}\n"
    sentence = only(LOCAL + types + f"{key}: 1")
    assert sentence.startswith(f"cluster.yaml:5: {key}: is ")
    assert instead in sentence


@pytest.mark.parametrize(
    ("provider", "key", "says"),
    [
        ("aws", "head_ip", "Ray's on-premise provider (type: ssh here)"),
        ("aws", "worker_ips", "Ray's on-premise provider (type: ssh here)"),
        ("local", "worker_ips", "Ray's on-premise provider (type: ssh here)"),
        ("aws", "namespace", "Kubernetes"),
        ("aws", "location", "Azure"),
        ("aws", "resource_group", "Azure"),
        ("aws", "subscription_id", "Azure"),
        ("aws", "project_id", "Google Cloud"),
        ("aws", "gcp_credentials", "Google Cloud"),
        ("aws", "vsphere_config", "vSphere"),
        ("local", "region", "provider aws"),
        ("local", "coordinator_address", "type: ssh with head_ip and worker_ips"),
        ("aws", "disable_node_updaters", "nodes that are not set up run no tasks"),
    ],
)
def test_a_providers_key_under_another_provider_is_placed(
    provider: str, key: str, says: str
) -> None:
    sentence = only(f"cluster_name: a\nprovider:\n  type: {provider}\n  {key}: [x]")
    assert sentence.startswith(f"cluster.yaml:4: provider.{key}: ")
    assert says in sentence


def test_an_idle_timeout_of_one_type_is_refused_with_the_key_to_use() -> None:
    sentence = only(LOCAL + TYPES + "  a: {idle_timeout_s: 60}")
    assert "idle_timeout_minutes at the top level" in sentence


def test_duplicate_keys_name_both_lines_and_the_rest_is_still_checked() -> None:
    first, second = problems(LOCAL + "max_workers: 1\nmax_workers: 2\nauth: {ssh_port: x}")
    assert str(first) == (
        "cluster.yaml:4: max_workers: duplicate key: already on line 3; keep one of the two"
    )
    assert (second.line, second.key) == (5, "auth.ssh_port")


def test_a_duplicate_key_deep_inside_is_found() -> None:
    sentence = only(LOCAL + "metadata:\n  a:\n    - {b: 1,\n       b: 2}")
    assert sentence.startswith("cluster.yaml:6: metadata.a[0].b: duplicate key: already on line 5")


def test_an_aliased_map_with_a_merge_has_no_duplicates() -> None:
    text = "metadata: {a: &a {x: 1}, b: &b {<<: *a, x: 2}, c: *b, d: {<<: *b, x: 3}}"
    assert parse(LOCAL + text).metadata["d"] == {"x": 3}


def test_a_path_that_does_not_exist_is_named_with_where_it_was_looked_for(tmp_path: Path) -> None:
    found = problems(
        LOCAL + 'file_mounts:\n  "~/data": ./data\nauth: {ssh_public_key: id.pub}', tmp_path
    )
    assert [(problem.line, problem.key) for problem in found] == [
        (4, 'file_mounts."~/data"'),
        (5, "auth.ssh_public_key"),
    ]
    assert found[0].message == f"'./data' does not exist here (looked for {tmp_path / 'data'})"


def test_an_own_private_key_on_aws_needs_the_name_of_its_key_pair(tmp_path: Path) -> None:
    (tmp_path / "key").touch()
    text = AWS + "auth: {ssh_private_key: key}\n" + TYPES + "  a: {node_config: {InstanceType: x}}"
    (problem,) = problems(text, tmp_path)
    assert (problem.line, problem.key) == (6, "available_node_types.a.node_config")
    assert "must name the KeyName" in problem.message
    named = text.replace("InstanceType: x", "InstanceType: x, KeyName: mine")
    assert parse(named, base_dir=tmp_path).auth.ssh_private_key == str(tmp_path / "key")


def test_all_problems_come_at_once_in_the_order_of_the_file() -> None:
    found = problems(
        "max_wrokers: 3\n"
        "budget: -1\n"
        "provider:\n  type: aws\n  project_id: x\n"
        "head_node_type: b\n"
        "available_node_types:\n  a:\n    min_workers: 5\n    resources: {CPU: x}\n"
        "file_mounts: {a: ./none}\n"
    )
    assert [(problem.line, problem.key) for problem in found] == [
        (1, "cluster_name"),
        (1, "max_workers"),
        (1, "max_wrokers"),
        (2, "budget"),
        (5, "provider.project_id"),
        (6, "head_node_type"),
        (8, "available_node_types.a.node_config"),
        (10, "available_node_types.a.resources.CPU"),
        (11, "file_mounts.a"),
    ]


def test_a_file_that_is_not_there_says_where_it_was_looked_for(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="there is no such file") as caught:
        load(tmp_path / "none.yaml")
    assert str(tmp_path / "none.yaml") in str(caught.value)


def test_a_folder_is_not_a_file(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="is a folder"):
        load(tmp_path)


def test_a_file_that_is_not_utf_8_names_the_line(tmp_path: Path) -> None:
    file = tmp_path / "cluster.yaml"
    file.write_bytes(LOCAL.encode() + "# Größe".encode("latin-1"))
    with pytest.raises(ConfigError, match="byte 0xf6 is not UTF-8") as caught:
        load(file)
    assert caught.value.problems[0].line == 3


def refusal(text: str) -> ConfigError | None:
    try:
        parse(text)
    except ConfigError as error:
        return error
    return None


@given(
    st.text(alphabet="abc:-[]{}#&*!|>'\"%@`, \n\t0123456789", max_size=60),
    st.integers(0, len(LOCAL)),
)
def test_no_text_causes_another_error_than_a_config_error(noise: str, at: int) -> None:
    for text in (noise, LOCAL[:at] + noise + LOCAL[at:]):
        error = refusal(text)
        assert error is None or error.problems


# Few words for keys, names and values alike: a node type may be named "provider".
_KEYS = st.sampled_from(
    [
        *("cluster_name", "provider", "type", "max_workers", "available_node_types", "docker"),
        *("head_node_type", "resources", "min_workers", "auth", "file_mounts", "metadata"),
        *("head_ip", "worker_ips", "aws", "local", "ssh"),
    ]
)
_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-2, 9) | st.floats(allow_nan=False) | _KEYS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_KEYS, inner, max_size=5),
    max_leaves=12,
)


@given(st.dictionaries(_KEYS, _VALUES, max_size=8))
def test_no_data_causes_another_error_than_a_config_error(data: dict[str, object]) -> None:
    error = refusal(json.dumps(data))
    assert error is None or error.problems
