"""EC2 instances as the nodes of one cluster, its head among them."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from functools import partial
from typing import Any

from jupyter_cluster.config import ClusterConfig
from jupyter_cluster.errors import ProviderError
from jupyter_cluster.model import NodeState, NodeType
from jupyter_cluster.providers.aws import disks, preflight, prices, tags
from jupyter_cluster.providers.aws.capacity import Capacity, Wish
from jupyter_cluster.providers.aws.foundation import Foundation, Subnet
from jupyter_cluster.providers.aws.identity import HeadRole
from jupyter_cluster.providers.aws.instances import ALIVE, Instances
from jupyter_cluster.providers.aws.launching import (
    Plan,
    client_token,
    run_arguments,
    subnets_of,
)
from jupyter_cluster.providers.aws.machines import Machines
from jupyter_cluster.providers.aws.needs import profile_of
from jupyter_cluster.providers.aws.refusals import NO_CAPACITY, Then, refusal, why_ended
from jupyter_cluster.providers.aws.service import Service, code_of, service_of, settled
from jupyter_cluster.providers.aws.tags import HEAD, Owner
from jupyter_cluster.providers.base import HEAD_NODE, HostProvider, Instance

_END_SECONDS = 300.0
# A launch whose instances have ended is repeated with another token, so often.
_TOKENS = 5
_POLL_SECONDS = 1.0

_STATES = {
    "pending": NodeState.BOOTING,
    "running": NodeState.CONNECTING,
    "stopping": NodeState.STOPPED,
    "stopped": NodeState.STOPPED,
}


class AwsProvider(HostProvider):
    """The instances of a cluster.

    Parameters
    ----------
    owner
        Whose cluster it is; everything made in the account carries it.
    user_data
        What ``head`` and ``worker`` run at their first boot.
    clock
        For how long zones are left alone.
    """

    def __init__(
        self,
        config: ClusterConfig,
        owner: Owner,
        user_data: Mapping[str, str] | None = None,
        service: Service | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._config, self._owner, self._clock = config, owner, clock
        self._provider: Any = config.provider
        self.service = service or service_of(config)
        self.foundation = Foundation(self.service, config, owner)
        self.role = HeadRole(self.service, owner, config)
        self._user_data = user_data or {}
        self._machines = Machines(self.service, config)
        types = config.available_node_types
        self._disks = disks.Disks(self.service, owner, types, self._machines.node_config)
        self._plans: dict[tuple[str, bool], Plan] = {}
        self._capacity = Capacity(clock, lambda text: self.on_notice(text))
        self._ec2 = Instances(self.service, owner)
        self._left: list[str] = []
        self._lock = threading.Lock()

    @classmethod
    def of(
        cls, config: ClusterConfig, identity: Mapping[str, Any], user_data: Mapping[str, str]
    ) -> AwsProvider:
        """See `HostProvider.of`."""
        owner = Owner(identity["name"], identity["id"], identity.get("owner", ""))
        return cls(config, owner, user_data)

    # -- what nodes are -----------------------------------------------------------------------

    def node_types(self, known: Mapping[str, NodeType]) -> dict[str, NodeType]:
        """The node types with the resources of their instance types and their prices."""
        return self._machines.node_types(known)

    def _plan(self, node_type: str, is_head: bool) -> Plan:
        key = (node_type, is_head)
        if key not in self._plans:
            self._plans[key] = self._make_plan(node_type, is_head)
        return self._plans[key]

    def _make_plan(self, node_type: str, is_head: bool) -> Plan:
        config, image = self._machines.node_config(node_type), self._machines.image(node_type)
        profile = profile_of(config)
        if is_head:
            profile = self._provider.head_instance_profile or self.role.name
        vpc = self._subnets(node_type)[0].vpc
        named = self.foundation.named(config.get("SecurityGroups", ()), vpc)
        groups = (*self.foundation.groups(vpc), *named, *config.get("SecurityGroupIds", ()))
        return Plan(
            node_type=node_type,
            node_config=config,
            image=image.id,
            root_device=image.root_device,
            root_gb=max(disks.ROOT_GB, image.root_gb),
            groups=groups,
            key_name=self._key_name(config),
            user_data=self._user_data.get(HEAD if is_head else "worker", ""),
            profile=profile,
            is_internal=self._provider.use_internal_ips,
            is_head=is_head,
            kept_disks=image.kept_disks,
        )

    def _key_name(self, config: Mapping[str, Any]) -> str:
        if self._provider.key_pair is not None:
            return str(self._provider.key_pair.key_name)
        return str(config.get("KeyName") or self.foundation.key.name)

    def _subnets(self, node_type: str) -> list[Subnet]:
        config = self._machines.node_config(node_type)
        found = self.foundation.subnets(subnets_of(config))
        zone = (config.get("Placement") or {}).get("AvailabilityZone")
        chosen = [subnet for subnet in found if zone in (None, subnet.zone)]
        if not chosen:
            raise ProviderError(
                f"{node_type}: none of the cluster's subnets is in {zone}, the AvailabilityZone of"
                f" its Placement; there are those in {', '.join(s.zone for s in found)}",
                node_type,
            )
        return chosen

    # -- launching ----------------------------------------------------------------------------

    def create(self, node_type: str, node_ids: Sequence[str]) -> None:
        """See `Provider.create`: zone by zone, spot first where the type says so."""
        there = {instance.node_id for instance in self.instances()}
        wanted = [node for node in node_ids if node not in there]
        for batch in tags.batches(wanted):
            self._create(node_type, batch, noted=self._clock())

    def create_head(self, noted: float) -> None:
        """Launch the head; the same `noted` moment never makes a second one."""
        self._create(self._config.head_node_type, [HEAD_NODE], noted)

    def _create(self, node_type: str, nodes: list[str], noted: float) -> None:
        # A head is on demand in any case: it is not to be taken back.
        is_spot = self._config.available_node_types[node_type].spot and nodes != [HEAD_NODE]
        wish = Wish(
            node_type,
            self._machines.kind(node_type).name,
            self._subnets(node_type),
            [True, False] if is_spot else [False],
        )
        is_head = nodes == [HEAD_NODE]

        def run(batch: list[str], subnet: Subnet, spot: bool) -> int:
            return self._run(node_type, is_head, batch, subnet, spot, noted)

        self._capacity.launch(wish, nodes, run)

    def _run(
        self,
        node_type: str,
        is_head: bool,
        nodes: list[str],
        subnet: Subnet,
        spot: bool,
        noted: float,
    ) -> int:
        """Launch nodes in one zone; returns of how many it has room."""
        plan = self._plan(node_type, is_head)
        labels = self._owner.launch_tags(node_type, nodes, plan.hash)
        labels[tags.EXPIRES] = tags.moment(noted + tags.EXPIRY_SECONDS)
        parts = (self._owner.id, str(noted), subnet.id, str(spot), *nodes)
        for attempt in range(_TOKENS):
            token = client_token(*parts, *["again"] * attempt)
            arguments = run_arguments(plan, subnet, nodes, labels, spot, token)
            try:
                ask = partial(self.service.ask, "run_instances", **arguments)
                rows = settled(ask, self._is_of_new_things)["Instances"]
            except ProviderError as error:
                answer = refusal(code_of(error))
                if answer.then is Then.SEEN:
                    return len(nodes)
                if answer.then is not Then.ANOTHER_TOKEN or attempt == _TOKENS - 1:
                    raise
            else:
                self._ec2.note_launched(rows)
                return len(rows)
        raise AssertionError  # the last attempt returns or raises

    def _is_of_new_things(self, error: ProviderError) -> bool:
        """Whether EC2 does not know yet everywhere what was made for the cluster a moment ago."""
        text = str(error)
        if "Instance Profile" in text:
            return True
        is_unknown = code_of(error) in ("InvalidGroup.NotFound", "InvalidKeyPair.NotFound")
        return is_unknown and any(name in text for name in self.foundation.made)

    # -- looking ------------------------------------------------------------------------------

    def instances(self) -> Sequence[Instance]:
        """See `Provider.instances`; the head is among them."""
        return [self._instance(row) for row in self._ec2.rows()]

    def _instance(self, row: Mapping[str, Any]) -> Instance:
        private = row.get("PrivateIpAddress", "")
        public = private if self._provider.use_internal_ips else row.get("PublicIpAddress", "")
        zone = row.get("Placement", {}).get("AvailabilityZone", "")
        market = "spot " if row.get("InstanceLifecycle") == "spot" else ""
        return Instance(
            node_id=tags.node_of(row),
            node_type=tags.of(row).get(tags.TYPE, ""),
            state=_STATES[row["State"]["Name"]],
            detail=f"{row['InstanceId']}, {market}{row.get('InstanceType', '')} in {zone}",
            address=private,
            external_address=public,
            machine=row["InstanceId"],
            on_demand=not market,
        )

    def note(self, status: str, node_ids: Collection[str]) -> None:
        """Write how far nodes are into their tags, for those who look at the console."""
        self._tag(node_ids, {tags.STATUS: status})

    def renew(self) -> None:
        """Say that the cluster is looked after: its instances are no orphans yet."""
        when = tags.moment(self._clock() + tags.EXPIRY_SECONDS)
        self._tag([instance.node_id for instance in self.instances()], {tags.EXPIRES: when})

    def _tag(self, node_ids: Collection[str], labels: Mapping[str, str]) -> None:
        machines = [i.machine for i in self.instances() if i.node_id in node_ids]
        if machines:
            self.service.ask("create_tags", Resources=machines, Tags=tags.as_list(labels))

    def why_gone(self, node_ids: Collection[str]) -> dict[str, str]:
        """See `Provider.why_gone`: what EC2 says of instances for about an hour."""
        ended = self._ec2.ended(node_ids)
        for row in ended.values():
            if row.get("StateReason", {}).get("Code") == NO_CAPACITY:
                zone = row.get("Placement", {}).get("AvailabilityZone", "")
                spot = row.get("InstanceLifecycle") == "spot"
                self._capacity.cool(tags.of(row).get(tags.TYPE, ""), zone, spot)
        reasons = {node: why_ended(row) for node, row in ended.items()}
        return {node: why for node, why in reasons.items() if why}

    # -- ending -------------------------------------------------------------------------------

    def terminate(self, node_ids: Collection[str]) -> None:
        """See `Provider.terminate`."""
        self._ec2.terminate([i.machine for i in self.instances() if i.node_id in node_ids])

    def start_head(self) -> None:
        """Start a head that has stopped; what its disk holds is there again.

        One that is stopping cannot be started yet.
        """
        settled(partial(self._each_head, "start_instances"), _is_stopping, _END_SECONDS)

    def stop_head(self) -> None:
        """Stop the head; its disk stays, and what that costs."""
        self._each_head("stop_instances")

    def _each_head(self, operation: str) -> None:
        machines = [i.machine for i in self.instances() if i.node_id == HEAD_NODE]
        if machines:
            self.service.ask(operation, InstanceIds=machines)

    def check_release(self) -> None:
        """See `HostProvider.check_release`: EC2 answers what it would do."""
        self._ec2.check_terminate([row["InstanceId"] for row in self._ec2.not_terminated()])

    def release(self, progress: Callable[[str], None] = lambda _step: None) -> None:
        """End all instances in whatever state, delete what was made, and verify both.

        Raises
        ------
        ProviderError
            Something is left; the message names it.
        """
        progress("ending its instances")
        self._end_instances(progress)
        progress("deleting its disks, role, key pair and security group")
        settled(partial(self._delete, progress), _is_in_use, _END_SECONDS)
        if kept := self._disks.kept():
            self.on_notice(kept)
        settled(self._verify, lambda error: bool(self._left))

    def _delete(self, progress: Callable[[str], None]) -> None:
        """What is in use still may be so by what its head has launched before it heard of the end,
        and what EC2 has not shown until now."""
        self._end_instances(progress)
        self._disks.delete()
        # The role first: `gc` finds what is left in EC2 by its tags, and a role by nothing.
        if self._provider.head_instance_profile is None:
            self.role.delete()
        self.foundation.delete()

    def _end_instances(self, progress: Callable[[str], None]) -> None:
        deadline = time.monotonic() + _END_SECONDS
        while rows := self._ec2.not_terminated():
            alive = [r["InstanceId"] for r in rows if r["State"]["Name"] in ALIVE]
            if alive:
                self._ec2.terminate(alive)
            if time.monotonic() > deadline:
                raise ProviderError(
                    f"instances are left: {', '.join(r['InstanceId'] for r in rows)}"
                )
            progress(f"{len(rows)} instances are shutting down")
            time.sleep(_POLL_SECONDS)

    def _verify(self) -> None:
        """That nothing is left; what was deleted a moment ago may be shown for a while still."""
        self._left = self.left()
        if self._left:
            raise ProviderError(
                f"of cluster {self._owner.name!r} there is left: {', '.join(self._left)}"
            )

    def left(self) -> list[str]:
        """What there is of this cluster in the account and should not be, for people."""
        return [
            *(f"instance {row['InstanceId']}" for row in self._ec2.not_terminated()),
            *self._disks.left(),
            *self.foundation.left(),
            *(self.role.left() if self._provider.head_instance_profile is None else ()),
        ]

    # -- before the first instance ------------------------------------------------------------

    def survey(self) -> tuple[dict[str, NodeType], list[str]]:
        """See `HostProvider.survey`."""
        self.owner()  # credentials that do not serve say so here
        types = self.node_types(self._config.node_types())
        for name in types:
            self._machines.image(name)  # one that cannot be is said before anything is made
        wanted = [
            preflight.Wanted(
                one.name,
                self._machines.kind(one.name),
                one.spot,
                one.max_workers,
                [subnet.zone for subnet in self._subnets(one.name)],
            )
            for one in types.values()
        ]
        head = self._machines.kind(self._config.head_node_type)
        notices = preflight.check(self.service, head, wanted, self._config.max_workers)
        notices += self._disks.notices()
        if estimates := sorted(self._machines.estimated):
            notices.append(
                f"prices of {', '.join(estimates)} are estimated from those of {prices.TABLE_DATE}:"
                " the pricing service tells them not to these credentials, not here or not in USD"
            )
        return types, notices

    def owner(self) -> str:
        """The identity of the credentials."""
        return self.service.caller()

    def home(self) -> dict[str, str]:
        """See `HostProvider.home`."""
        return {"region": self.service.region, "account": self.owner().split(":")[4]}

    def elder_head(self) -> Instance | None:
        """See `HostProvider.elder_head`; the earliest launch wins."""
        heads = [row for row in self._ec2.heads() if tags.is_of_owner(row, self._owner.arn)]
        first = min(heads, key=lambda row: (row["LaunchTime"], row["InstanceId"]), default=None)
        if first is None or tags.of(first)[tags.ID] == self._owner.id:
            return None
        return self._instance(first)

    def prepare(self, public_key: str, progress: Callable[[str], None]) -> None:
        """Make what instances need: security group, key pair, the head's role."""
        networks = self.open_ssh()
        progress(
            f"security group, open for SSH from {', '.join(networks) or 'where yours lets it'}"
        )
        if self._provider.key_pair is None and public_key:
            progress("key pair")
            self.foundation.key.make(public_key, lambda: bool(self.instances()))
        if self._provider.head_instance_profile is None:
            progress("role of the head")
            templates = map(self._machines.template, self._config.available_node_types)
            self.role.make(self._worker_profiles(), list(templates))

    def open_ssh(self, networks: Sequence[str] | None = None) -> Sequence[str]:
        """Let SSH in from where this is called, a laptop may have moved; returns from where."""
        vpc = self._subnets(self._config.head_node_type)[0].vpc
        return self.foundation.open_ssh(vpc, networks)

    def _worker_profiles(self) -> set[str]:
        configs = map(self._machines.node_config, self._config.available_node_types)
        return {name for one in configs if (name := profile_of(one))}


def _is_in_use(error: ProviderError) -> bool:
    return disks.is_in_use(error) or code_of(error.__cause__ or error) == "DependencyViolation"


def _is_stopping(error: ProviderError) -> bool:
    return code_of(error.__cause__ or error) == "IncorrectInstanceState"
