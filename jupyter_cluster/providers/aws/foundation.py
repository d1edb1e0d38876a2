"""What a cluster needs in an account besides instances: subnets, a security group, a key pair.

All that is made here carries the cluster's tags, is made once however often it is asked for, and
is deleted with the cluster. What the user named in the YAML is used and left as it was.
"""

from __future__ import annotations

import http.client
import ipaddress
import operator
import os
import ssl
import time
import urllib.request
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from jupyter_cluster.config import ClusterConfig
from jupyter_cluster.errors import ProviderError
from jupyter_cluster.providers.aws import rules, tags
from jupyter_cluster.providers.aws.key_pair import KeyPair
from jupyter_cluster.providers.aws.sentences import FORBIDDEN
from jupyter_cluster.providers.aws.service import Service, code_of, settled
from jupyter_cluster.providers.aws.tags import Owner

# AWS's own page that answers with the caller's public address.
_ADDRESS_HOST = "checkip.amazonaws.com"
_ADDRESS_PAGE = f"https://{_ADDRESS_HOST}/"
# A network with several addresses may use another for each connection.
_ADDRESS_QUESTIONS = 2
_MAX_ANSWER = 1000
# A group cannot go while a terminated instance's network interface still uses it.
_GROUP_SECONDS = 180.0
_GROUP_PAUSE = 2.0


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
        self.key = KeyPair(service, owner)
        self._subnets: dict[tuple[str, ...], list[Subnet]] = {}
        self._own: dict[str, str] = {}
        self._theirs: dict[str, str] = {}

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
        rows = self._service.pages("describe_subnets", "Subnets", Filters=filters)
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

    # -- security groups ----------------------------------------------------------------------

    def groups(self, vpc: str) -> tuple[str, ...]:
        """The ids of the groups that nodes are in: the cluster's own, and the user's as it is.

        Where the user names a group that is there already, it stays as it was; a user who may make
        none does with theirs alone.
        """
        theirs = self._their_group(vpc)
        try:
            own = self.group(vpc)
        except ProviderError as error:
            if not theirs or code_of(error) not in FORBIDDEN:
                raise
            return (theirs,)
        return tuple(group for group in (own, theirs) if group)

    def group(self, vpc: str) -> str:
        """The id of the cluster's own security group, made now where there is none.

        Inside the group everything is let through, from outside what `open_ssh` lets in.
        """
        if vpc not in self._own:
            self._own[vpc] = self._find_own(vpc) or self._make_group(vpc)
        return self._own[vpc]

    def named(self, names: Sequence[str], vpc: str) -> list[str]:
        """The ids of groups that a node_config names by SecurityGroups.

        Raises
        ------
        ProviderError
            One is not there.
        """
        rows = self._groups_where(vpc, {"group-name": list(names)}) if names else []
        found = {row["GroupName"]: str(row["GroupId"]) for row in rows}
        if missing := [name for name in names if name not in found]:
            raise ProviderError(
                f"SecurityGroups: {vpc} has no security group {', '.join(missing)}; name groups by"
                " SecurityGroupIds, or those of the VPC in which the nodes are"
            )
        return [found[name] for name in names]

    @property
    def made(self) -> tuple[str, ...]:
        """Names of what was made here, by which EC2 complains when it does not know it yet."""
        return (*self._own.values(), self.key.name)

    @property
    def _written_name(self) -> str:
        return str(self._provider.security_group.GroupName or "")

    def _groups_where(self, vpc: str, which: dict[str, list[str]]) -> list[dict[str, Any]]:
        filters = [{"Name": name, "Values": values} for name, values in which.items()]
        filters += [{"Name": "vpc-id", "Values": [vpc]}]
        return self._service.pages("describe_security_groups", "SecurityGroups", Filters=filters)

    def _find_own(self, vpc: str) -> str:
        tagged = {f"tag:{tags.ID}": [self._owner.id]}
        rows = self._groups_where(vpc, tagged)
        return str(rows[0]["GroupId"]) if rows else ""

    def _their_group(self, vpc: str) -> str:
        """The group of this name that is not the cluster's own; empty where there is none."""
        if self._written_name and vpc not in self._theirs:
            rows = self._groups_where(vpc, {"group-name": [self._written_name]})
            others = [row for row in rows if tags.of(row).get(tags.ID) != self._owner.id]
            self._theirs[vpc] = str(others[0]["GroupId"]) if others else ""
        return self._theirs.get(vpc, "")

    def _make_group(self, vpc: str) -> str:
        is_taken = bool(self._their_group(vpc))
        name = self._owner.label if is_taken else self._written_name or self._owner.label
        try:
            answer = self._service.ask(
                "create_security_group",
                GroupName=name,
                Description=f"Nodes of jupyter_cluster {self._owner.name}",
                VpcId=vpc,
                TagSpecifications=[tags.made_with("security-group", self._owner)],
            )
        except ProviderError as error:
            if code_of(error) != "InvalidGroup.Duplicate":
                raise
            # Made a moment ago by another process of this cluster, and not shown yet.
            found = settled(partial(self._shown, vpc, error), partial(operator.is_, error))
            return str(found["GroupId"])
        return str(answer["GroupId"])

    def _shown(self, vpc: str, error: ProviderError) -> dict[str, Any]:
        rows = self._groups_where(vpc, {f"tag:{tags.ID}": [self._owner.id]})
        if not rows:
            raise error
        return rows[0]

    def open_ssh(self, vpc: str, networks: Sequence[str] | None = None) -> Sequence[str]:
        """Make the rules of the cluster's own group what they are to be; returns who may SSH.

        SSH is let in from where this is called and from no former address, or from the networks
        that the cluster YAML names; the rules of the YAML hold too, as they are written now.
        """
        networks = self.ssh_networks() if networks is None else networks
        try:
            group = self.group(vpc)
        except ProviderError as error:
            if not self._their_group(vpc) or code_of(error) not in FORBIDDEN:
                raise
            return ()  # theirs is as it is
        wanted = [
            rules.inside(group),
            *rules.ssh(self._auth.ssh_port, networks),
            *rules.of_file(self._provider.security_group.IpPermissions),
        ]
        row = settled(
            lambda: self._service.ask("describe_security_groups", GroupIds=[group]), _is_new_group
        )["SecurityGroups"][0]
        missing, too_much = rules.difference(row["IpPermissions"], wanted)
        for rule in missing:
            self._change("authorize_security_group_ingress", group, rule)
        for rule in too_much:
            self._change("revoke_security_group_ingress", group, rule)
        return networks

    def _change(self, operation: str, group: str, rule: dict[str, Any]) -> None:
        try:
            settled(
                lambda: self._service.ask(operation, GroupId=group, IpPermissions=[rule]),
                _is_new_group,
            )
        except ProviderError as error:
            if code_of(error) not in ("InvalidPermission.Duplicate", "InvalidPermission.NotFound"):
                raise

    def ssh_networks(self) -> tuple[str, ...]:
        """From where SSH is to be let in."""
        if self._provider.ssh_from:
            return tuple(self._provider.ssh_from)
        if self._provider.use_internal_ips:
            return rules.PRIVATE_NETWORKS
        return tuple(f"{address}/32" for address in caller_addresses())

    # -- the end ------------------------------------------------------------------------------

    def delete(self) -> None:
        """Delete what was made for the cluster, once no instance of it is left.

        Raises
        ------
        ProviderError
            Something could not be deleted.
        """
        self.key.delete()
        for row in self._own_groups():
            self._delete_group(str(row["GroupId"]))

    def _own_groups(self) -> list[dict[str, Any]]:
        ours = self._owner.filters()
        return self._service.pages("describe_security_groups", "SecurityGroups", Filters=ours)

    def _delete_group(self, group: str) -> None:
        deadline = time.monotonic() + _GROUP_SECONDS
        while True:
            try:
                self._service.ask("delete_security_group", GroupId=group)
                return
            except ProviderError as error:
                code = code_of(error)
                if code == "InvalidGroup.NotFound":
                    return
                if code != "DependencyViolation":
                    raise
                if time.monotonic() > deadline:
                    raise self._held(group, error) from error
            time.sleep(_GROUP_PAUSE)

    def _held(self, group: str, error: ProviderError) -> ProviderError:
        """What keeps a group from being deleted; as EC2 says it where that cannot be asked."""
        inside = [{"Name": "group-id", "Values": [group]}]
        named = [{"Name": "ip-permission.group-id", "Values": [group]}]
        try:
            cards = self._service.pages(
                "describe_network_interfaces", "NetworkInterfaces", Filters=inside
            )
            others = self._service.pages(
                "describe_security_groups", "SecurityGroups", Filters=named
            )
        except ProviderError:
            return error
        names = [row["GroupId"] for row in others if row["GroupId"] != group]
        holders = [f"network interface {row['NetworkInterfaceId']}{_use_of(row)}" for row in cards]
        holders += [f"a rule of security group {name}" for name in names]
        if not holders:
            return error
        return ProviderError(
            f"security group {group} cannot be deleted: it is held by {', '.join(holders)}, which"
            " the cluster has not made. Delete that, or take the group out of it, and repeat the"
            " command"
        )

    def left(self) -> list[str]:
        """What of it is there still, for people."""
        groups = [f"security group {row['GroupId']}" for row in self._own_groups()]
        return [*self.key.left(), *groups]


def caller_addresses() -> list[str]:
    """The public IPv4 addresses of this machine, as AWS sees them; mostly one.

    Raises
    ------
    ProviderError
        They cannot be found out.
    """
    context = ssl.create_default_context(cafile=os.environ.get("AWS_CA_BUNDLE"))
    try:
        try:
            found = {_seen_directly(context) for _ in range(_ADDRESS_QUESTIONS)}
        except OSError:  # a network that lets out a proxy only
            with urllib.request.urlopen(_ADDRESS_PAGE, timeout=10, context=context) as answer:
                found = {answer.read(_MAX_ANSWER).decode()}
        return sorted(str(ipaddress.IPv4Address(address.strip())) for address in found)
    except (OSError, ValueError, http.client.HTTPException) as error:
        raise ProviderError(
            f"this machine's public address cannot be found out ({_ADDRESS_PAGE}: {error}); SSH"
            " is let in from there only, unless provider.ssh_from names networks, e.g."
            " [198.51.100.0/24]"
        ) from error


def _seen_directly(context: ssl.SSLContext) -> str:
    """By IPv4, which is how nodes are reached, and past any proxy, which SSH does not take."""
    ipv4 = ("0.0.0.0", 0)
    connection = http.client.HTTPSConnection(
        _ADDRESS_HOST, timeout=10, context=context, source_address=ipv4
    )
    try:
        connection.request("GET", "/")
        return connection.getresponse().read(_MAX_ANSWER).decode()
    finally:
        connection.close()


def _is_new_group(error: ProviderError) -> bool:
    """Whether EC2 does not know a group everywhere yet, which was made a moment ago."""
    return code_of(error) in ("InvalidGroup.NotFound", "InvalidGroupId.NotFound")


def _use_of(card: dict[str, Any]) -> str:
    """What a network interface is there for, as far as EC2 tells."""
    instance = (card.get("Attachment") or {}).get("InstanceId")
    said = f"of {instance}" if instance else str(card.get("Description") or "")
    known = ", ".join(part for part in (str(card.get("Status") or ""), said) if part)
    return f" ({known})" if known else ""


def _subnet(row: dict[str, Any]) -> Subnet:
    return Subnet(row["SubnetId"], row["AvailabilityZone"], row["VpcId"])
