"""The policy drives the in-memory provider through whole jobs, on a virtual clock."""

from collections import Counter
from itertools import count

import pytest

from jupyter_cluster.autoscaler import decide
from jupyter_cluster.errors import CapacityError, ProviderError
from jupyter_cluster.model import (
    Demand,
    Limits,
    Node,
    NodeState,
    NodeType,
    Resources,
    Snapshot,
)
from jupyter_cluster.providers.memory import (
    MemoryProvider,
    VirtualClock,
    dies_after,
    never_boots,
    no_capacity,
    throttled,
)

pytestmark = pytest.mark.unit

SHAPE = Resources.of(CPU=1)
BOX = NodeType("box", Resources.of(CPU=16), max_workers=30, price=0.768, boot_seconds=90.0)
SPARE = NodeType("spare", Resources.of(CPU=8), max_workers=30, price=0.8, boot_seconds=90.0)
COOLING = 60.0


class Cluster:
    """A scaling loop that looks once a second, and a queue of equal tasks on its nodes."""

    def __init__(self, types, tasks, seconds, *, max_workers=30, failures=()):
        self.clock = VirtualClock()
        self.types = {node_type.name: node_type for node_type in types}
        self.provider = MemoryProvider(self.types, self.clock, failures)
        self.limits = Limits(max_workers, idle_timeout=60.0)
        self.queued, self.seconds, self.done = tasks, seconds, 0
        self.running = {}  # node id -> the times at which its tasks end
        self.idle_since = {}
        self.created = {}
        self.cooling = {}
        self.reasons = []
        self.launched = 0
        self.node_seconds = 0
        self.ids = (f"n{number}" for number in count())

    def run(self, seconds):
        for _ in range(seconds):
            self.step()
        return self

    def step(self):
        try:
            instances = self.provider.instances()
        except ProviderError:
            instances = None
        if instances is not None:
            self.work(instances)
            self.carry_out(decide(self.snapshot(instances)))
            self.node_seconds += len(instances)
        self.clock.advance(1.0)

    def work(self, instances):
        now = self.clock()
        there = {i.node_id for i in instances if i.state is not NodeState.FAILED}
        for node_id in set(self.running) - there:
            self.queued += len(self.running.pop(node_id))
        for instance in (i for i in instances if i.state is NodeState.READY):
            slots = self.running.setdefault(instance.node_id, [])
            ended = [end for end in slots if end <= now]
            self.done += len(ended)
            slots[:] = [end for end in slots if end > now]
            size = SHAPE.count_in(self.types[instance.node_type].resources)
            new = min(self.queued, size - len(slots))
            slots += [now + self.seconds] * new
            self.queued -= new
            self.idle_since.setdefault(instance.node_id, now)
            if slots:
                del self.idle_since[instance.node_id]
        self.provider.terminate([i.node_id for i in instances if i.state is NodeState.FAILED])

    def snapshot(self, instances):
        running = sum(len(ends) for ends in self.running.values())
        mean = self.seconds if self.done else None
        now = self.clock()
        return Snapshot(
            now,
            self.types,
            self.limits,
            nodes=tuple(self.node(instance) for instance in instances),
            demands=(Demand(SHAPE, self.queued, running, mean),),
            cooling=frozenset(name for name, until in self.cooling.items() if until > now),
        )

    def node(self, instance):
        resources = self.types[instance.node_type].resources
        used = len(self.running.get(instance.node_id, ()))
        return Node(
            instance.node_id,
            instance.node_type,
            instance.state,
            resources,
            resources.plus(SHAPE, -used),
            self.created[instance.node_id],
            self.idle_since.get(instance.node_id),
        )

    def carry_out(self, decision):
        for end in decision.ends:
            self.reasons.append(end.reason)
            self.provider.terminate(end.nodes)
        for launch in decision.launches:
            self.reasons.append(launch.reason)
            ids = [next(self.ids) for _ in range(launch.count)]
            self.created.update(dict.fromkeys(ids, self.clock()))
            self.launched += launch.count
            try:
                self.provider.create(launch.node_type, ids)
            except CapacityError as error:
                self.cooling[error.node_type] = self.clock() + COOLING
            except ProviderError:
                pass  # the next round asks again

    def types_there(self):
        return Counter(instance.node_type for instance in self.provider.instances())


def test_a_job_ramps_up_at_once_works_and_leaves_nothing():
    cluster = Cluster([BOX], tasks=48_000, seconds=1.0).run(91)
    assert cluster.types_there() == {"box": 30}
    assert cluster.done == 0
    cluster.run(102)  # 48,000 tasks in 480 slots take 100 s
    assert cluster.done == 48_000
    cluster.run(60)
    assert cluster.types_there() == {}
    assert [reason.split(":")[0] for reason in cluster.reasons] == [
        "launch 30 × box",
        "end 30 × box",
    ]


def test_a_job_shorter_than_a_boot_takes_no_second_node():
    cluster = Cluster([BOX], tasks=16, seconds=1.0).run(93)
    assert cluster.done == 16
    cluster.queued += 1000  # 16 slots do 1,440 such tasks in 90 s
    cluster.run(70)
    assert cluster.done == 1016
    assert cluster.launched == 1


def test_booting_nodes_are_given_back_when_the_work_is_gone():
    cluster = Cluster([BOX], tasks=4800, seconds=1.0).run(50)
    assert cluster.types_there() == {"box": 30}
    cluster.queued = 10
    cluster.run(1)
    assert cluster.types_there() == {"box": 1}
    assert cluster.reasons[-1].startswith("end 29 × box before they are up: 10 tasks queued")


def test_where_a_type_has_no_capacity_the_next_one_takes_the_rest():
    failures = [no_capacity("box", after=2)]
    cluster = Cluster([BOX, SPARE], tasks=64, seconds=300.0, failures=failures).run(10)
    assert cluster.types_there() == {"box": 2, "spare": 4}


def test_a_throttled_provider_is_asked_again_until_the_nodes_are_there():
    cluster = Cluster([BOX], tasks=480, seconds=30.0, failures=[throttled(times=3)]).run(10)
    assert cluster.types_there() == {"box": 30}


def test_nodes_that_die_are_replaced_and_their_tasks_run_again():
    dying = dies_after(100.0)
    cluster = Cluster([BOX], tasks=64, seconds=30.0, max_workers=4, failures=[dying]).run(99)
    assert cluster.done == 0
    cluster.run(5)
    cluster.provider.failures.remove(dying)
    cluster.run(130)
    assert cluster.done == 64
    assert cluster.launched == 8
    cluster.run(70)
    assert cluster.types_there() == {}


def test_nodes_that_never_boot_do_not_make_the_cluster_launch_for_ever():
    cluster = Cluster([BOX], tasks=64, seconds=30.0, failures=[never_boots()]).run(1000)
    assert cluster.launched == 4
    assert cluster.done == 0


def test_a_steady_trickle_does_not_make_the_cluster_bounce():
    cluster = Cluster([BOX], tasks=16, seconds=2.0).run(93)
    for _ in range(300):
        cluster.queued += 4
        cluster.step()
    assert cluster.launched == 1
    assert len(cluster.reasons) == 1
