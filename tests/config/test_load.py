"""Files that load: the seed's, Ray's, and what follows from what they say."""

from __future__ import annotations

import pickle
from pathlib import Path

import pytest
from pydantic import ValidationError

from jupyter_cluster.config import AwsProvider, ClusterConfig, SshProvider, load, parse
from jupyter_cluster.errors import ConfigError
from jupyter_cluster.resources import Resources

pytestmark = pytest.mark.unit

SEED = """\
cluster_name: autoscaler_demo

max_workers: 30

docker:
    image: "rayproject/ray:latest-cpu"
    container_name: "ray_container"

provider:
    type: aws
    region: us-west-1

available_node_types:
    default:
        resources: {}
        node_config:
            InstanceType: m5.4xlarge

head_node_type: default

file_mounts:
    "~/data": "./data"

head_setup_commands: []

setup_commands:
    - pip install tqdm colorthief
"""

LOCAL = "cluster_name: a\nprovider: {type: local}\n"
AWS = "cluster_name: a\nprovider: {type: aws}\n"


@pytest.fixture
def seed_file(tmp_path: Path) -> Path:
    (tmp_path / "data").mkdir()
    file = tmp_path / "cluster.yaml"
    file.write_text(SEED)
    return file


def test_the_seeds_file_loads_unchanged_and_without_notices(seed_file: Path) -> None:
    config = load(seed_file)
    assert (config.cluster_name, config.max_workers) == ("autoscaler_demo", 30)
    assert isinstance(config.provider, AwsProvider)
    assert config.provider.region == "us-west-1"
    assert config.docker.image == "rayproject/ray:latest-cpu"
    assert config.available_node_types["default"].node_config == {"InstanceType": "m5.4xlarge"}
    assert config.file_mounts == {"~/data": str(seed_file.parent / "data")}
    assert config.setup_commands == ("pip install tqdm colorthief",)
    assert config.notices == ()


def test_the_seeds_head_type_gets_all_workers(seed_file: Path) -> None:
    node_type = load(seed_file).node_types()["default"]
    assert (node_type.min_workers, node_type.max_workers) == (0, 30)
    assert node_type.resources == Resources()
    assert node_type.price is None


def test_a_relative_path_is_meant_from_the_files_folder(
    seed_file: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path_factory.mktemp("elsewhere"))
    assert load(str(seed_file)).file_mounts["~/data"] == str(seed_file.parent / "data")


def test_a_tilde_in_a_local_path_is_this_machines_home(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "key.pem").touch()
    assert parse(LOCAL + "auth: {ssh_private_key: ~/key.pem}").auth.ssh_private_key == str(
        tmp_path / "key.pem"
    )


def test_defaults_are_rays_where_ray_has_them() -> None:
    config = parse(AWS)
    assert config.max_workers == 2
    assert config.upscaling_speed is None
    assert config.idle_timeout_minutes == 5
    assert config.cluster_idle_timeout_minutes == 30
    assert (config.budget, config.max_hourly_cost) == (None, None)
    assert config.python.sync is True
    assert (config.auth.ssh_user, config.auth.ssh_port) == ("ubuntu", 22)
    assert isinstance(config.provider, AwsProvider)
    assert config.provider.region == "us-west-2"


def test_a_section_that_is_written_in_part_keeps_its_other_defaults() -> None:
    config = parse(
        "cluster_name: a\n"
        "provider: {type: aws, security_group: {GroupName: mine}}\n"
        "docker: {image: python}\n"
    )
    assert isinstance(config.provider, AwsProvider)
    assert config.provider.region == "us-west-2"
    assert config.provider.security_group.IpPermissions == ()
    assert config.docker.pull_before_run is True


def test_zones_left_out_are_not_those_of_another_region() -> None:
    config = parse("cluster_name: a\nprovider: {type: aws, region: eu-central-1}\n")
    assert isinstance(config.provider, AwsProvider)
    assert config.provider.availability_zone is None


@pytest.mark.parametrize(
    ("kind", "name", "resources"),
    [("aws", "default", {}), ("local", "local", {"CPU": 1}), ("ssh, head_ip: a", "host", {})],
)
def test_a_file_without_node_types_gets_one(
    kind: str, name: str, resources: dict[str, float]
) -> None:
    config = parse(f"cluster_name: a\nmax_workers: 7\nprovider: {{type: {kind}}}")
    assert config.head_node_type == name
    assert config.node_types()[name].resources == Resources.of(resources)
    assert config.node_types()[name].max_workers == 7


def test_on_local_empty_resources_are_one_cpu_and_written_ones_stay() -> None:
    types = parse(
        LOCAL + "head_node_type: a\n"
        "available_node_types: {a: {resources: {}}, b: {}, c: {resources: {CPU: 2, memory: 4e9}}}"
    ).node_types()
    assert types["a"].resources == types["b"].resources == Resources.of(CPU=1)
    assert types["c"].resources == Resources.of(CPU=2, memory=4_000_000_000)
    assert types["a"].price == 0


def test_a_types_own_maximum_wins_but_never_exceeds_the_global_one() -> None:
    types = parse(
        LOCAL + "max_workers: 5\nhead_node_type: few\n"
        "available_node_types: {few: {max_workers: 0}, all: {}, many: {max_workers: 9}}"
    ).node_types()
    assert {name: one.max_workers for name, one in types.items()} == {"few": 0, "all": 5, "many": 5}


def test_limits_carry_what_the_planner_never_exceeds() -> None:
    limits = parse(
        LOCAL + "max_workers: 8\nmax_hourly_cost: 2.5\nupscaling_speed: 1\nidle_timeout_minutes: 2"
    ).limits()
    assert (limits.max_workers, limits.max_hourly_cost, limits.upscaling_speed) == (8, 2.5, 1)
    assert limits.idle_timeout == 120


def test_an_automatic_idle_timeout_is_told_apart_from_a_number() -> None:
    config = parse(LOCAL + "idle_timeout_minutes: auto")
    assert config.limits().idle_timeout is None
    assert parse(LOCAL).limits().idle_timeout == 300.0


def test_setup_commands_are_appended_and_a_types_own_replace_them() -> None:
    config = parse(
        LOCAL + "setup_commands: [all]\nhead_setup_commands: [head]\n"
        "worker_setup_commands: [worker]\ninitialization_commands: [init]\nhead_node_type: a\n"
        "available_node_types:\n  a: {}\n"
        "  b: {worker_setup_commands: [], initialization_commands: [own]}\n"
    )
    assert config.head_setup() == ("all", "head")
    assert config.worker_setup("a") == ("all", "worker")
    assert config.worker_setup("b") == ()
    assert (config.initialization("a"), config.initialization("b")) == (("init",), ("own",))


def test_a_node_type_overrides_the_docker_section_key_by_key() -> None:
    config = parse(
        AWS + "docker: {image: base, run_options: [--init]}\nhead_node_type: a\n"
        "available_node_types: {a: {node_config: {InstanceType: p3}, docker: {worker_image: gpu}}}"
    )
    docker = config.worker_docker("a")
    assert (docker.worker_image, docker.image) == ("gpu", "base")
    assert docker.run_options == ("--init",)
    assert docker.pull_before_run is True


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("22:22", "22:22"),  # 1342 in YAML 1.1
        ("010", "010"),  # 8 in YAML 1.1
        ("2026-01-31", "2026-01-31"),  # a date in YAML 1.1
        ("1e3", 1000.0),  # text in YAML 1.1
        ("12", 12),
        ("1_000", 1000),
        ("-2.5", -2.5),
        ("=", "="),
        ("yes", True),
        ("off", False),
        ("null", None),
        ('"no"', "no"),
    ],
)
def test_scalars_are_read_as_people_mean_them(written: str, read: object) -> None:
    value = parse(LOCAL + f"metadata: {{a: {written}}}").metadata["a"]
    assert value == read
    assert type(value) is type(read)


def test_keys_are_always_text() -> None:
    assert list(parse(LOCAL + "metadata: {on: 1, 12: 2, null: 3}").metadata) == ["on", "12", "null"]


def test_an_empty_value_is_left_alone_where_the_content_is_the_users_own() -> None:
    assert parse(AWS + "metadata: {a: }\n").metadata == {"a": None}


def test_anchors_and_merges_are_followed() -> None:
    types = parse(
        LOCAL + "max_workers: 9\nhead_node_type: a\navailable_node_types:\n"
        "  a: &base {resources: {CPU: 4}, max_workers: 3}\n"
        "  b: {<<: *base, max_workers: 6}\n  c: *base\n"
    ).node_types()
    assert types["b"].resources == types["c"].resources == Resources.of(CPU=4)
    assert (types["b"].max_workers, types["c"].max_workers) == (6, 3)


@pytest.mark.parametrize(
    ("extra", "line", "key"),
    [
        ("head_start_ray_commands: [ray start --head]", 3, "head_start_ray_commands"),
        ("worker_start_ray_commands:", 3, "worker_start_ray_commands"),
        ("provider: {type: aws, cloudwatch: {agent: {}}}", 2, "provider.cloudwatch"),
        ("provider: {type: aws, cache_stopped_nodes: no}", 2, "provider.cache_stopped_nodes"),
        ("provider: {type: aws, worker_liveness_check: no}", 2, "provider.worker_liveness_check"),
        ("provider: {type: aws, foreground_node_launch: no}", 2, "provider.foreground_node_launch"),
        (
            "provider: {type: aws, disable_launch_config_check: yes}",
            2,
            "provider.disable_launch_config_check",
        ),
        (
            "head_node_type: a\n"
            "available_node_types: {a: {node_config: {InstanceType: m5.large}, labels: {b: c}}}",
            4,
            "available_node_types.a.labels",
        ),
    ],
)
def test_a_harmless_key_of_rays_is_ignored_with_a_notice(extra: str, line: int, key: str) -> None:
    text = f"cluster_name: a\n{extra}" if extra.startswith("provider") else AWS + extra
    (notice,) = parse(text).notices
    assert notice.startswith(f"cluster.yaml:{line}: {key}: is ignored: ")


def test_rays_on_premise_file_is_taken_as_ssh() -> None:
    config = parse(
        "cluster_name: default\n"
        "provider:\n  type: local\n  head_ip: 10.0.0.1\n  worker_ips: [10.0.0.2, 10.0.0.3]\n"
        "auth: {ssh_user: me}\n"
    )
    assert isinstance(config.provider, SshProvider)
    assert config.provider.worker_ips == ("10.0.0.2", "10.0.0.3")
    assert config.max_workers == 2
    assert config.notices == ("cluster.yaml:3: provider.type: local with head_ip is taken as ssh",)


def test_on_ssh_all_hosts_may_be_workers_unless_said_otherwise() -> None:
    provider = "cluster_name: a\nprovider: {type: ssh, head_ip: h, worker_ips: [a, b, c, d]}\n"
    assert parse(provider).max_workers == 4
    assert parse(provider + "max_workers: 1").max_workers == 1


def test_what_local_does_not_use_is_said() -> None:
    notices = parse(LOCAL + "docker: {image: x}\nsetup_commands: [a]\nworker_setup_commands: []")
    assert [notice.split(": ")[:2] for notice in notices.notices] == [
        ["cluster.yaml:3", "docker"],
        ["cluster.yaml:4", "setup_commands"],
    ]


def test_a_file_may_start_with_a_byte_order_mark(tmp_path: Path) -> None:
    file = tmp_path / "cluster.yaml"
    file.write_bytes(b"\xef\xbb\xbf" + LOCAL.encode())
    assert load(file).cluster_name == "a"


def test_a_configuration_cannot_be_changed_and_survives_pickling() -> None:
    config = parse(LOCAL + "docker: {image: x}")
    with pytest.raises(ValidationError):
        config.max_workers = 3  # type: ignore[misc]
    copy = pickle.loads(pickle.dumps(config))
    assert copy == config
    assert copy.notices == config.notices != ()


def test_a_configuration_survives_json(seed_file: Path) -> None:
    config = load(seed_file)
    copy = ClusterConfig.model_validate_json(config.model_dump_json())
    assert copy.model_dump() == config.model_dump()
    assert copy.node_types() == config.node_types()


def test_credentials_are_in_no_repr() -> None:
    config = parse(
        "cluster_name: a\nprovider: {type: aws, aws_credentials: {aws_secret_access_key: hush}}\n"
    )
    assert "hush" not in repr(config) + str(config) + config.model_dump_json()
    assert isinstance(config.provider, AwsProvider)
    secret = config.provider.aws_credentials["aws_secret_access_key"]
    assert secret.get_secret_value() == "hush"


def test_a_registered_provider_is_known_and_checks_its_own_keys(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    info = tmp_path / "cloudy-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: cloudy\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[jupyter_cluster.providers]\ncloudy = cloudy:Provider")
    text = "cluster_name: a\nprovider: {type: cloudy, flavour: big, cloudwatch: 1}\n"
    with pytest.raises(ConfigError, match="unknown provider"):
        parse(text)
    monkeypatch.syspath_prepend(tmp_path)
    config = parse(text)
    assert isinstance(config, ClusterConfig)
    assert config.provider.model_extra == {"flavour": "big", "cloudwatch": 1}
    assert config.notices == ()


def test_secrets_are_in_the_json_only_where_they_are_asked_for():
    config = parse(
        "cluster_name: a\n"
        "provider:\n  type: aws\n"
        "  aws_credentials: {aws_access_key_id: AKIA, aws_secret_access_key: SE}\n"
        "available_node_types: {any: {node_config: {InstanceType: m5.large}}}\n"
        "head_node_type: any\n"
    )
    again = ClusterConfig.model_validate_json(config.as_json(with_secrets=True))
    assert again.as_json(with_secrets=True) == config.as_json(with_secrets=True)
    assert again.provider.aws_credentials["aws_access_key_id"].get_secret_value() == "AKIA"
    assert "AKIA" not in config.as_json(with_secrets=False)
    assert "AKIA" not in repr(config)
