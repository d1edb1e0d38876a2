"""What EC2 would refuse is told without asking it."""

from __future__ import annotations

import pytest

from jupyter_cluster.config import parse
from jupyter_cluster.config.images import known_images
from jupyter_cluster.errors import ConfigError

pytestmark = pytest.mark.unit

START = """\
cluster_name: a
provider: {type: aws}
head_node_type: a
available_node_types:
  a:
    node_config:
      InstanceType: m5.large
"""


def said(extra: str) -> str:
    with pytest.raises(ConfigError) as caught:
        parse(START + "      " + extra)
    (problem,) = caught.value.problems
    where = "cluster.yaml:8: available_node_types.a.node_config."
    assert str(problem).startswith(where)
    return str(problem).removeprefix(where)


@pytest.mark.parametrize(
    ("extra", "says"),
    [
        ("ImageID: ami-1", "ImageID: EC2 knows no such key here; did you mean ImageId?"),
        ("SubnetIDs: [a]", "SubnetIDs: EC2 knows no such key here; did you mean SubnetIds?"),
        ("Qqqqqqq: 1", "Qqqqqqq: EC2 knows no such key here"),
        ("SubnetIds: subnet-1", "SubnetIds: must be a list, not the text 'subnet-1'"),
        ("BlockDeviceMappings: {DeviceName: /dev/a}", "BlockDeviceMappings: must be a list, not a"),
        (
            "BlockDeviceMappings: [{Ebs: {VolumSize: 5}}]",
            "BlockDeviceMappings[0].Ebs.VolumSize: EC2 knows no such key here; did you mean "
            "VolumeSize? Allowed: DeleteOnTermination, ",
        ),
        (
            "BlockDeviceMappings: [{Ebs: {VolumeSize: 5GB}}]",
            "BlockDeviceMappings[0].Ebs.VolumeSize: must be a whole number, not the text '5GB'",
        ),
        ("EbsOptimized: 1", "EbsOptimized: must be true or false, not the number 1"),
        ("Monitoring: true", "Monitoring: must be a map (key: value), not true"),
        ("KeyName:", "KeyName: must be text, not empty"),
        (
            "LaunchTemplate: {LaunchTemplateName: x, Version: 2}",
            "LaunchTemplate.Version: must be text, but YAML reads 2 as the number 2; put it in "
            'quotes: "2"',
        ),
        (
            "InstanceMarketOptions: {MarketType: SPOT}",
            "InstanceMarketOptions.MarketType: upper and lower case matter: write spot",
        ),
        (
            "InstanceInitiatedShutdownBehavior: terminat",
            "InstanceInitiatedShutdownBehavior: EC2 knows no such value, 'terminat'; did you mean "
            "terminate? As of botocore ",
        ),
        (
            "BlockDeviceMappings: [{Ebs: {VolumeType: gp33}}]",
            "BlockDeviceMappings[0].Ebs.VolumeType: EC2 knows no such value, 'gp33'; did you mean "
            "gp3? As of botocore ",
        ),
        (
            "Placement: {Tenancy: shared}",
            "Placement.Tenancy: EC2 knows no such value, 'shared'. As of botocore ",
        ),
        (
            "TagSpecifications: [{ResourceType: instances}]",
            "TagSpecifications[0].ResourceType: EC2 knows no such value, 'instances'; did you mean "
            "instance?",
        ),
        (
            "ImageId: latest_dlamy",
            "ImageId: 'latest_dlamy' is neither an AMI's id (ami-…) nor a known name; did you mean "
            "latest_dlami? Known: ubuntu-24.04, ",
        ),
    ],
)
def test_a_slip_in_a_node_config_is_named_with_its_line(extra: str, says: str) -> None:
    assert said(extra).startswith(says)


@pytest.mark.parametrize(
    "extra",
    [
        "SubnetIds: [subnet-1]",
        "SubnetId: subnet-1",
        "BlockDeviceMappings: [{DeviceName: /dev/sda1, Ebs: {VolumeSize: 140, VolumeType: gp3}}]",
        "IamInstanceProfile: {Arn: a}",
        "InstanceMarketOptions: {MarketType: spot, SpotOptions: {MaxPrice: '0.1'}}",
        "LaunchTemplate: {LaunchTemplateName: x, Version: $Latest}",
        "NetworkInterfaces: [{DeviceIndex: 0, Groups: [sg-1]}]",
        "NetworkInterfaces: [{NetworkInterfaceId: eni-1, DeleteOnTermination: false}]",
        "TagSpecifications: [{ResourceType: instance, Tags: [{Key: a, Value: b}]}]",
        "ImageId: resolve:ssm:/a/b",
        "ImageId: /a/b",
        "ImageId: ami-0a2363a9cff180a64",
        *(f"ImageId: {name}" for name in known_images()),
    ],
)
def test_what_ec2_takes_is_taken(extra: str) -> None:
    assert parse(START + "      " + extra).available_node_types["a"].node_config


def test_values_that_ec2_knows_are_named_where_they_are_few() -> None:
    assert said("Placement: {Tenancy: hots}").endswith(": dedicated, default, host")
    assert "Tenancy: EC2 knows no such value, 'hots'; did you mean host?" in said(
        "Placement: {Tenancy: hots}"
    )


def test_a_type_of_instance_may_be_newer_than_botocore() -> None:
    (notice,) = parse(START.replace("m5.large", "m5.lage")).notices
    where = "cluster.yaml:7: available_node_types.a.node_config.InstanceType: botocore "
    assert notice.startswith(where)
    assert notice.endswith("knows no 'm5.lage'; did you mean m5.large? `up` asks EC2")
    assert not parse(START).notices


def test_rules_of_the_security_group_are_looked_at_too() -> None:
    rule = "{FromPort: '22', ToPort: 22, IpProtocol: tcp, IpRanges: [{CidrIP: 0.0.0.0/0}]}"
    provider = f"{{type: aws, security_group: {{IpPermissions: [{rule}]}}}}"
    with pytest.raises(ConfigError) as caught:
        parse(START.replace("{type: aws}", provider))
    port, cidr = (str(problem) for problem in caught.value.problems)
    assert "IpPermissions[0].FromPort: must be a whole number, not the text '22'" in port
    assert "IpRanges[0].CidrIP: EC2 knows no such key here; did you mean CidrIp?" in cidr


@pytest.mark.parametrize(
    ("extra", "says"),
    [
        ("DisableApiTermination: true", "DisableApiTermination: keeps the cluster from ending"),
        (
            "NetworkInterfaces: [{DeviceIndex: 0, DeleteOnTermination: false}]",
            "NetworkInterfaces[0].DeleteOnTermination: keeps an interface of each node that ends",
        ),
        (
            "InstanceMarketOptions: {SpotOptions: {SpotInstanceType: persistent}}",
            "InstanceMarketOptions.SpotOptions.SpotInstanceType: must be one-time",
        ),
        (
            "InstanceMarketOptions: {SpotOptions: {InstanceInterruptionBehavior: stop}}",
            "InstanceMarketOptions.SpotOptions.InstanceInterruptionBehavior: must be terminate",
        ),
        (
            "MetadataOptions: {HttpEndpoint: disabled}",
            "MetadataOptions.HttpEndpoint: must be enabled on the head",
        ),
        (
            "TagSpecifications: [{ResourceType: instance, Tags: [{Key: 'aws:x', Value: y}]}]",
            "TagSpecifications[0].Tags[0].Key: 'aws:x': names that begin so are reserved",
        ),
        (
            "TagSpecifications: [{ResourceType: volume, Tags: [{Key: k, Value: '"
            + "v" * 257
            + "'}]}]",
            "TagSpecifications[0].Tags[0]: EC2 takes 128 characters in a tag's key",
        ),
        (f"UserData: {'x' * 12_001}", "UserData: has more than 12000 bytes"),
    ],
)
def test_what_ec2_takes_and_a_cluster_suffers_from_is_named(extra: str, says: str) -> None:
    assert said(extra).startswith(says)


def test_spot_instances_in_ec2s_words_are_a_spot_type() -> None:
    market = "      InstanceMarketOptions: {MarketType: spot, SpotOptions: {MaxPrice: '0.1'}}\n"
    assert parse(START + market).available_node_types["a"].spot
    assert not parse(START).available_node_types["a"].spot
    assert not parse(START + market + "    spot: false\n").available_node_types["a"].spot
