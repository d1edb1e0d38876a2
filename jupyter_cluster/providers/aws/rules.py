"""Inbound rules of security groups, one source each: what is missing, what is too much. Pure."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Mapping
from typing import Any

# What marks the rules that are ours to take away again, in their descriptions.
SSH = "SSH for who started the cluster"
OF_FILE = "from the cluster YAML"
# EC2's lists of sources, and what names a source in each.
_SOURCES = {
    "IpRanges": "CidrIp",
    "Ipv6Ranges": "CidrIpv6",
    "PrefixListIds": "PrefixListId",
    "UserIdGroupPairs": "GroupId",
}
_PROTOCOLS = {"6": "tcp", "17": "udp", "1": "icmp", "58": "icmpv6"}
_ALL = "-1"
# Whoever reaches a node by its private address comes from one of these: a VPN, a bastion in the
# VPC, a peered network. The last is for shared addresses, as some VPNs give them.
PRIVATE_NETWORKS = ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10")

# Protocol, ports and source; what EC2 tells rules apart by.
Key = tuple[str, int | None, int | None, str, str]


def singles(permissions: Iterable[Mapping[str, Any]]) -> dict[Key, dict[str, Any]]:
    """Each rule as a permission of its own: EC2 adds all of a list or, where it has one, none."""
    found: dict[Key, dict[str, Any]] = {}
    for permission in permissions:
        protocol = str(permission.get("IpProtocol", _ALL))
        protocol = _PROTOCOLS.get(protocol, protocol)
        ports = {k: permission[k] for k in ("FromPort", "ToPort") if permission.get(k) is not None}
        if protocol == _ALL:
            ports = {}
        for kind, name in _SOURCES.items():
            for source in permission.get(kind) or ():
                key = (
                    protocol,
                    ports.get("FromPort"),
                    ports.get("ToPort"),
                    kind,
                    str(source.get(name, "")),
                )
                found[key] = {"IpProtocol": protocol, **ports, kind: [dict(source)]}
    return found


def difference(
    present: Iterable[Mapping[str, Any]], wanted: Iterable[Mapping[str, Any]]
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """What is to be added, and what of ours is to be revoked; what others have made stays."""
    there, meant = singles(present), singles(wanted)
    missing = [rule for key, rule in meant.items() if key not in there]
    too_much = [rule for key, rule in there.items() if key not in meant and _is_ours(key, rule)]
    return missing, too_much


def _is_ours(key: Key, rule: Mapping[str, Any]) -> bool:
    description = str(rule[key[3]][0].get("Description", ""))
    return description.startswith((SSH, OF_FILE))


def inside(group: str) -> dict[str, Any]:
    """Everything among the members of a group."""
    return {"IpProtocol": _ALL, "UserIdGroupPairs": [{"GroupId": group}]}


def ssh(port: int, networks: Iterable[str]) -> list[dict[str, Any]]:
    """SSH from these networks."""
    made = []
    for network in networks:
        is_new = ipaddress.ip_network(network, strict=False).version == 6
        kind = "Ipv6Ranges" if is_new else "IpRanges"
        source = {_SOURCES[kind]: network, "Description": SSH}
        made.append({"IpProtocol": "tcp", "FromPort": port, "ToPort": port, kind: [source]})
    return made


def of_file(permissions: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """The rules of the cluster YAML, marked as such."""
    made = []
    for rule in singles(permissions).values():
        kind = next(name for name in _SOURCES if name in rule)
        source = rule[kind][0]
        written = source.get("Description", "")
        mark = f"{OF_FILE}: {written}" if written else OF_FILE
        made.append({**rule, kind: [{**source, "Description": mark[:255]}]})
    return made
