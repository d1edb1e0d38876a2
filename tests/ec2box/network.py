"""The wires of the box: a bridge as the VPC, a cable to each host, rules as nftables."""

from __future__ import annotations

import subprocess
from collections.abc import Iterable
from dataclasses import dataclass, replace

BRIDGE, PREFIX = "ec2box", 16
GATEWAY, METADATA = "172.31.0.1", "169.254.169.254"
VPC, PUBLIC = "172.31.0.0/16", "203.0.113.0/24"


def ip(*lines: str, namespace: str | None = None) -> None:
    """Run lines of `ip`, in a network namespace or here."""
    inside = ["-n", namespace] if namespace else []
    done = subprocess.run(
        ["ip", *inside, "-batch", "-"], input="\n".join(lines), text=True, capture_output=True
    )
    if done.returncode:
        raise RuntimeError(f"{done.stderr.strip()}: {lines}")


def make_bridge() -> None:
    """The VPC, with the addresses of the gateway and of the metadata service on it.

    What no host has is unreachable at once, so that nobody waits for a time-out.
    """
    ip(
        f"link add {BRIDGE} type bridge",
        f"addr add {GATEWAY}/{PREFIX} dev {BRIDGE}",
        f"addr add {METADATA}/32 dev {BRIDGE}",
        f"link set {BRIDGE} up",
        f"route replace unreachable {PUBLIC} metric 4000",
    )


@dataclass(frozen=True)
class Cable:
    """A host's connection to the bridge, in a network namespace of its own."""

    namespace: str
    device: str
    address: str
    public: str | None

    def lay(self) -> None:
        """Make it."""
        ip(
            f"netns add {self.namespace}",
            f"link add {self.device} type veth"
            f" peer name eth0 address {_hardware(self.address)} netns {self.namespace}",
            f"link set {self.device} master {BRIDGE} up",
        )
        ip(
            f"addr add {self.address}/{PREFIX} dev eth0",
            "link set lo up",
            "link set eth0 up",
            f"route add default via {GATEWAY}",
            namespace=self.namespace,
        )
        if self.public:
            ip(f"addr add {self.public}/32 dev lo", namespace=self.namespace)
            ip(f"route replace {self.public}/32 via {self.address}")

    def readdressed(self, public: str | None) -> Cable:
        """The same cable with another public address: a host gets a new one at each start."""
        if self.public == public:
            return self
        if self.public:
            ip(f"addr del {self.public}/32 dev lo", namespace=self.namespace)
            ip(f"route del {self.public}/32 via {self.address}")
        if public:
            ip(f"addr add {public}/32 dev lo", namespace=self.namespace)
            ip(f"route replace {public}/32 via {self.address}")
        return replace(self, public=public)

    def plug(self, is_in: bool) -> None:
        """Pull it out, or in: nothing that is sent meanwhile arrives, and nobody is told."""
        ip(f"link set {self.device} {'up' if is_in else 'down'}")

    def limit(self, megabits: float) -> None:
        """How much the host sends at most, a second; 0 for as much as it can."""
        _limit("eth0", megabits, "-n", self.namespace)

    def remove(self) -> None:
        """Take it away; what is gone already is no error."""
        for words in (("link", "del", self.device), ("netns", "del", self.namespace)):
            subprocess.run(["ip", *words], capture_output=True, check=False)


def limit_gateway(megabits: float) -> None:
    """How much all that is not on a host, as the tests, sends to hosts at most, a second."""
    _limit(BRIDGE, megabits)


def _limit(device: str, megabits: float, *where: str) -> None:
    shape = ("tbf", "rate", f"{megabits}mbit", "burst", "64kb", "latency", "400ms")
    change = (
        ["replace", "dev", device, "root", *shape] if megabits else ["del", "dev", device, "root"]
    )
    # A host that came later has no limit that could be taken away.
    subprocess.run(["tc", *where, "qdisc", *change], check=megabits > 0, capture_output=True)


def _hardware(address: str) -> str:
    """The MAC address that goes with an IP address.

    A new host gets an address that has just come free; neighbours that remember the MAC address of
    the host before would send to nobody for up to 45 s. In a VPC that does not happen.
    """
    return "02:00:" + ":".join(f"{int(part):02x}" for part in address.split("."))


@dataclass(frozen=True)
class Opening:
    """New connections from a network to an address are let through at these TCP ports."""

    source: str
    target: str
    first: int
    last: int


class Firewall:
    """Security groups and partitions as one nftables ruleset on the bridge."""

    def __init__(self) -> None:
        self.openings: frozenset[Opening] = frozenset()
        self.guarded: frozenset[str] = frozenset()
        self.parted: frozenset[tuple[str, str]] = frozenset()
        self.bastion = ""  # the one host that tests reach by SSH; empty for all
        self._written = ""

    def apply(self) -> None:
        """Make the rules true; nothing is done where they have not changed."""
        rules = "\n".join(self._rules())
        if rules == self._written:
            return
        table = (
            "table bridge ec2box\ndelete table bridge ec2box\n"
            "table bridge ec2box {\n"
            f"chain rules {{\n{rules}\n}}\n"
            "chain forward { type filter hook forward priority 0; jump rules; }\n"
            "chain output { type filter hook output priority 0; jump rules; }\n"
            "}\n"
        )
        subprocess.run(["nft", "-f", "-"], input=table, text=True, check=True)
        self._written = rules

    def _rules(self) -> Iterable[str]:
        for one, other in sorted(self.parted):
            yield f"ip saddr {one} ip daddr {other} drop"
            yield f"ip saddr {other} ip daddr {one} drop"
        # Connections are refused at their first packet; what belongs to one is let through.
        new = "tcp flags & (syn|ack) == syn"
        if self.bastion:
            yield f"ip saddr {GATEWAY} ip daddr != {self.bastion} tcp dport 22 {new} drop"
        for opening in sorted(self.openings, key=str):
            ports = f"tcp dport {opening.first}-{opening.last}"
            yield f"ip saddr {opening.source} ip daddr {opening.target} {ports} {new} accept"
        for address in sorted(self.guarded):
            yield f"ip daddr {address} {new} drop"
