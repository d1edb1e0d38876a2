"""The simulation: the planner's rounds among the events, until nothing is left to happen."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from math import ceil, inf

from jupyter_cluster.autoscaler import decide
from jupyter_cluster.errors import UsageError
from jupyter_cluster.model import Decision, Limits, NodeType, Snapshot
from jupyter_cluster.resources import Resources
from jupyter_cluster.simulator.cloud import Cloud
from jupyter_cluster.simulator.cluster import Cluster
from jupyter_cluster.simulator.result import Result
from jupyter_cluster.simulator.summary import summarise
from jupyter_cluster.simulator.timeline import Timeline
from jupyter_cluster.simulator.work import Batch

Planner = Callable[[Snapshot], Decision]

# As the live loop: changes that come together are decided on together.
DEBOUNCE_SECONDS = 0.02
# Tasks wait and none has run for this long: it is not to be expected that any ever will.
PATIENCE_SECONDS = 3600.0
# With an automatic idle time-out: how long nodes that nothing changes are watched at the end.
AUTO_TAIL_SECONDS = 900.0
MOST_TASKS = 10_000_000
# A planner that never comes to an end must not keep the caller for ever.
HORIZON_SECONDS = 7 * 86_400.0


def simulate(
    node_types: Mapping[str, NodeType],
    limits: Limits,
    work: Sequence[Batch],
    *,
    cloud: Cloud | None = None,
    planner: Planner = decide,
    every: float = 1.0,
    on_change: bool = True,
    seed: int = 0,
    requests: Sequence[tuple[Resources, int]] = (),
    horizon: float = HORIZON_SECONDS,
) -> Result:
    """Run work through a cluster that a planner scales.

    The cluster starts empty at 0 s and is watched until all tasks have ended and the planner has
    ended all nodes that it does not keep: idle nodes are part of the cost.

    Parameters
    ----------
    node_types
        By name. A price that is unknown is estimated from CPUs, GPUs and memory.
    work
        In any order.
    cloud
        How nodes come and go; by default boot times vary by 10 % and nothing fails.
    planner
        Asked for a decision, which is carried out at once.
    every
        Seconds between its rounds.
    on_change
        Whether it is also asked when tasks arrive and when a node becomes ready or is lost.
    seed
        Durations, boot times and failures follow from it: the i-th task of a batch takes the same
        time, and the i-th node of a type boots in the same time, whatever the planner does.
    requests
        Capacity that is held whether or not tasks use it.
    horizon
        After so many seconds the simulation ends even if tasks are left.

    Raises
    ------
    UsageError
        An argument is not what it should be.
    """
    _check(node_types, work, every)
    rounds = _Rounds(planner, every, on_change)
    cluster = Cluster(
        node_types, limits, requests, cloud or Cloud(), seed, rounds.timeline, rounds.on_change
    )
    rounds.run(cluster, work, horizon)
    return summarise(cluster, work, rounds.count)


def _check(node_types: Mapping[str, NodeType], work: Sequence[Batch], every: float) -> None:
    if every <= 0:
        raise UsageError(f"every must be more than 0 seconds, not {every}")
    if not isinstance(node_types, Mapping):
        raise UsageError("node_types must map names to node types: {box.name: box}")
    for name, node_type in node_types.items():
        if name != node_type.name:
            raise UsageError(
                f"node_types[{name!r}] is named {node_type.name!r}: use its name as the key"
            )
    if not isinstance(work, Sequence) or not all(isinstance(batch, Batch) for batch in work):
        raise UsageError("work must be a list of Batch, e.g. [Batch(0, 100, seconds=Fixed(2.0))]")
    count = sum(batch.count for batch in work)
    if count > MOST_TASKS:
        raise UsageError(
            f"{count:,} tasks take too long to simulate one by one; simulate at most"
            f" {MOST_TASKS:,}, e.g. fewer and longer ones"
        )


class _Rounds:
    """Asks the planner every so often, and after changes."""

    def __init__(self, planner: Planner, every: float, on_change: bool) -> None:
        self.timeline = Timeline()
        self.count = 0
        self._planner, self._every, self._asks_on_change = planner, every, on_change
        self._next = inf
        self._arrivals: list[float] = []
        self._is_over = False

    def run(self, cluster: Cluster, work: Sequence[Batch], horizon: float) -> None:
        """Until nothing is left to happen."""
        self._cluster = cluster
        for batch in sorted((b for b in work if b.count), key=lambda b: b.at):
            self.timeline.at(batch.at, cluster.arrive, batch)
            self._arrivals.append(batch.at)
        self._ask_at(0.0)
        while not self._is_over and self.timeline.next <= horizon:
            while cluster.record.next_sample < self.timeline.next:
                cluster.sample()
            self.timeline.step()
        cluster.sample()

    def on_change(self) -> None:
        """Something has changed: ask soon."""
        if self._asks_on_change:
            self._ask_at(self.timeline.now + DEBOUNCE_SECONDS)

    def _ask_at(self, moment: float) -> None:
        if moment < self._next:
            self._next = moment
            # After all else of that moment, so that the planner sees it.
            self.timeline.at(moment, self._round, moment, last=True)

    def _round(self, moment: float) -> None:
        if moment != self._next:
            return  # the planner was asked sooner
        self.count += 1
        self._cluster.carry_out(self._planner(self._cluster.snapshot()))
        self._next = inf
        self._is_over = self._nothing_is_left()
        self._ask_at(self._next_round())

    def _next_round(self) -> float:
        """After `every` seconds; while the cluster rests, not before something arrives."""
        now = self.timeline.now
        if self._cluster.has_work or not self._cluster.is_minimal:
            return now + self._every
        coming = next((at for at in self._arrivals if at > now), now)
        return now + self._every * max(1, ceil((coming - now) / self._every))

    def _nothing_is_left(self) -> bool:
        cluster, now = self._cluster, self.timeline.now
        if self._arrivals and self._arrivals[-1] > now:
            return False
        if cluster.has_work:
            return not cluster.has_running and now - cluster.last_work > PATIENCE_SECONDS
        timeout = cluster.limits.idle_timeout
        tail = (AUTO_TAIL_SECONDS if timeout is None else timeout) + 2 * self._every
        return cluster.is_minimal or now - cluster.last_change > tail
