"""What of the AWS provider needs no AWS: plans, tags, quotas, prices."""

from __future__ import annotations

import email
import json
from dataclasses import replace

import pytest

from jupyter_cluster.errors import ProviderError, QuotaError
from jupyter_cluster.providers.aws import images, prices, rules, tags
from jupyter_cluster.providers.aws.disks import keeps
from jupyter_cluster.providers.aws.foundation import Subnet
from jupyter_cluster.providers.aws.kinds import Kind
from jupyter_cluster.providers.aws.launching import (
    Plan,
    client_token,
    joined,
    run_arguments,
    subnets_of,
)
from jupyter_cluster.providers.aws.preflight import (
    Wanted,
    quota_notices,
    with_head,
    zone_notices,
)

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


def test_a_disk_goes_with_its_instance_unless_the_file_says_otherwise() -> None:
    written = [
        {"DeviceName": "/dev/sda1", "Ebs": {"VolumeSize": 50}},
        {"DeviceName": "/dev/sdf", "Ebs": {"VolumeSize": 500, "DeleteOnTermination": False}},
        {"DeviceName": "/dev/sdg", "VirtualName": "ephemeral0"},
    ]
    of_image = replace(plan(BlockDeviceMappings=written), kept_disks=["/dev/sdf", "/dev/sdh"])
    made = run_arguments(of_image, SUBNET, ["a"], {}, False, "token")["BlockDeviceMappings"]
    assert [one.get("Ebs", {}).get("DeleteOnTermination") for one in made] == [
        True,
        False,
        None,
        True,
    ]
    assert made[3] == {"DeviceName": "/dev/sdh", "Ebs": {"DeleteOnTermination": True}}
    assert keeps(of_image.node_config)
    assert not keeps(plan().node_config)


def test_a_request_for_spot_instances_ends_with_its_instances() -> None:
    options = {"SpotInstanceType": "persistent", "InstanceInterruptionBehavior": "stop"}
    for more in ({}, {"MaxPrice": "0.1"}):
        market = {"MarketType": "spot", "SpotOptions": {**options, **more}}
        written = plan(InstanceMarketOptions=market)
        made = run_arguments(written, SUBNET, ["a"], {}, True, "token")["InstanceMarketOptions"]
        assert made.get("SpotOptions", {}) == more
        assert made["MarketType"] == "spot"


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


def test_what_ec2_takes_of_interfaces_only_is_moved_there() -> None:
    written = plan(
        SubnetId="subnet-1",
        SecurityGroups=["named"],
        Ipv6AddressCount=1,
        MetadataOptions={"HttpPutResponseHopLimit": 2},
    )
    made = run_arguments(written, SUBNET, ["a"], {}, False, "token")
    (interface,) = made["NetworkInterfaces"]
    assert (interface["SubnetId"], interface["Ipv6AddressCount"]) == ("subnet-1", 1)
    assert not {"SubnetId", "SecurityGroups", "SecurityGroupIds", "Ipv6AddressCount"} & {*made}
    assert made["MetadataOptions"] == {"HttpTokens": "required", "HttpPutResponseHopLimit": 2}


def test_interfaces_of_the_file_are_taken_with_what_they_lack() -> None:
    written = plan(
        NetworkInterfaces=[
            {"SubnetId": "subnet-9", "Groups": ["sg-mine"], "InterfaceType": "efa"},
            {"NetworkCardIndex": 1, "InterfaceType": "efa"},
        ]
    )
    first, second = run_arguments(written, SUBNET, ["a"], {}, False, "t")["NetworkInterfaces"]
    assert (first["SubnetId"], first["Groups"]) == ("subnet-9", ["sg-1", "sg-mine"])
    assert (second["SubnetId"], second["Groups"], second["DeviceIndex"]) == (
        "subnet-1",
        ["sg-1"],
        1,
    )
    # EC2 refuses a public address with more than one interface.
    assert "AssociatePublicIpAddress" not in first
    (existing,) = run_arguments(
        plan(NetworkInterfaces=[{"NetworkInterfaceId": "eni-1", "DeviceIndex": 0}]),
        SUBNET,
        ["a"],
        {},
        False,
        "t",
    )["NetworkInterfaces"]
    assert existing == {"NetworkInterfaceId": "eni-1", "DeviceIndex": 0}
    assert subnets_of(written.node_config) == ("subnet-9",)
    assert subnets_of({"SubnetId": "subnet-8"}) == ("subnet-8",)
    assert subnets_of({"SubnetIds": ["a", "b"]}) == ("a", "b")


def test_on_demand_instances_are_none_of_the_spot_market() -> None:
    market = {"MarketType": "spot", "SpotOptions": {"MaxPrice": "0.1"}}
    tagged = [{"ResourceType": "spot-instances-request", "Tags": [{"Key": "k", "Value": "v"}]}]
    written = plan(InstanceMarketOptions=market, TagSpecifications=tagged)
    instead = run_arguments(written, SUBNET, ["a"], {}, False, "t")
    assert "InstanceMarketOptions" not in instead
    kinds = {row["ResourceType"] for row in instead["TagSpecifications"]}
    assert kinds == {"instance", "volume"}
    spot = run_arguments(written, SUBNET, ["a"], {}, True, "t")
    assert spot["InstanceMarketOptions"] == market
    assert len(spot["TagSpecifications"]) == 3
    block = {"MarketType": "capacity-block"}
    reserved = run_arguments(plan(InstanceMarketOptions=block), SUBNET, ["a"], {}, False, "t")
    assert reserved["InstanceMarketOptions"] == block


@pytest.mark.parametrize(
    ("users", "kind"),
    [
        ("#!/bin/sh\necho", "text/x-shellscript"),
        ("#cloud-config\na: b", "text/cloud-config"),
        ("#include\nhttps://a", "text/x-include-url"),
        ("#cloud-boothook\necho", "text/cloud-boothook"),
        (
            "Content-Type: multipart/mixed; boundary=b\nMIME-Version: 1.0\n\n--b--\n",
            "multipart/mixed",
        ),
    ],
)
def test_user_data_of_every_form_goes_beside_ours(users: str, kind: str) -> None:
    ours, theirs = email.message_from_string(joined("#!/bin/sh\nours", users)).get_payload()
    assert ours.get_content_type() == "text/x-shellscript"
    assert theirs.get_content_type() == kind


def test_rules_are_told_apart_by_what_ec2_tells_them_apart_by() -> None:
    group = "sg-1"
    there = [
        {"IpProtocol": "-1", "UserIdGroupPairs": [{"GroupId": group, "UserId": "1"}]},
        {
            "IpProtocol": "tcp",
            "FromPort": 22,
            "ToPort": 22,
            "IpRanges": [
                {"CidrIp": "198.51.100.1/32", "Description": rules.SSH},
                {"CidrIp": "198.51.100.9/32", "Description": "by hand"},
            ],
        },
    ]
    listed = [{"PrefixListId": "pl-1"}]
    written = [{"IpProtocol": "6", "FromPort": 80, "ToPort": 80, "PrefixListIds": listed}]
    wanted = [
        rules.inside(group),
        *rules.ssh(22, ["198.51.100.2/32", "2001:db8::/64"]),
        *rules.of_file(written),
    ]
    missing, too_much = rules.difference(there, wanted)
    assert [key[4] for key in rules.singles(missing)] == [
        "198.51.100.2/32",
        "2001:db8::/64",
        "pl-1",
    ]
    assert missing[2]["IpProtocol"] == "tcp"
    (revoked,) = too_much
    assert revoked["IpRanges"][0]["CidrIp"] == "198.51.100.1/32"


def test_a_quota_of_no_spot_instances_is_no_refusal() -> None:
    wanted = Wanted("worker", M5, True, 30, ["us-west-1a"])
    codes = {M5.quota_code(True): 0.0, M5.quota_code(False): 480.0}
    (notice,) = quota_notices(wanted, codes, 30, {})
    assert "may not run a single m5.4xlarge as a spot instance" in notice
    assert "on-demand ones are taken" in notice
    with pytest.raises(QuotaError, match="on-demand"):
        quota_notices(wanted, {**codes, M5.quota_code(False): 8.0}, 30, {})


def test_prices_in_another_money_are_estimates_in_usd() -> None:
    term = {"priceDimensions": {"d": {"pricePerUnit": {"CNY": "7.2"}}}}
    price = prices.listed([json.dumps({"terms": {"OnDemand": {"t": term}}})])
    assert price is not None
    assert (price.usd, price.is_estimate) == (1.0, True)
    assert prices.listed([json.dumps({"terms": {"Reserved": {}}})]) is None


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
    assert quota_notices(wanted, {code: 480.0}, 30, {}) == []
    assert quota_notices(wanted, {code: None}, 30, {code: 900}) == []
    (notice,) = quota_notices(wanted, {code: 64.0}, 30, {})
    assert "enough for 4 of 30 m5.4xlarge" in notice
    (notice,) = quota_notices(wanted, {code: 480.0}, 30, {code: 2})  # the head
    assert "enough for 29 of 30 m5.4xlarge" in notice
    assert "2 of them for the head and what runs already" in notice
    (notice,) = quota_notices(wanted, {code: 64.0}, 30, {code: 70})
    assert "enough for 0 of 30" in notice
    with pytest.raises(QuotaError, match=r"may not run a single m5\.4xlarge"):
        quota_notices(wanted, {code: 8.0}, 30, {})


def test_a_head_needs_room_beside_what_runs() -> None:
    code, spot = M5.quota_code(False), M5.quota_code(True)
    assert with_head(M5, {code: 32.0}, {code: 16, spot: 8}) == {code: 32, spot: 8}
    assert with_head(M5, {code: None}, {}) == {code: 16}
    with pytest.raises(QuotaError, match=r"may not run one more m5\.4xlarge .* 17 of them run"):
        with_head(M5, {code: 32.0}, {code: 17})
    with pytest.raises(QuotaError, match=r"the head: .* may not run a single m5\.4xlarge"):
        with_head(M5, {code: 8.0}, {})


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
