"""The AWS provider against moto in this process: what it asks of AWS, and what is there then.

Whole clusters are in tests/ec2box.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from aws_account import KEY, Recorder, an_account, an_image

from jupyter_cluster.client.launch_hosted import _note_host, _public_key
from jupyter_cluster.client.registry import entry
from jupyter_cluster.config import ClusterConfig, parse
from jupyter_cluster.config._sections import (
    Auth,
    HeadRole,
    KeyPair,
    NodeDocker,
    NodeTypeConfig,
    SecurityGroup,
)
from jupyter_cluster.config._sections import (
    AwsProvider as Section,
)
from jupyter_cluster.errors import ProviderError
from jupyter_cluster.model import NodeState
from jupyter_cluster.nodes.container import container_of
from jupyter_cluster.providers.aws import AwsProvider, foundation, leavings, policies, rules, tags
from jupyter_cluster.providers.aws.service import Service
from jupyter_cluster.providers.aws.tags import ID, Owner
from jupyter_cluster.providers.base import Instance

pytestmark = pytest.mark.unit

OWNER = Owner("small", "0123456789ab", "arn:aws:sts::1:assumed-role/lab/doe,jane")
REGION = "us-west-1"
IMAGE = "ami-0abcdef1234560001"


@pytest.fixture(autouse=True)
def account() -> Iterator[None]:
    """One for each test."""
    with an_account():
        yield


def merged(base: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    result = dict(base)
    for key, value in changes.items():
        old = result.get(key)
        both = isinstance(old, dict) and isinstance(value, dict)
        result[key] = merged(old, value) if both else value
    return result


BASE: dict[str, Any] = {
    "cluster_name": "small",
    "max_workers": 4,
    "provider": {"type": "aws", "region": REGION},
    "available_node_types": {
        "head": {"node_config": {"InstanceType": "m5.large", "ImageId": "IMAGE"}},
        "worker": {"node_config": {"InstanceType": "m5.large", "ImageId": "IMAGE"}},
    },
    "head_node_type": "head",
}


def configuration(changes: dict[str, Any], folder: Path | None = None) -> ClusterConfig:
    content = merged(BASE, changes)
    text = yaml.safe_dump(content).replace("IMAGE", an_image(content["provider"]["region"]))
    return parse(text, base_dir=folder)


def provider(config: ClusterConfig) -> tuple[AwsProvider, Recorder]:
    given: Any = config.provider
    secrets = {name: value.get_secret_value() for name, value in given.aws_credentials.items()}
    recorder = Recorder(given.region, secrets)
    return AwsProvider(config, OWNER, service=recorder), recorder


def launched(config: ClusterConfig, public_key: str = KEY) -> tuple[AwsProvider, Recorder]:
    """A head and a worker."""
    made, recorder = provider(config)
    made.prepare(public_key, lambda _text: None)
    made.create_head(1.0)
    made.create("worker", ["worker-1"])
    return made, recorder


def group_rows(service: Service, name: str) -> list[dict[str, Any]]:
    filters = [{"Name": "group-name", "Values": [name]}]
    found = service.ask("describe_security_groups", Filters=filters)["SecurityGroups"][0]
    return list(rules.singles(found["IpPermissions"]).values())


JUPYTER = {"IpProtocol": "tcp", "FromPort": 8888, "ToPort": 8888}


def opening(network: str, **more: str) -> dict[str, Any]:
    return {**JUPYTER, "IpRanges": [{"CidrIp": network, **more}]}


def test_a_group_of_the_users_is_joined_and_left_as_it_was() -> None:
    plain = Recorder(REGION)
    theirs = plain.ask("create_security_group", GroupName="lab", Description="lab")["GroupId"]
    before = group_rows(plain, "lab")
    given = {"GroupName": "lab", "IpPermissions": [opening("10.0.0.0/8")]}
    made, recorder = launched(configuration({"provider": {"security_group": given}}))
    assert group_rows(plain, "lab") == before
    own = group_rows(plain, OWNER.label)
    assert any(rule.get("FromPort") == 8888 for rule in own)
    for request in recorder.of("run_instances"):
        (interface,) = request["NetworkInterfaces"]
        assert interface["Groups"][1:] == [theirs]
        assert interface["Groups"][0] != theirs
    made.release(lambda _text: None)
    assert group_rows(plain, "lab") == before


def test_who_may_make_no_group_does_with_their_own() -> None:
    theirs = Recorder(REGION).ask("create_security_group", GroupName="lab", Description="lab")
    config = configuration({"provider": {"security_group": {"GroupName": "lab"}}})
    made, recorder = provider(config)
    recorder.refuse["create_security_group"] = ["UnauthorizedOperation"] * 9
    made.prepare(KEY, lambda _text: None)
    made.create("worker", ["worker-1"])
    (request,) = recorder.of("run_instances")
    assert request["NetworkInterfaces"][0]["Groups"] == [theirs["GroupId"]]


def test_rules_follow_the_file_and_leave_those_of_others() -> None:
    def up(*permissions: dict[str, Any], **more: Any) -> list[dict[str, Any]]:
        group = {"security_group": {"IpPermissions": list(permissions)}, **more}
        made, _recorder = provider(configuration({"provider": group}))
        made.prepare(KEY, lambda _text: None)
        return group_rows(Recorder(REGION), OWNER.label)

    def ports(rows: list[dict[str, Any]]) -> list[tuple[Any, str]]:
        found = [
            (row.get("FromPort"), row["IpRanges"][0]["CidrIp"]) for row in rows if "IpRanges" in row
        ]
        return sorted(found)

    ssh = (22, "198.51.100.7/32")
    assert ports(up()) == [ssh]
    two = up(opening("10.0.0.0/8"), opening("10.1.0.0/16", Description="mine"))
    assert ports(two) == [ssh, (8888, "10.0.0.0/8"), (8888, "10.1.0.0/16")]
    Recorder(REGION).ask(
        "authorize_security_group_ingress",
        GroupId=made_group(),
        IpPermissions=[opening("10.9.0.0/16", Description="by hand")],
    )
    assert ports(up(opening("10.0.0.0/8"))) == [
        ssh,
        (8888, "10.0.0.0/8"),
        (8888, "10.9.0.0/16"),
    ]
    moved = up(ssh_from=["203.0.113.0/24"])
    assert ports(moved) == [(22, "203.0.113.0/24"), (8888, "10.9.0.0/16")]
    private = up(use_internal_ips=True)
    assert (22, "10.0.0.0/8") in ports(private)
    assert (22, "203.0.113.0/24") not in ports(private)


def made_group() -> str:
    filters = [{"Name": f"tag:{ID}", "Values": [OWNER.id]}]
    rows = Recorder(REGION).ask("describe_security_groups", Filters=filters)["SecurityGroups"]
    return str(rows[0]["GroupId"])


def test_what_was_made_a_moment_ago_may_be_unknown_for_a_while() -> None:
    made, recorder = provider(configuration({}))
    late = {
        "authorize_security_group_ingress": "InvalidGroup.NotFound",
        "describe_security_groups": "InvalidGroup.NotFound",
        "put_role_policy": "NoSuchEntity",
        "get_instance_profile": "NoSuchEntity",
        "add_role_to_instance_profile": "NoSuchEntity",
        "delete_role": "DeleteConflict",
        "delete_security_group": "DependencyViolation",
    }
    recorder.refuse = {operation: [code] * 2 for operation, code in late.items()}
    made.prepare(KEY, lambda _text: None)
    made.create_head(1.0)
    assert [one.node_id for one in made.instances()] == ["head"]
    made.release(lambda _text: None)
    assert made.left() == []


OTHER = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ0zoJqH0rsuNX4rcHCG6K0cXnUUBX0HTSU2ZOvQHcyI y"


def key_there() -> str:
    named = {"KeyNames": [OWNER.label], "IncludePublicKey": True}
    return str(Recorder(REGION).ask("describe_key_pairs", **named)["KeyPairs"][0]["PublicKey"])


def test_a_changed_key_takes_the_place_of_the_former_where_no_machine_has_that() -> None:
    made, recorder = provider(configuration({}))
    made.prepare(KEY, lambda _text: None)
    made.prepare(KEY.replace(" x", " by another name"), lambda _text: None)
    assert len(recorder.of("delete_key_pair")) == 0
    made.prepare(OTHER, lambda _text: None)
    assert key_there() == OTHER


def test_a_changed_key_that_would_lock_us_out_is_refused() -> None:
    made, _recorder = launched(configuration({}))
    with pytest.raises(ProviderError, match=r"auth\.ssh_public_key is another key than that with"):
        made.prepare(OTHER, lambda _text: None)
    assert key_there() == KEY


def test_what_holds_the_security_group_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(foundation, "_GROUP_SECONDS", 0.0)
    made, recorder = provider(configuration({}))
    made.prepare(KEY, lambda _text: None)
    recorder.refuse["delete_security_group"] = ["DependencyViolation"]  # moto deletes it
    plain = Recorder(REGION)
    subnet = plain.ask("describe_subnets")["Subnets"][0]["SubnetId"]
    how = {"SubnetId": subnet, "Groups": [made_group()], "Description": "of my database"}
    card = plain.ask("create_network_interface", **how)["NetworkInterface"]["NetworkInterfaceId"]
    said = rf"cannot be deleted: it is held by network interface {card} \(.*of my database\)"
    with pytest.raises(ProviderError, match=said):
        made.foundation.delete()
    plain.ask("delete_network_interface", NetworkInterfaceId=card)
    made.release(lambda _text: None)
    assert made.left() == []


def test_what_ec2_tells_in_pages_is_read_to_the_last() -> None:
    made, recorder = launched(configuration({}))
    made.release(lambda _text: None)
    leavings.find(recorder)
    plain = recorder.client("ec2")
    named = {"InstanceIds", "GroupIds", "SubnetIds", "ImageIds", "InstanceTypes", "KeyNames"}
    unpaged = {
        operation
        for _region, operation, parameters in recorder.asked
        if operation.startswith("describe_")
        and plain.can_paginate(operation)
        and not named & parameters.keys()
    }
    assert unpaged == set()


def test_names_that_iam_would_refuse_in_tags_are_written_otherwise() -> None:
    _made, recorder = launched(configuration({}))
    for request in recorder.of("create_role", "create_instance_profile"):
        labels = {tag["Key"]: tag["Value"] for tag in request["Tags"]}
        assert labels["jupyter-cluster:owner"].endswith("/doe_jane")
    (request, _other) = recorder.of("run_instances")
    labels = {tag["Key"]: tag["Value"] for tag in request["TagSpecifications"][0]["Tags"]}
    assert labels["jupyter-cluster:owner"] == OWNER.arn


def test_an_instance_that_was_ended_is_gone_though_ec2_still_shows_it_running() -> None:
    made, _recorder = launched(configuration({}))
    rows = {one.node_id: one for one in made.instances()}
    shown = made._ec2._described()
    made.terminate(["worker-1"])
    made._ec2._described = lambda *_states: shown  # type: ignore[method-assign]
    assert [one.node_id for one in made.instances()] == ["head"]
    assert rows["worker-1"].state is not NodeState.TERMINATED


def test_why_a_node_is_gone_is_what_ec2_says_of_its_own_instance() -> None:
    made, _recorder = launched(configuration({}))
    machine = {one.node_id: one.machine for one in made.instances()}
    Recorder(REGION).ask("terminate_instances", InstanceIds=[machine["worker-1"]])
    reasons = made.why_gone(["worker-1", "worker-2"])
    assert list(reasons) == ["worker-1"]
    assert reasons["worker-1"].startswith("somebody has ended it through EC2 (Client.")
    former, _recorder = provider(configuration({}))
    assert former.why_gone(["head"]) == {}


def test_a_launch_that_is_repeated_makes_no_second_head_and_after_its_end_a_new_one() -> None:
    made, recorder = provider(configuration({}))
    made.prepare(KEY, lambda _text: None)
    recorder.refuse["run_instances"] = ["IdempotentParameterMismatch"]
    made.create_head(1.0)  # launched before, by another `up`
    assert made.instances() == []
    recorder.refuse["run_instances"] = ["IdempotentInstanceTerminated"] * 2
    made.create_head(1.0)
    tokens = [request["ClientToken"] for request in recorder.of("run_instances")]
    assert len(set(tokens)) == 3
    assert tokens[0] == tokens[1]


def test_what_a_launch_template_says_need_not_be_said_again() -> None:
    service = Recorder(REGION)
    data = {
        "InstanceType": "c5.xlarge",
        "ImageId": an_image(REGION),
        "KeyName": "theirs",
        "UserData": base64.b64encode(b"#!/bin/sh\necho theirs").decode(),
    }
    service.ask("create_launch_template", LaunchTemplateName="ours", LaunchTemplateData=data)
    template = {"LaunchTemplateName": "ours", "Version": "$Default"}
    one = {"node_config": {"LaunchTemplate": template}}
    types = {"available_node_types": {"one": one}, "head_node_type": "one"}
    config = parse(yaml.safe_dump({**BASE, **types}))
    made, recorder = provider(config)
    assert made.node_types(config.node_types())["one"].resources.get("CPU") == 4
    made.prepare(KEY, lambda _text: None)
    made.create("one", ["one-1"])
    (request,) = recorder.of("run_instances")
    assert request["LaunchTemplate"] == template
    said = (request["InstanceType"], request["ImageId"], request["KeyName"])
    assert said == ("c5.xlarge", data["ImageId"], "theirs")
    assert "echo theirs" in request["UserData"]


def with_template(**data: Any) -> ClusterConfig:
    """A cluster whose only type is what a launch template says."""
    data = {"InstanceType": "m5.large", "ImageId": an_image(REGION), **data}
    make = "create_launch_template"
    Recorder(REGION).ask(make, LaunchTemplateName="ours", LaunchTemplateData=data)
    one = {"node_config": {"LaunchTemplate": {"LaunchTemplateName": "ours"}}}
    types = {"available_node_types": {"worker": one}, "head_node_type": "worker"}
    return parse(yaml.safe_dump({**BASE, **types}))


def test_the_head_may_do_what_only_a_launch_template_asks_for() -> None:
    disk = {"DeviceName": "/dev/sda1", "Ebs": {"VolumeSize": 9, "KmsKeyId": "alias/mine"}}
    config = with_template(Placement={"GroupName": "near"}, BlockDeviceMappings=[disk])
    made, recorder = provider(config)
    made.prepare(KEY, lambda _text: None)
    (policy,) = recorder.of("put_role_policy")
    assert "kms:CreateGrant" in policy["PolicyDocument"]
    assert "placement-group/*" in policy["PolicyDocument"]


def test_what_a_launch_template_protects_can_be_ended() -> None:
    _made, recorder = launched(with_template(DisableApiTermination=True))
    assert [r["DisableApiTermination"] for r in recorder.of("run_instances")] == [False, False]


def test_a_disk_that_a_launch_template_keeps_is_kept() -> None:
    disk = {"DeviceName": "/dev/sdb", "Ebs": {"VolumeSize": 9, "DeleteOnTermination": False}}
    made, recorder = provider(with_template(BlockDeviceMappings=[disk]))
    labels = [tags.made_with("volume", OWNER)]
    how = {"AvailabilityZone": zone(0), "Size": 9, "TagSpecifications": labels}
    Recorder(REGION).ask("create_volume", **how)
    said: list[str] = []
    made.on_notice = said.append  # type: ignore[method-assign]
    made.release(lambda _text: None)
    assert recorder.of("delete_volume") == []
    assert "as DeleteOnTermination: false says" in "".join(said)


def test_a_launch_template_that_asks_for_spot_instances_is_said_before_anything_is_made() -> None:
    made, recorder = provider(with_template(InstanceMarketOptions={"MarketType": "spot"}))
    with pytest.raises(ProviderError, match="ours asks for spot instances, for the head and"):
        made.survey()
    assert not recorder.of("create_security_group")


def test_the_policy_for_a_file_has_what_its_launch_template_names_or_says_what_is_missing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with_template(Placement={"GroupName": "near"})
    (tmp_path / "cluster.yaml").write_text(TEMPLATED)
    policies.main([str(tmp_path / "cluster.yaml")])
    assert "placement-group/*" in capsys.readouterr().out
    (tmp_path / "cluster.yaml").write_text(TEMPLATED.replace("ours", "theirs"))
    policies.main([str(tmp_path / "cluster.yaml")])
    out, said = capsys.readouterr()
    assert "placement-group/*" not in out
    assert "launch templates cannot be read" in said
    assert "What only they name is missing here: KMS keys" in said


TEMPLATED = f"""
cluster_name: small
provider: {{type: aws, region: {REGION}}}
head_node_type: one
available_node_types: {{one: {{node_config: {{LaunchTemplate: {{LaunchTemplateName: ours}}}}}}}}
"""


def test_an_image_for_other_machines_is_said_before_anything_is_made() -> None:
    arm = {"node_config": {"InstanceType": "m6g.large"}}
    made, recorder = provider(configuration({"available_node_types": {"worker": arm}}))
    with pytest.raises(ProviderError, match=r"is for x86_64, and m6g\.large is a machine of arm64"):
        made.survey()
    assert not recorder.of("create_security_group")


# -- every documented key -------------------------------------------------------------------------


def said(config: ClusterConfig, public_key: str = KEY) -> str:
    """All that a configuration asks of AWS, and the plan that it is for its nodes."""
    made, recorder = launched(config, public_key)
    plan = [
        [one.detail for one in made.instances()],
        config.node_types(),
        config.limits(),
        [config.initialization(name) for name in config.available_node_types],
        [config.worker_setup(name) for name in config.available_node_types],
        [container_of(config, name, False, 0, 1e9) for name in config.available_node_types],
        recorder._session.get_credentials().access_key,
        recorder.asked,
    ]
    # Ids, moments and what is made of them are others in each account of moto's.
    moments, ids = r"\d{4}-\d\d-\d\dT[\d:]+Z", r"\b[a-z]+-[0-9a-f]{8,}\b|\b[0-9a-f]{16,}\b"
    return re.sub(f"{moments}|{ids}", "", repr(plan))


def zone(index: int) -> str:
    rows = Recorder(REGION).ask("describe_subnets")["Subnets"]
    return sorted(row["AvailabilityZone"] for row in rows)[index]


WORKER = ("available_node_types", "worker")
# A value for each documented key, other than what the base has; a callable is asked in the account.
VALUES: dict[type, tuple[tuple[str, ...], dict[str, Any]]] = {
    Section: (
        ("provider",),
        {
            "region": "eu-west-1",
            "availability_zone": lambda: zone(-1),
            "use_internal_ips": True,
            "ssh_from": ["203.0.113.0/24"],
            "head_instance_profile": "mine",
            "aws_credentials": {"aws_access_key_id": "another", "aws_secret_access_key": "b"},
        },
    ),
    SecurityGroup: (
        ("provider", "security_group"),
        {"GroupName": "lab", "IpPermissions": [opening("10.0.0.0/8")]},
    ),
    HeadRole: (
        ("provider", "head_role"),
        {"path": "/science/", "permissions_boundary": "arn:aws:iam::aws:policy/ReadOnlyAccess"},
    ),
    KeyPair: (("provider", "key_pair"), {"key_name": "mine"}),
    NodeTypeConfig: (
        WORKER,
        {
            "node_config": {"EbsOptimized": True},
            "resources": {"CPU": 1},
            "min_workers": 1,
            "max_workers": 3,
            "spot": True,
            "initialization_commands": ["one"],
            "worker_setup_commands": ["two"],
        },
    ),
    NodeDocker: (
        (*WORKER, "docker"),
        {"worker_image": "other", "pull_before_run": False, "worker_run_options": ["-e A=1"]},
    ),
}
ELSEWHERE = {
    (Section, "type"),  # which provider it is
    (Section, "security_group"),  # sections of their own
    (Section, "head_role"),
    (Section, "key_pair"),
    (NodeTypeConfig, "docker"),
}
KEYS = [(one, key) for one in VALUES for key in one.model_fields if (one, key) not in ELSEWHERE]


# Each key of a container counts where there is one.
WITH_DOCKER = {"docker": {"image": "some"}}


@pytest.fixture(scope="module")
def usual() -> str:
    """What the base asks, in an account of its own."""
    with an_account():
        prepare_names()
        return said(configuration(WITH_DOCKER))


def prepare_names() -> None:
    """What values name."""
    service = Recorder(REGION)
    service.ask("import_key_pair", KeyName="mine", PublicKeyMaterial=KEY.encode())
    service.ask("create_instance_profile", "iam", InstanceProfileName="mine")


def test_the_same_configuration_asks_the_same(usual: str) -> None:
    prepare_names()
    assert said(configuration(WITH_DOCKER)) == usual


@pytest.mark.parametrize(("section", "key"), KEYS, ids=lambda one: getattr(one, "__name__", one))
def test_every_documented_key_changes_what_is_asked_of_aws_or_the_plan(
    section: type, key: str, usual: str
) -> None:
    prepare_names()
    where, values = VALUES[section]
    value = values[key]() if callable(values[key]) else values[key]
    changes: dict[str, Any] = {key: value}
    for name in reversed(where):
        changes = {name: changes}
    assert said(configuration(merged(WITH_DOCKER, changes))) != usual


AUTH = {
    "ssh_user": "ec2-user",
    "ssh_private_key": "id",
    "ssh_public_key": "id.pub",
    "ssh_proxy_command": "ssh -W %h:%p bastion",
    "ssh_port": 2222,
}


@pytest.mark.parametrize("key", Auth.model_fields)
def test_every_documented_key_of_auth_changes_how_hosts_are_reached(
    key: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("JUPYTER_CLUSTER_HOME", str(tmp_path / "registry"))
    (tmp_path / "id").write_text("private")
    (tmp_path / "id.pub").write_text(KEY)
    place = entry("small")
    place.credentials.mkdir(parents=True)
    head = Instance("head", "head", NodeState.CONNECTING)

    def reached(auth: dict[str, Any]) -> list[Any]:
        config = configuration(
            {"auth": auth, "provider": {"key_pair": {"key_name": "mine"}}}, tmp_path
        )
        made, _recorder = provider(config)
        made.prepare("", lambda _text: None)
        opened = [
            rule["FromPort"] for rule in group_rows(made.service, OWNER.label) if "FromPort" in rule
        ]
        return [_note_host(place, config, head), _public_key(place, config), opened]

    assert reached({key: AUTH[key]}) != reached({})
