"""Moto's EC2 with a real host behind every instance, and with what moto leaves out put right.

Moto runs in this process; its methods are wrapped, since what matters happens inside a call: an
instance is pending first, a client token is honoured, a host boots.
"""

from __future__ import annotations

import copy
import itertools
import threading
import time
import traceback
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import moto.ec2.models.elastic_network_interfaces as interfaces
from moto.ec2 import ec2_backends
from moto.ec2.models.amis import Ami
from moto.ec2.models.instances import Instance, InstanceBackend, InstanceState, StateReason
from moto.iam import iam_backends
from moto.iam.exceptions import NotFoundException as NoSuchEntity
from moto.iam.models import IAMBackend
from moto.ssm.models import Parameter, ssm_backends

from ec2box.host import Host
from ec2box.laws import ENDED, check_quota, launched_before
from ec2box.network import Firewall, Opening

ACCOUNT, REGION = "123456789012", "us-west-1"
# A second region has the same images; its private addresses are those of the first, so that
# hosts of both at once must be in different zones.
REGIONS = (REGION, "us-west-2")
CODES = {"pending": 0, "running": 16, "shutting-down": 32, "terminated": 48}
CODES |= {"stopping": 64, "stopped": 80}
# Calls that may not know a new instance yet; moto asks itself for its own needs too.
_MAY_HIDE = ("DescribeInstances", "DescribeInstanceStatus", "CreateTags", "TerminateInstances")
# Symbolic names of images are public parameters of Systems Manager.
AMIS = {
    "/aws/service/canonical/ubuntu/server/24.04/stable/current/amd64/hvm/ebs-gp3/ami-id": (
        "ami-0abcdef1234560001",
        "ubuntu/images/hvm-ssd-gp3/ubuntu-noble-24.04-amd64-server-20260101",
    ),
    "/aws/service/canonical/ubuntu/server/22.04/stable/current/amd64/hvm/ebs-gp2/ami-id": (
        "ami-0abcdef1234560002",
        "ubuntu/images/hvm-ssd/ubuntu-jammy-22.04-amd64-server-20260101",
    ),
}


class Cloud:
    """The instances with their hosts, and how they behave.

    Attributes
    ----------
    boot_seconds : float
        How long an instance is pending.
    ssh_seconds : float
        How long a booted host takes until its sshd listens.
    mute_seconds : float
        How long its sshd then takes connections and says nothing.
    apt_seconds : float
        How long a host's own upgrades hold apt's locks after its first boot.
    hidden_seconds : float
        How long a new instance is in no answer: EC2 is eventually consistent.
    stale_seconds : float
        How long an instance that has ended is still said to be running.
    stillborn : str
        Instances die at launch, of this: EC2's StateReason, ``code: message``.
    vcpus : dict
        The quotas of vCPUs, of spot instances (True) and of others.
    notices : dict
        Spot notices by instance id, as the metadata service tells them.
    """

    def __init__(self, image: Path, folder: Path, environment: dict[str, str]) -> None:
        self.behave_as_usual()
        self.notices: dict[str, dict[str, str]] = {}
        self.hosts: dict[str, Host] = {}
        self.by_address: dict[str, Instance] = {}
        self.firewall = Firewall()
        self.asked = threading.local()  # `action`: what this thread answers
        self._born: dict[str, float] = {}
        self._tokens: dict[str, tuple[str, Any]] = {}
        self._ended: dict[str, float] = {}
        self._lock = threading.RLock()
        self._workers = ThreadPoolExecutor(8)
        self._image, self._folder, self._environment = image, folder, environment
        for region in REGIONS:
            self._add_images(region)
        self._wrap()

    def behave_as_usual(self) -> None:
        """No faults of its own."""
        self.boot_seconds = self.ssh_seconds = self.hidden_seconds = self.stale_seconds = 0.0
        self.mute_seconds = self.apt_seconds = 0.0
        self.stillborn = ""
        self.vcpus = {False: 64.0, True: 64.0}

    def instance(self, name: str) -> Any:
        """An instance by its id, hidden or not."""
        for backend in _backends():
            for reservation in backend.reservations.values():
                for one in reservation.instances:
                    if one.id == name:
                        return one
        raise KeyError(name)

    def close(self) -> None:
        """End all hosts."""
        for host in list(self.hosts.values()):
            host.destroy()

    def clear(self) -> None:
        """Forget what a test has left, with its hosts: the next one finds an account of its own.

        Ended instances go as well. EC2 shows them for about an hour, moto for ever.
        """
        for reservation in [r for one in _backends() for r in list(one.reservations.values())]:
            for instance in reservation.instances:
                if instance._state.name != "terminated":
                    instance.terminate()
        deadline = time.monotonic() + 30
        while self.hosts and time.monotonic() < deadline:
            time.sleep(0.05)
        for backend in _backends():
            backend.reservations.clear()
            backend.key_pairs.clear()
            backend.volumes.clear()
            for groups in backend.groups.values():
                for name in [name for name, one in groups.items() if one.name != "default"]:
                    del groups[name]
        iam = iam_backends[ACCOUNT]["aws"]
        iam.roles.clear()
        iam.instance_profiles.clear()
        self.notices.clear()

    def _add_images(self, region: str) -> None:
        backend = ec2_backends[ACCOUNT][region]
        for name, (ami, title) in AMIS.items():
            backend.amis[ami] = Ami(
                backend,
                ami_id=ami,
                name=title,
                owner_id="099720109477",
                architecture="x86_64",
                root_device_name="/dev/sda1",
                root_device_type="ebs",
                virtualization_type="hvm",
                region_name=region,
                state="available",
                public=True,
            )
            ssm_backends[ACCOUNT][region]._parameters[name].append(
                Parameter(
                    account_id=ACCOUNT,
                    name=name,
                    value=ami,
                    parameter_type="String",
                    description="",
                    allowed_pattern=None,
                    keyid=None,
                    last_modified_date=time.time(),
                    version=1,
                    data_type="aws:ec2:image",
                )
            )

    # -- what moto does otherwise -------------------------------------------------------------

    def _wrap(self) -> None:
        public = itertools.count(10)
        interfaces.random_public_ip = lambda: f"203.0.113.{next(public) % 245}"
        for owner, name in (
            (InstanceBackend, "run_instances"),
            (InstanceBackend, "all_reservations"),
            (Instance, "terminate"),
            (Instance, "stop"),
            (Instance, "start"),
            (IAMBackend, "remove_role_from_instance_profile"),
        ):
            setattr(owner, name, self._wrapped(getattr(owner, name), getattr(self, f"_{name}")))

    @staticmethod
    def _wrapped(original: Callable[..., Any], ours: Callable[..., Any]) -> Callable[..., Any]:
        def method(this: Any, *args: Any, **options: Any) -> Any:
            return ours(original, this, *args, **options)

        return method

    def _run_instances(self, original: Any, backend: Any, *args: Any, **options: Any) -> Any:
        with self._lock:
            token, content = (
                options.get("client_token"),
                repr((args, sorted(options.items(), key=str))),
            )
            if token in self._tokens:
                return launched_before(*self._tokens[token], content)
            check_quota(backend, args[1], options, self.vcpus)
            if not options.get("subnet_id") and not options.get("nics"):
                zone = options.get("placement") or f"{backend.region_name}a"
                options["subnet_id"] = backend.get_default_subnets()[zone].id
            made = original(backend, *args, **options)
            if token and token != "ABCDE":  # what moto says where there is none
                self._tokens[token] = (content, made)
            names = ("iam_instance_profile_name", "iam_instance_profile_arn")
            profile = {name: options[name] for name in names if options.get(name)}
            for instance in made.instances:
                _set_state(instance, "pending")
                self._born[instance.id] = time.monotonic()
                if profile and instance is not made.instances[0]:
                    backend.associate_iam_instance_profile(instance_id=instance.id, **profile)
        for instance in made.instances:
            self._workers.submit(self._boot, instance)
        return made

    def _remove_role_from_instance_profile(
        self, original: Any, backend: Any, profile: str, role: str
    ) -> None:
        try:
            original(backend, profile, role)
        except ValueError:  # AWS's answer for a role that is not in the profile
            raise NoSuchEntity(f"Role {role} is not in {profile}") from None

    def _all_reservations(self, original: Any, backend: Any, filters: Any = None) -> Any:
        found = original(backend, filters)
        if self.hidden_seconds and getattr(self.asked, "action", "") in _MAY_HIDE:
            for reservation in found:
                reservation.instances = [i for i in reservation.instances if self._is_seen(i)]
            found = [reservation for reservation in found if reservation.instances]
        if self.stale_seconds and getattr(self.asked, "action", "") == "DescribeInstances":
            for reservation in found:
                reservation.instances = [self._as_shown(i) for i in reservation.instances]
        return found

    def _as_shown(self, instance: Any) -> Any:
        if instance._state.name not in ENDED:
            return instance
        ended = self._ended.setdefault(instance.id, time.monotonic())
        if time.monotonic() - ended > self.stale_seconds:
            return instance
        shown = copy.copy(instance)
        shown._state = InstanceState("running", CODES["running"])
        return shown

    def _is_seen(self, instance: Any) -> bool:
        return time.monotonic() - self._born.get(instance.id, 0) > self.hidden_seconds

    def _boot(self, instance: Any) -> None:
        if self.stillborn:
            code = self.stillborn.partition(": ")[0]
            instance.terminate()
            instance._reason, instance.state_reason = "", StateReason(self.stillborn, code)
            return
        try:
            host = self.hosts.get(instance.id) or self._new_host(instance)
            host.cable = host.cable.readdressed(instance.public_ip)
            time.sleep(self.boot_seconds)
            with self._lock:
                if instance._state.name != "pending":
                    return
                host.power_on()
                _set_state(instance, "running")
            self.apply_rules()
            self._workers_watch(instance, host)
        except Exception:
            traceback.print_exc()
            _set_state(instance, "terminated", "Server.InternalError")

    def _new_host(self, instance: Any) -> Host:
        key = ""
        if instance.key_name:
            material = instance.ec2_backend.key_pairs[instance.key_name].material_public
            key = material.decode() if isinstance(material, bytes) else material
        data = instance.user_data
        host = Host(
            name=instance.id,
            address=instance.private_ip,
            image=self._image,
            folder=self._folder / instance.id,
            public_key=key.strip(),
            public=instance.public_ip,
            user_data=data.decode() if hasattr(data, "decode") and data else data or None,
            environment=self._environment,
            ssh_delay=self.ssh_seconds,
            ssh_mute=self.mute_seconds,
            apt_hold=self.apt_seconds,
        )
        host.create()
        self.hosts[instance.id] = host
        self.by_address[instance.private_ip] = instance
        return host

    def _workers_watch(self, instance: Any, host: Host) -> None:
        threading.Thread(target=self._watch, args=(instance, host), daemon=True).start()

    def _watch(self, instance: Any, host: Host) -> None:
        """A machine that shuts itself down is stopped or terminated, as it was launched to be."""
        host.wait()
        with self._lock:
            if instance._state.name != "running" or instance.id not in self.hosts:
                return
        if getattr(host, "is_cut", False):
            return
        code = "Client.InstanceInitiatedShutdown"
        if instance.instance_initiated_shutdown_behavior == "terminate":
            instance.terminate()
        else:
            instance.stop()
        instance._reason = ""
        instance.state_reason = StateReason(f"{code}: Instance initiated shutdown", code)

    def _terminate(self, original: Any, instance: Any) -> Any:
        with self._lock:
            before = instance._state.name
            if before in ("terminated", "shutting-down"):
                return InstanceState(before, CODES[before])
            previous = original(instance)
            _set_state(instance, "shutting-down")
        self._workers.submit(self._finish, instance)
        return previous

    def _finish(self, instance: Any) -> None:
        if host := self.hosts.pop(instance.id, None):
            host.destroy()
        self.by_address.pop(instance.private_ip, None)
        subnet = instance.ec2_backend.get_subnet(instance._subnet_id)
        for address in instance._private_ips:
            subnet.del_subnet_ip(address)
        instance._private_ips = set()
        _set_state(instance, "terminated")
        self.apply_rules()

    def _stop(self, original: Any, instance: Any) -> Any:
        previous = original(instance)
        _set_state(instance, "stopping")

        def finish() -> None:
            self.hosts[instance.id].kill()
            _set_state(instance, "stopped")

        self._workers.submit(finish)
        return previous

    def _start(self, original: Any, instance: Any) -> Any:
        previous = original(instance)
        _set_state(instance, "pending")
        if host := self.hosts.get(instance.id):  # one that was stopped at once has none yet
            host.is_cut = False
        self._workers.submit(self._boot, instance)
        return previous

    # -- faults -------------------------------------------------------------------------------

    def power_cut(self, name: str, then: str) -> None:
        """Cut a host's power; EC2 then says `then`: running, stopped or terminated."""
        host, instance = self.hosts[name], self.instance(name)
        host.is_cut = True
        host.power_cut()
        if then == "terminated":
            instance.terminate()
        else:
            _set_state(instance, then)

    def reclaim(self, name: str, seconds: float) -> None:
        """A spot notice, and so many seconds later the end."""
        moment = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + seconds))
        self.notices[name] = {"action": "terminate", "time": moment}
        threading.Timer(seconds, self._take_back, [name]).start()

    def _take_back(self, name: str) -> None:
        instance, code = self.instance(name), "Server.SpotInstanceTermination"
        instance.terminate()
        instance._reason, instance.state_reason = "", StateReason(f"{code}: taken back", code)

    def apply_rules(self) -> None:
        """Make the security groups of all instances true on the bridge."""
        with self._lock:
            guarded, openings = set(), set()
            members: dict[str, set[str]] = {}
            alive = list(self.by_address.values())
            for instance in alive:
                for group in _groups(instance):
                    members.setdefault(group.id, set()).update(_addresses(instance))
            for instance in alive:
                guarded.update(_addresses(instance))
                for group in _groups(instance):
                    for rule in group.ingress_rules:
                        openings.update(_openings(rule, _addresses(instance), members))
            self.firewall.guarded = frozenset(guarded)
            self.firewall.openings = frozenset(openings)
            self.firewall.apply()


def _backends() -> list[Any]:
    """Moto's EC2 of each region."""
    return [ec2_backends[ACCOUNT][region] for region in REGIONS]


def _groups(instance: Any) -> list[Any]:
    """Moto keeps those of a request's network interfaces with these alone."""
    return [group for nic in instance.nics.values() for group in nic.group_set]


def _addresses(instance: Any) -> set[str]:
    return {address for address in (instance.private_ip, instance.public_ip) if address}


def _openings(rule: Any, targets: set[str], members: dict[str, set[str]]) -> set[Opening]:
    if rule.ip_protocol not in ("tcp", "-1"):
        return set()
    first, last = (0, 65535) if rule.from_port is None else (rule.from_port, rule.to_port)
    if rule.source_group:
        sources = members.get(rule.source_group.get("GroupId", ""), set())
    else:
        sources = {rule.ip_range["CidrIp"]} if rule.ip_range.get("CidrIp") else set()
    return {Opening(s, t, max(first, 0), last) for s in sources for t in targets}


def _set_state(instance: Any, name: str, reason: str = "") -> None:
    instance._state = InstanceState(name, CODES[name])
    if reason:
        instance.state_reason = StateReason(reason, reason)
