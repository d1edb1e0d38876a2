"""The scaling loop: one snapshot, one decision, carried out without waiting for it.

What is slow (a provider's calls) runs in threads; the next round does not wait for it.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable, Coroutine, Iterable, Sequence
from dataclasses import dataclass, field, replace

from jupyter_cluster.autoscaler import decide
from jupyter_cluster.background import Guard, describe, repeat, start_task
from jupyter_cluster.errors import CapacityError, ProviderError, QuotaError
from jupyter_cluster.head.demand import demands
from jupyter_cluster.head.dispatcher import Dispatcher
from jupyter_cluster.head.ender import Ender
from jupyter_cluster.head.fleet import Fleet, Member
from jupyter_cluster.head.jobs import Jobs
from jupyter_cluster.head.link import NodeLink
from jupyter_cluster.head.moving import move_results
from jupyter_cluster.model import End, Infeasible, Launch, Limits, NodeState, Snapshot
from jupyter_cluster.providers.base import Instance, Provider
from jupyter_cluster.resources import Resources, marked, unmarked

logger = logging.getLogger("jupyter_cluster.head")

ROUND_SECONDS = 1.0
WATCH_SECONDS = 1.0
# After a change of demand: changes that come together are decided on together.
DEBOUNCE_SECONDS = 0.02
# Planning takes at most one part in this many and one of the head's time.
REST = 4
# How long a node type is left alone after its provider had none, or refused.
CAPACITY_COOLDOWN, QUOTA_COOLDOWN = 60.0, 600.0
# How long a node may be out of contact before its work is given to others, unless its provider
# says at once that it is gone. Ray allows 30 s as well.
LOST_SECONDS = 30.0
# How long the disk of a node may refuse what work needs before another node takes its place.
PRESSURE_SECONDS = 60.0
# After so many nodes of a type in a row that could not be set up, or whose disks took no work, no
# more of it are launched.
MAX_SETUP_FAILURES = 5
_GONE = "its machine is gone"
FOR_EVER = 10.0 * 365 * 24 * 3600


@dataclass
class Targets:
    """What a user may change while the cluster runs."""

    limits: Limits
    requests: tuple[tuple[Resources, int], ...] = ()
    budget: float | None = None
    closing: bool = False


@dataclass
class Scaling:
    """Keeps the fleet at what the work needs."""

    fleet: Fleet
    dispatcher: Dispatcher
    jobs: Jobs
    provider: Provider
    targets: Targets
    log: Callable[[str, str], None]
    setup_seconds: float = 900.0
    infeasible: tuple[str, ...] = ()
    _cooling: dict[str, float] = field(default_factory=dict)
    _changed: asyncio.Event = field(default_factory=asyncio.Event)
    _actions: dict[asyncio.Task[None], str] = field(default_factory=dict)
    _guards: dict[str, Guard] = field(default_factory=dict)
    _budget_warned: bool = False
    _ending: set[str] = field(default_factory=set)
    _setup_failures: dict[str, int] = field(default_factory=dict)
    _full_disks: dict[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._ender = Ender(self.provider, self.log)

    def wake(self) -> None:
        """Demand has changed: decide soon."""
        self._changed.set()

    async def run(self) -> None:
        """For ever."""
        what = "looking for nodes that died"
        watch = start_task(what, repeat(what, self._look, WATCH_SECONDS, self._teller(what)))
        deciding = self._guard("deciding which nodes to launch and to end")
        try:
            while True:
                started = time.monotonic()
                with deciding:
                    await self._round()
                took = time.monotonic() - started
                if deciding.problem:
                    await asyncio.sleep(ROUND_SECONDS)
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._changed.wait(), ROUND_SECONDS)
                    await asyncio.sleep(max(DEBOUNCE_SECONDS, took * REST))
                self._changed.clear()
        finally:
            watch.cancel()
            for action in self._actions:
                action.cancel()

    def _guard(self, what: str) -> Guard:
        """The one guard of a step that is taken again and again."""
        return self._guards.setdefault(what, Guard(what, self._teller(what)))

    def _teller(self, what: str) -> Callable[[BaseException], None]:
        """Says in the diary that a step has failed, which is taken again."""
        return lambda error: self.log("error", f"{what} failed, trying again: {describe(error)}")

    # -- deciding -----------------------------------------------------------------------------

    async def _round(self) -> None:
        with self._guard("looking at the budget"):
            self._check_budget()
        # In a thread: the search for a cheaper launch set may take a few hundredths of a
        # second, and results wait for nobody.
        decision = await asyncio.to_thread(decide, self.snapshot())
        # What fails in one of these must not keep the others from being done.
        with self._guard("ending tasks that no node can hold"):
            self._report_infeasible(decision.infeasible)
        for end in decision.ends:
            with self._guard("ending nodes"):
                self._end(end)
        for launch in decision.launches:
            with self._guard(f"launching {launch.node_type}"):
                self._launch(launch)
        self.fleet.note_unneeded(decision.unneeded)

    def snapshot(self) -> Snapshot:
        """All that a decision depends on, at this moment."""
        now = time.time()
        self._cooling = {name: until for name, until in self._cooling.items() if until > now}
        return with_types_marked(self._plain_snapshot(now))

    def _plain_snapshot(self, now: float) -> Snapshot:
        return Snapshot(
            now=now,
            node_types=dict(self.fleet.node_types),
            limits=self.targets.limits,
            nodes=self.fleet.nodes(self.dispatcher.nodes),
            demands=demands(self.jobs.active, self.dispatcher.nodes.values(), time.monotonic()),
            requests=self.targets.requests,
            cooling=frozenset(self._cooling),
            closing=self.targets.closing,
        )

    def _report_infeasible(self, infeasible: tuple[Infeasible, ...]) -> None:
        reasons = tuple(found.reason for found in infeasible)
        for reason in reasons:
            if reason not in self.infeasible:
                self.log("error", reason)
        self.infeasible = reasons
        for found in infeasible:
            # Limits can be raised while the cluster runs; node types cannot be added.
            types = self.fleet.node_types.values()
            if not any(found.shape.fits(marked(t.resources, t.name)) for t in types):
                self.jobs.fail_queued(found.shape, found.reason)

    def _check_budget(self) -> None:
        budget, spent = self.targets.budget, self.fleet.cost()["so_far"]
        if budget is None:
            return
        if spent >= budget and not self.targets.closing:
            self.targets.closing = True
            why = f"the budget of {budget:.4g} USD is used up"
            self.log("error", f"{why}: nothing more is launched, all nodes drain and end")
            self.end([member.id for member in self.fleet.alive], why)
        elif spent >= 0.8 * budget and not self._budget_warned:
            self._budget_warned = True
            self.log("warning", f"{spent:.4g} of the budget of {budget:.4g} USD are used")

    # -- launching ----------------------------------------------------------------------------

    def _launch(self, launch: Launch) -> None:
        self.log("scale-up", launch.reason)
        members = self.fleet.request(launch)
        self._start(f"launching {launch.node_type}", self._create(launch.node_type, members))

    async def _create(self, node_type: str, members: list[Member]) -> None:
        ids = [member.id for member in members]
        try:
            await asyncio.to_thread(self.provider.create, node_type, ids)
        except Exception as error:  # another's provider may raise anything
            await self._on_refused(node_type, members, error)
            return
        for member in members:
            if member.state is NodeState.REQUESTED:
                self.fleet.move(member, NodeState.BOOTING)

    async def _on_refused(self, node_type: str, members: list[Member], error: Exception) -> None:
        """Some may be there all the same; those that are not were refused, and have not failed."""
        pause = QUOTA_COOLDOWN if isinstance(error, QuotaError) else CAPACITY_COOLDOWN
        known = isinstance(error, (CapacityError, QuotaError))
        self._cool(node_type, time.time() + (pause if known else 5.0))
        self.log("error", f"{node_type} could not be launched: {describe(error)}")
        there: set[str] | None = None
        if known:  # anything else may have come too late to be shown: its nodes are ended by name
            with self._guard("looking for what was launched"):
                found = await asyncio.to_thread(self.provider.instances)
                there = {instance.node_id for instance in found}
        for member in members:
            if not member.state.is_pending:
                continue
            if there is None:
                self._start_ending(member, NodeState.FAILED, describe(error))
            elif member.id not in there:
                self.fleet.move(member, NodeState.FAILED, describe(error))
            elif member.state is NodeState.REQUESTED:
                self.fleet.move(member, NodeState.BOOTING)
        self.wake()

    def _cool(self, node_type: str, until: float) -> None:
        """Leave a type alone for a while."""
        self._cooling[node_type] = max(self._cooling.get(node_type, 0.0), until)

    def on_node(self, link: NodeLink) -> None:
        """A node has connected, or its connection was lost."""
        member = self.fleet.members.get(link.id)
        if member is None:
            return
        if link.lost_since is not None:
            if member.state is NodeState.READY:
                self.log("warning", f"lost contact with {link.id}")
        elif member.state.is_pending:
            self._setup_failures.pop(member.type, None)
            self.fleet.ready(member)
            self.log("node", f"{link.id} is ready after {member.seconds_up:.1f} s")
        self.wake()

    # -- ending -------------------------------------------------------------------------------

    def end(self, nodes: Sequence[str], reason: str) -> None:
        """Drain and end these nodes."""
        if nodes:
            self._end(End(tuple(nodes), reason))

    def on_reclaim(self, node: str, why: str) -> None:
        """A node will be gone soon: nothing new goes there, and another one is had at once."""
        member = self.fleet.members.get(node)
        if member is None or member.state is not NodeState.READY:
            return
        self.log("warning", f"{node}: {why}; what it does not finish goes elsewhere")
        self._start_draining(member, why)
        self.wake()

    def on_broken(self, node: str, why: str) -> None:
        """What a node says cannot be understood: it is of no use."""
        member = self.fleet.members.get(node)
        if member is not None and not member.state.is_gone and node not in self._ending:
            self._start_ending(member, NodeState.FAILED, why)

    def _end(self, end: End) -> None:
        # Since the snapshot some may have been ended for another reason.
        members = [self.fleet.members[name] for name in end.nodes]
        members = [m for m in members if m.state is NodeState.READY or m.state.is_pending]
        if members:
            self.log("scale-down", end.reason)
        for member in members:
            if member.id in self.dispatcher.nodes:
                self._start_draining(member, end.reason)
            else:
                self._start_ending(member, NodeState.TERMINATED, end.reason)

    def _start_draining(self, member: Member, why: str) -> None:
        self.fleet.move(member, NodeState.DRAINING, why)
        self._start(f"draining {member.id}", self._drain(member), member.id)

    def _start_ending(self, member: Member, state: NodeState, why: str = "") -> None:
        self._start(f"ending {member.id}", self._terminate(member, state, why), member.id)

    async def _drain(self, member: Member) -> None:
        """Let it finish what it has started, move its results off, end it."""
        self.dispatcher.drain(member.id)
        while (link := self.dispatcher.nodes.get(member.id)) and link.bundles:
            await asyncio.sleep(0.05)
        await move_results(member, self.jobs, self.dispatcher)
        await self._terminate(member, NodeState.TERMINATED)

    async def _terminate(self, member: Member, state: NodeState, why: str = "") -> None:
        """End it with its provider, however often that takes."""
        if member.state.is_gone:  # it died meanwhile
            return
        self._ending.add(member.id)
        try:
            if member.state is not NodeState.DRAINING:
                self.fleet.move(member, NodeState.DRAINING, why)
            await self._ender.end(member.id)
        finally:
            self._ending.discard(member.id)
        self._gone(member, state, why)

    def _gone(self, member: Member, state: NodeState, why: str = "") -> None:
        if member.state.is_gone:
            return
        if state is NodeState.FAILED and not member.seconds_up:
            self._cool(member.type, self.fleet.boots.failed(member.type, time.time()))
            self._count_failure(member)
        self.fleet.move(member, state, why)
        self.dispatcher.give_up(member.id)
        self.log(
            "node",
            f"{member.id} has {'failed: ' + why if why and state is NodeState.FAILED else 'ended'}",
        )
        self.wake()

    def _count_failure(self, member: Member) -> None:
        """Nodes that fail on their way up are replaced a few times; then somebody must look."""
        count = self._setup_failures.get(member.type, 0) + 1
        self._setup_failures[member.type] = count
        if count == MAX_SETUP_FAILURES:
            self._cool(member.type, time.time() + FOR_EVER)
            self.log(
                "error",
                f"{count} nodes of type {member.type} in a row could not be set up: no more of it"
                f" are launched. `logs --node {member.id}` shows the last one's log; mend the"
                " cluster YAML and run `up` again",
            )

    # -- watching -----------------------------------------------------------------------------

    async def _look(self) -> None:
        """Notice nodes that died or never came, and those whose end was given up."""
        # Only those that were there before the look: it cannot show what came meanwhile.
        watched = self.fleet.in_state(*_WATCHED)
        running = {one.node_id: one for one in await asyncio.to_thread(self.provider.instances)}
        reasons = await self._reasons([one for one in watched if one.id not in running])
        for member in watched:
            if member.id not in self._ending and member.state in _WATCHED:
                why = reasons.get(member.id, _GONE)
                with self._guard(f"looking after {member.id}"):
                    self._look_after(member, running.get(member.id), why)
        for name in self._strangers(running):
            logger.warning("ending %s, which this cluster does not know", name)
            self._start(f"ending {name}", self._end_stranger(name), name)

    def _look_after(self, member: Member, instance: Instance | None, gone: str = _GONE) -> None:
        if instance is None and member.state is NodeState.DRAINING:
            self._gone(member, NodeState.TERMINATED, member.why)
        elif instance is None:
            self._gone(member, NodeState.FAILED, gone)
        elif instance.state.is_gone:
            why = instance.detail or "its machine has ended"
            if instance.state is NodeState.STOPPED:  # by somebody: we stop no worker
                why = f"its machine was stopped ({instance.detail or member.id})"
            self._start_ending(member, NodeState.FAILED, why)
        elif member.state is NodeState.DRAINING and member.id not in self._actions.values():
            self._start_ending(member, NodeState.TERMINATED, member.why)
        else:
            self._follow(member, instance)
            self._check_time(member, instance)

    async def _reasons(self, lost: Sequence[Member]) -> dict[str, str]:
        """Why machines are gone that nobody here has ended, where the provider knows it."""
        names = [m.id for m in lost if m.state in _WATCHED and m.state is not NodeState.DRAINING]
        names = [name for name in names if name not in self._ending]
        if not names:
            return {}
        try:
            found = await asyncio.to_thread(self.provider.why_gone, names)
        except ProviderError as error:
            logger.warning("the provider does not say why machines are gone: %s", error)
            return {}
        return {name: f"{_GONE}: {why}" for name, why in found.items()}

    def _strangers(self, running: Iterable[str]) -> list[str]:
        """Machines that run and should not: unknown ones, and those that were given up."""
        members = self.fleet.members
        return [
            name
            for name in running
            if name not in self._ending and (name not in members or members[name].state.is_gone)
        ]

    async def _end_stranger(self, name: str) -> None:
        self._ending.add(name)
        try:
            with self._guard(f"ending {name}"):  # the next look tries again
                await asyncio.to_thread(self.provider.terminate, [name])
        finally:
            self._ending.discard(name)

    def _follow(self, member: Member, instance: Instance) -> None:
        """A node on its way up is as far as its provider says."""
        member.address, member.machine = instance.address, instance.machine
        self.fleet.note_price(member, instance.on_demand)
        if member.state.is_pending and instance.state.is_pending:
            is_new = instance.state is not member.state
            if is_new:
                self.fleet.move(member, instance.state)
            if instance.detail and (is_new or instance.detail != member.why):
                self.log("node", f"{member.id}, {instance.state.value}: {instance.detail}")
            member.why = instance.detail

    def _check_time(self, member: Member, instance: Instance) -> None:
        link = self.dispatcher.nodes.get(member.id)
        since = max(member.since, instance.progressed)  # files take as long as the network does
        if member.state.is_pending and time.time() - since > self.setup_seconds:
            why = f"it was not ready after {self.setup_seconds:.0f} s: {instance.detail}"
            self._start_ending(member, NodeState.FAILED, why)
        elif link and link.lost_since and time.monotonic() - link.lost_since > LOST_SECONDS:
            why = f"out of contact for {LOST_SECONDS:.0f} s"
            self._start_ending(member, NodeState.FAILED, why)
        elif link and link.pressure and member.state is NodeState.READY:
            self._check_pressure(member, link)

    def _check_pressure(self, member: Member, link: NodeLink) -> None:
        """A node that can take no work costs as much as another; one with sessions is kept."""
        seconds = time.monotonic() - link.pressed_since
        if seconds > PRESSURE_SECONDS and not self.dispatcher.cell_sessions.on_node(member.id):
            why = f"its disk has refused files for {seconds:.0f} s: {link.pressure}"
            self._end(End((member.id,), f"{member.id} is ended: {why}"))
            self._count_full_disk(member, link)

    def _count_full_disk(self, member: Member, link: NodeLink) -> None:
        """What fits on no disk of a type must not buy one node after another."""
        count = 0 if link.finished else self._full_disks.get(member.type, 0) + 1
        self._full_disks[member.type] = count
        if count == MAX_SETUP_FAILURES:
            self._cool(member.type, time.time() + FOR_EVER)
            self.log(
                "error",
                f"the disks of {count} nodes of type {member.type} in a row refused files before a"
                f" task had ended there ({link.pressure}): no more of it are launched. Give it"
                " larger disks or its tasks smaller values, and run `up` again",
            )

    def _start(self, what: str, action: Coroutine[None, None, None], node: str = "") -> None:
        """Do something to a node; where that fails, `_look` finds the node as it was left."""
        task = start_task(what, action, self._teller(what))
        self._actions[task] = node
        task.add_done_callback(self._actions.pop)

    def resume(self) -> None:
        """After a restart of the head: go on with what was being ended, wait for the others."""
        for member in self.fleet.in_state(NodeState.DRAINING):
            self._start_ending(member, NodeState.TERMINATED)
        for member in self.fleet.in_state(NodeState.REQUESTED):
            # Whether the provider was asked for it, nobody knows: it is ended by its id.
            why = "the head was started again while it was requested"
            self._start_ending(member, NodeState.FAILED, why)


def with_types_marked(snapshot: Snapshot) -> Snapshot:
    """Where tasks ask for a type of node, let the types be told apart by their resources."""
    if all(unmarked(demand.shape) == demand.shape for demand in snapshot.demands):
        return snapshot
    types = {
        name: replace(one, resources=marked(one.resources, name))
        for name, one in snapshot.node_types.items()
    }
    nodes = tuple(
        replace(n, resources=marked(n.resources, n.type), free=marked(n.free, n.type))
        for n in snapshot.nodes
    )
    return replace(snapshot, node_types=types, nodes=nodes)


_WATCHED = (
    NodeState.BOOTING,
    NodeState.CONNECTING,
    NodeState.SYNCING_FILES,
    NodeState.SETTING_UP,
    NodeState.READY,
    NodeState.DRAINING,
)
