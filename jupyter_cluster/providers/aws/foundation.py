"""What a cluster needs in an account besides instances: subnets, a security group, a key pair.

All that is made here carries the cluster's tags, is made once however often it is asked for, and
is deleted with the cluster. What the user named in the YAML is used and left as it was.
"""

from __future__ import annotations

import os
import ssl
import time
import urllib.request
from dataclasses import dataclass
from typing import Any

from jupyter_cluster.config import ClusterConfig
from jupyter_cluster.errors import ProviderError
from jupyter_cluster.providers.aws import tags
from jupyter_cluster.providers.aws.service import Service, code_of
from jupyter_cluster.providers.aws.tags import Owner

# AWS's own page that answers with the caller's public address.
_ADDRESS_PAGE = "https://checkip.amazonaws.com/"
_SSH_RULE = "SSH for who started the cluster"
# A group cannot go while a terminated instance's network interface still uses it.
_GROUP_SECONDS = 180.0


@dataclass(frozen=True)
class Subnet:
    """Where instances may be launched."""

    id: str
    zone: str
    vpc: str


class Foundation:
    """Finds, makes and deletes it."""

    def __init__(self, service: Service, config: ClusterConfig, owner: Owner) -> None:
        self._service, self._owner = service, owner
        self._provider: Any = config.provider
        self._auth = config.auth
        self._subnets: dict[tuple[str, ...], list[Subnet]] = {}
        self._group = ""

    # -- subnets ------------------------------------------------------------------------------

    def subnets(self, wanted: tuple[str, ...] = ()) -> list[Subnet]:
        """Those named, or those of the default VPC; in the order in which they are to be tried.

        Raises
        ------
        ProviderError
            There is none that would do.
        """
        if wanted not in self._subnets:
            self._subnets[wanted] = self._named(wanted) if wanted else self._of_default_vpc()
        return self._subnets[wanted]

    def _zones(self) -> list[str]:
        written = self._provider.availability_zone or ""
        return [zone.strip() for zone in written.split(",") if zone.strip()]

    def _named(self, wanted: tuple[str, ...]) -> list[Subnet]:
        rows = self._service.ask("describe_subnets", SubnetIds=list(wanted))["Subnets"]
        found = {row["SubnetId"]: _subnet(row) for row in rows}
        zones = self._zones()
        chosen = [found[name] for name in wanted if not zones or found[name].zone in zones]
        if not chosen:
            raise ProviderError(
                f"none of the subnets {', '.join(wanted)} is in the zones of"
                f" provider.availability_zone ({', '.join(zones)})"
            )
        return chosen

    def _of_default_vpc(self) -> list[Subnet]:
        zones = self._zones()
        filters = [{"Name": "default-for-az", "Values": ["true"]}]
        rows = self._service.ask("describe_subnets", Filters=filters)["Subnets"]
        found = sorted((_subnet(row) for row in rows), key=lambda subnet: subnet.zone)
        if not found:
            raise ProviderError(
                f"region {self._service.region} has no default VPC; name subnets by SubnetIds in"
                " each node_config, or make one with `aws ec2 create-default-vpc`"
            )
        if not zones:
            return found
        chosen = [subnet for zone in zones for subnet in found if subnet.zone == zone]
        if not chosen:
            there = ", ".join(subnet.zone for subnet in found)
            raise ProviderError(
                f"provider.availability_zone {', '.join(zones)}: region {self._service.region} has"
                f" subnets in {there} only"
            )
        return chosen

    # -- the security group -------------------------------------------------------------------

    def group(self, vpc: str) -> str:
        """The id of the cluster's security group, made now where there is none.

        Inside the group everything is let through, from outside only SSH, from the caller's
        address (see `open_ssh`).
        """
        if not self._group:
            self._group = self._find_group(vpc) or self._make_group(vpc)
        return self._group

    @property
    def _group_name(self) -> str:
        return self._provider.security_group.GroupName or self._owner.label

    def _find_group(self, vpc: str) -> str:
        filters = [{"Name": "group-name", "Values": [self._group_name]}]
        filters += [{"Name": "vpc-id", "Values": [vpc]}]
        rows = self._service.ask("describe_security_groups", Filters=filters)["SecurityGroups"]
        return str(rows[0]["GroupId"]) if rows else ""

    def _make_group(self, vpc: str) -> str:
        answer = self._service.ask(
            "create_security_group",
            GroupName=self._group_name,
            Description=f"Nodes of jupyter_cluster {self._owner.name}",
            VpcId=vpc,
            TagSpecifications=[_tagged("security-group", self._owner)],
        )
        group = str(answer["GroupId"])
        inside = {"IpProtocol": "-1", "UserIdGroupPairs": [{"GroupId": group}]}
        self._allow(group, [inside, *self._provider.security_group.IpPermissions])
        return group

    def _allow(self, group: str, permissions: list[dict[str, Any]]) -> None:
        try:
            self._service.ask(
                "authorize_security_group_ingress", GroupId=group, IpPermissions=permissions
            )
        except ProviderError as error:
            if code_of(error.__cause__ or error) != "InvalidPermission.Duplicate":
                raise

    def open_ssh(self, vpc: str, address: str | None = None) -> str:
        """Let SSH in from the caller's address, and from no former one; returns the address."""
        address = address or caller_address()
        group = self.group(vpc)
        row = self._service.ask("describe_security_groups", GroupIds=[group])["SecurityGroups"][0]
        is_open = False
        for permission in row["IpPermissions"]:
            for source in permission.get("IpRanges", ()):
                if source.get("Description") != _SSH_RULE:
                    continue
                if source["CidrIp"] == f"{address}/32":
                    is_open = True
                else:
                    self._service.ask(
                        "revoke_security_group_ingress",
                        GroupId=group,
                        IpPermissions=[self._ssh_rule(source["CidrIp"])],
                    )
        if not is_open:
            self._allow(group, [self._ssh_rule(f"{address}/32")])
        return address

    def _ssh_rule(self, network: str) -> dict[str, Any]:
        port = self._auth.ssh_port
        return {
            "IpProtocol": "tcp",
            "FromPort": port,
            "ToPort": port,
            "IpRanges": [{"CidrIp": network, "Description": _SSH_RULE}],
        }

    # -- the key pair -------------------------------------------------------------------------

    @property
    def key_name(self) -> str:
        """The name of the cluster's own key pair."""
        return self._owner.label

    def import_key(self, public_key: str) -> None:
        """Make EC2 know the cluster's key; the private half never leaves this machine."""
        try:
            self._service.ask(
                "import_key_pair",
                KeyName=self.key_name,
                PublicKeyMaterial=public_key.encode(),
                TagSpecifications=[_tagged("key-pair", self._owner)],
            )
        except ProviderError as error:
            if code_of(error.__cause__ or error) != "InvalidKeyPair.Duplicate":
                raise

    # -- the end ------------------------------------------------------------------------------

    def delete(self) -> None:
        """Delete what was made for the cluster, once no instance of it is left.

        Raises
        ------
        ProviderError
            Something could not be deleted.
        """
        ours = self._owner.filters()
        for row in self._service.ask("describe_key_pairs", Filters=ours)["KeyPairs"]:
            self._service.ask("delete_key_pair", KeyName=row["KeyName"])
        for row in self._service.ask("describe_security_groups", Filters=ours)["SecurityGroups"]:
            self._delete_group(str(row["GroupId"]))

    def _delete_group(self, group: str) -> None:
        deadline = time.monotonic() + _GROUP_SECONDS
        while True:
            try:
                self._service.ask("delete_security_group", GroupId=group)
                return
            except ProviderError as error:
                code = code_of(error.__cause__ or error)
                if code == "InvalidGroup.NotFound":
                    return
                if code != "DependencyViolation" or time.monotonic() > deadline:
                    raise
            time.sleep(2.0)

    def left(self) -> list[str]:
        """What of it is there still, for people."""
        ours = self._owner.filters()
        keys = self._service.ask("describe_key_pairs", Filters=ours)["KeyPairs"]
        groups = self._service.ask("describe_security_groups", Filters=ours)["SecurityGroups"]
        return [f"key pair {row['KeyName']}" for row in keys] + [
            f"security group {row['GroupId']}" for row in groups
        ]


def caller_address() -> str:
    """The public IPv4 address of this machine, as AWS sees it.

    Raises
    ------
    ProviderError
        It cannot be found out.
    """
    context = ssl.create_default_context(cafile=os.environ.get("AWS_CA_BUNDLE"))
    try:
        with urllib.request.urlopen(_ADDRESS_PAGE, timeout=10, context=context) as answer:
            return str(answer.read().decode().strip())
    except (OSError, ValueError) as error:
        raise ProviderError(
            f"this machine's public address cannot be found out ({_ADDRESS_PAGE}: {error}); SSH"
            " is let in from there only"
        ) from error


def _subnet(row: dict[str, Any]) -> Subnet:
    return Subnet(row["SubnetId"], row["AvailabilityZone"], row["VpcId"])


def _tagged(kind: str, owner: Owner) -> dict[str, Any]:
    # Looked after until its instances, which renew that, are there.
    expires = tags.moment(time.time() + tags.EXPIRY_SECONDS)
    named = {"Name": owner.label, **owner.tags(), tags.EXPIRES: expires}
    return {"ResourceType": kind, "Tags": tags.as_list(named)}
