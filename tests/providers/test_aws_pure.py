"""What of the AWS provider needs no AWS: plans, tags, quotas, prices."""

from __future__ import annotations

import pytest

from jupyter_cluster.errors import ProviderError, QuotaError
from jupyter_cluster.providers.aws import images, prices, tags
from jupyter_cluster.providers.aws.foundation import Subnet
from jupyter_cluster.providers.aws.kinds import Kind
from jupyter_cluster.providers.aws.launching import Plan, client_token, joined, run_arguments
from jupyter_cluster.providers.aws.preflight import Wanted, quota_notices, zone_notices

pytestmark = pytest.mark.unit

M5 = Kind("m5.4xlarge", 16, 64 * 2**30, "x86_64")
SUBNET = Subnet("subnet-1", "us-west-1a", "vpc-1")


def plan(is_head: bool = False, **node_config) -> Plan:
    config = {"InstanceType": "m5.4xlarge", **node_config}
    groups = ("sg-1", *node_config.get("SecurityGroupIds", ()))
    return Plan(
        "worker", config, "ami-1", "/dev/sda1", 100, groups, "key", "#!/bin/sh", "", False, is_head
    )


def test_a_worker_ends_when_it_shuts_down_and_a_head_keeps_its_disk() -> None:
    worker = run_arguments(plan(), SUBNET, ["a", "b"], {"k": "v"}, False, "token")
    head = run_arguments(plan(is_head=True), SUBNET, ["head"], {}, False, "token")
    assert worker["InstanceInitiatedShutdownBehavior"] == "terminate"
    assert head["InstanceInitiatedShutdownBehavior"] == "stop"
    assert (worker["MinCount"], worker["MaxCount"]) == (1, 2)
    assert worker["MetadataOptions"]["HttpTokens"] == "required"
    assert worker["BlockDeviceMappings"][0]["Ebs"]["VolumeSize"] == 100
    assert {row["ResourceType"] for row in worker["TagSpecifications"]} == {"instance", "volume"}


def test_every_argument_of_the_file_is_passed_on_and_ours_are_kept() -> None:
    written = plan(
        EbsOptimized=True,
        Placement={"GroupName": "near"},
        SecurityGroupIds=["sg-mine"],
        UserData="echo mine",
        TagSpecifications=[{"ResourceType": "instance", "Tags": [{"Key": "team", "Value": "x"}]}],
    )
    made = run_arguments(written, SUBNET, ["a"], {"k": "v"}, True, "token")
    assert made["EbsOptimized"] is True
    assert made["Placement"] == {"GroupName": "near"}
    assert made["NetworkInterfaces"][0]["Groups"] == ["sg-1", "sg-mine"]
    assert "echo mine" in made["UserData"]
    assert "#!/bin/sh" in made["UserData"]
    assert made["InstanceMarketOptions"]["MarketType"] == "spot"
    labels = {tag["Key"] for tag in made["TagSpecifications"][0]["Tags"]}
    assert labels == {"team", "k"}


def test_the_same_launch_has_the_same_token() -> None:
    assert client_token("a", "b") == client_token("a", "b")
    assert client_token("a", "b") != client_token("ab")
    assert len(client_token("a")) <= 64
    assert joined("ours", None) == "ours"


def test_names_of_nodes_fit_into_tags() -> None:
    names = [f"a-rather-long-type-{number}" for number in range(100)]
    batches = list(tags.batches(names))
    assert [name for batch in batches for name in batch] == names
    assert all(len(",".join(batch)) <= tags.MAX_VALUE for batch in batches)


def test_which_zone_has_it_not_is_said_and_none_is_an_error() -> None:
    wanted = Wanted("worker", M5, False, 30, ["us-west-1a", "us-west-1b"])
    assert zone_notices(wanted, ["us-west-1a", "us-west-1b"]) == []
    (notice,) = zone_notices(wanted, ["us-west-1a"])
    assert "not offered in us-west-1b" in notice
    with pytest.raises(ProviderError, match="zones that have it: us-west-1c"):
        zone_notices(wanted, ["us-west-1c"])


def test_how_far_a_quota_goes_is_said_and_none_at_all_is_an_error() -> None:
    wanted = Wanted("worker", M5, False, 30, ["us-west-1a"])
    code = M5.quota_code(False)
    assert quota_notices(wanted, {code: 480.0}, 30) == []
    assert quota_notices(wanted, {code: None}, 30) == []
    (notice,) = quota_notices(wanted, {code: 64.0}, 30)
    assert "enough for 4 of 30 m5.4xlarge" in notice
    with pytest.raises(QuotaError, match=r"may not run a single m5\.4xlarge"):
        quota_notices(wanted, {code: 8.0}, 30)


def test_families_count_against_their_own_quotas() -> None:
    codes = {Kind(name, 4, 1, "x86_64").quota_code(False) for name in ("m5.x", "g5.x", "p3.x")}
    assert len(codes) == 3
    assert M5.quota_code(True) != M5.quota_code(False)


def test_prices_that_nobody_tells_are_estimates_or_unknown() -> None:
    guess = prices.estimated("us-west-1", "m5.4xlarge")
    assert guess is not None
    assert guess.is_estimate
    assert guess.usd == pytest.approx(0.896)
    assert prices.estimated("us-west-1", "x99.huge") is None


def test_an_image_that_nobody_knows_is_refused_with_those_that_there_are() -> None:
    assert images.parameter("ubuntu-24.04", "arm64").endswith("arm64/hvm/ebs-gp3/ami-id")
    with pytest.raises(ProviderError, match=r"neither an AMI's id.*ubuntu-24.04"):
        images.parameter("windows", "x86_64")
