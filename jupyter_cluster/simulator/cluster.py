"""The simulated cluster: what happens to tasks and nodes, and what a planner sees of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence

from jupyter_cluster.autoscaler import BootTimes
from jupyter_cluster.model import (
    Decision,
    Demand,
    End,
    Launch,
    Limits,
    NodeState,
    NodeType,
    Snapshot,
)
from jupyter_cluster.resources import Resources
from jupyter_cluster.simulator.cloud import COOLING_SECONDS, Cloud
from jupyter_cluster.simulator.dispatch import Dispatcher
from jupyter_cluster.simulator.fleet import Fleet, Machine, Run
from jupyter_cluster.simulator.record import Measured, Recorder
from jupyter_cluster.simulator.timeline import Timeline
from jupyter_cluster.simulator.work import Batch, Queue, Row


class Cluster:
    """Tasks, nodes, and what is known of both.

    Attributes
    ----------
    node_types : dict
        As the planner knows them: with boot times as far as they were learned.
    changed : callable
        Called when tasks arrive, a node is ready or a node is lost.
    last_change : float
        When a task or a node last entered another state.
    last_work : float
        When a task last arrived, started or ended.
    infeasible : dict
        By shape, why the planner says that no node can ever run it.
    """

    def __init__(
        self,
        node_types: Mapping[str, NodeType],
        limits: Limits,
        requests: Sequence[tuple[Resources, int]],
        cloud: Cloud,
        seed: int,
        timeline: Timeline,
        changed: Callable[[], None],
    ) -> None:
        self.node_types, self.offered = dict(node_types), dict(node_types)
        self.limits, self.requests = limits, tuple(requests)
        self.timeline, self.changed = timeline, changed
        self.queue, self.fleet = Queue(seed), Fleet(cloud, seed)
        self.record = Recorder()
        self.measured: dict[Resources, Measured] = {}
        self.infeasible: dict[Resources, str] = {}
        self.last_change = self.last_work = 0.0
        self._cooling: dict[str, float] = {}
        self._boots = BootTimes()
        self._dispatcher = Dispatcher(self.queue, self.fleet, self._start)

    # -- what a planner sees ------------------------------------------------------------------

    def snapshot(self) -> Snapshot:
        """All that a decision depends on, at this moment."""
        return Snapshot(
            now=self.timeline.now,
            node_types=dict(self.node_types),
            limits=self.limits,
            nodes=tuple(machine.seen() for machine in self.fleet.alive.values()),
            demands=tuple(self._demands()),
            requests=self.requests,
            cooling=self.cooling,
        )

    @property
    def cooling(self) -> frozenset[str]:
        """Types of which the cloud had none a moment ago."""
        now = self.timeline.now
        return frozenset(name for name, until in self._cooling.items() if until > now)

    def _demands(self) -> Iterator[Demand]:
        for shape, known in self.measured.items():
            queued = self.queue.count.get(shape, 0)
            if queued or known.running:
                yield Demand(
                    shape,
                    queued,
                    known.running,
                    mean_seconds=known.mean if known.finished else None,
                    spread_seconds=known.spread,
                    finished=known.finished,
                    running_seconds=known.running_seconds(self.timeline.now),
                )

    @property
    def has_running(self) -> bool:
        """Whether any task runs."""
        return any(known.running for known in self.measured.values())

    @property
    def has_work(self) -> bool:
        """Whether a task runs, or waits that may run one day."""
        return self.has_running or bool(self.queue.count.keys() - self.infeasible.keys())

    @property
    def is_minimal(self) -> bool:
        """Whether there are no nodes but the idle ones that min_workers asks for."""
        count = self.fleet.count()
        few = all(n <= self.offered[name].min_workers for name, n in count.items())
        return few and all(m.idle_since is not None for m in self.fleet.alive.values())

    def sample(self) -> None:
        """Write down how things stand at the moment of the record's next sample."""
        self.record.sample(sum(self.queue.count.values()), self.fleet)

    # -- tasks --------------------------------------------------------------------------------

    def arrive(self, batch: Batch) -> None:
        """Tasks join the queue, and start where there is room."""
        self.measured.setdefault(batch.shape, Measured())
        self.queue.arrive(batch)
        self._dispatcher.spread(batch.shape, self.timeline.now)
        self.last_work = self.last_change = self.timeline.now
        self.changed()

    def _start(self, machine: Machine, shape: Resources, count: int) -> None:
        now = self.timeline.now
        self.measured[shape].start(count, now)
        for arrived, is_again, rows in self.queue.take(shape, count):
            if not is_again:
                self.record.waits.append(Row(now - arrived, sum(row.tasks for row in rows)))
            for row in rows:
                run = Run(shape, row, arrived, now)
                machine.start(run)
                self.timeline.at(now + row.seconds, self._finish, machine, run)
        self.last_work = self.last_change = now

    def _finish(self, machine: Machine, run: Run) -> None:
        if run not in machine.runs:
            return  # the node was lost, and with it what it ran
        now = self.timeline.now
        machine.stop(run, now)
        measured = self.measured[run.shape]
        measured.leave(run.row.tasks, run.started, now)
        measured.finish(run.row)
        self.record.finish(run.row.tasks, now)
        self.last_work = self.last_change = now
        if machine.state is NodeState.READY:
            self._dispatcher.fill(machine, now)
        elif not machine.runs:
            self._gone(machine, NodeState.TERMINATED)

    # -- nodes --------------------------------------------------------------------------------

    def carry_out(self, decision: Decision) -> None:
        """Do what a planner wants done."""
        for found in decision.infeasible:
            if found.shape not in self.infeasible:
                self.record.event(self.timeline.now, "error", found.reason)
        self.infeasible = {found.shape: found.reason for found in decision.infeasible}
        for launch in decision.launches:
            self._launch(launch)
        for end in decision.ends:
            self._end(end)
        for machine in self.fleet.alive.values():
            machine.note_need(machine.id in decision.unneeded, self.timeline.now)

    def _launch(self, launch: Launch) -> None:
        now, name = self.timeline.now, launch.node_type
        self.record.event(now, "scale-up", launch.reason)
        machines = self.fleet.request(self.offered[name], launch.count, launch.loads, now)
        for machine in machines:
            action = self._fail if machine.fate.fails else self._ready
            self.timeline.at(now + machine.fate.boot_seconds, action, machine)
        if refused := launch.count - len(machines):
            self._cooling[name] = now + COOLING_SECONDS
            text = f"{refused} × {name} could not be launched: the cloud has none now"
            self.record.event(now, "error", f"{text}; tried again in {COOLING_SECONDS:.0f} s")
        self._note_change()

    def _ready(self, machine: Machine) -> None:
        if machine.ended is not None:  # not needed any more before it was up
            return
        now, name = self.timeline.now, machine.type.name
        machine.set(NodeState.READY)
        machine.idle_since = now
        self.node_types[name] = self._boots.learn(self.node_types[name], now - machine.since)
        self.timeline.at(now + machine.fate.seconds_up, self._reclaim, machine)
        self._dispatcher.fill(machine, now)
        self._note_change()
        self.changed()

    def _fail(self, machine: Machine) -> None:
        if machine.ended is None:
            name, now = machine.type.name, self.timeline.now
            self._cooling[name] = max(self._cooling.get(name, 0.0), self._boots.failed(name, now))
            text = f"{machine.id} did not become ready"
            self.record.event(self.timeline.now, "error", text)
            self._gone(machine, NodeState.FAILED)
            self.changed()

    def _reclaim(self, machine: Machine) -> None:
        if machine.ended is not None:
            return
        now = self.timeline.now
        runs = list(machine.runs)
        machine.runs.clear()
        lost = sum(run.row.tasks for run in runs)
        self.record.lost += lost
        text = f"{machine.id} was taken back by the cloud: tasks that run again: {lost}"
        self.record.event(now, "warning", text)
        self._gone(machine, NodeState.FAILED)
        # The last one first, since each is put in front.
        for run in reversed(runs):
            self.measured[run.shape].leave(run.row.tasks, run.started, now)
            self.queue.again(run.shape, run.row, run.arrived)
        for shape in dict.fromkeys(run.shape for run in runs):
            self._dispatcher.spread(shape, now)
        self.changed()

    def _end(self, end: End) -> None:
        self.record.event(self.timeline.now, "scale-down", end.reason)
        for name in end.nodes:
            machine = self.fleet.alive[name]
            if machine.runs:
                machine.set(NodeState.DRAINING)
            else:
                self._gone(machine, NodeState.TERMINATED)

    def _gone(self, machine: Machine, state: NodeState) -> None:
        self.fleet.end(machine, state, self.timeline.now)
        self._note_change()

    def _note_change(self) -> None:
        self.last_change = self.timeline.now
