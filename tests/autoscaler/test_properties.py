"""What holds for every decision, whatever the cluster looks like."""

from collections import Counter
from dataclasses import replace
from math import fsum

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from jupyter_cluster.autoscaler import decide, plan
from jupyter_cluster.autoscaler.prices import hourly_price
from jupyter_cluster.model import Demand, Limits, Node, NodeState, NodeType, Snapshot
from jupyter_cluster.resources import Resources

pytestmark = pytest.mark.unit

NOW = 1000.0
every_snapshot = settings(
    max_examples=100, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow]
)

amounts = st.fixed_dictionaries(
    {"CPU": st.sampled_from([1, 2, 4, 16])},
    optional={"GPU": st.sampled_from([1, 4]), "memory": st.sampled_from([4e9, 64e9])},
)
shapes = st.builds(
    Resources.of,
    st.fixed_dictionaries(
        {},
        optional={
            "CPU": st.sampled_from([0.5, 1, 3, 8]),
            "GPU": st.sampled_from([0.5, 1, 2]),
            "memory": st.sampled_from([1e9, 10e9]),
        },
    ),
)
demands = st.builds(
    Demand,
    shape=shapes,
    queued=st.sampled_from([0, 1, 2, 5, 40, 100_000]),
    running=st.sampled_from([0, 0, 3]),
    mean_seconds=st.sampled_from([None, 0.4, 30.0, 3000.0]),
)
states = st.sampled_from(
    [
        NodeState.READY,
        NodeState.READY,
        NodeState.REQUESTED,
        NodeState.BOOTING,
        NodeState.DRAINING,
        NodeState.TERMINATED,
    ]
)


@st.composite
def node_types(draw):
    names = draw(st.lists(st.sampled_from("abcd"), min_size=1, max_size=4, unique=True))
    types = {}
    for name in names:
        most = draw(st.integers(0, 12))
        types[name] = NodeType(
            name,
            Resources.of(draw(amounts)),
            min_workers=draw(st.integers(0, min(2, most))),
            max_workers=most,
            price=draw(st.sampled_from([None, 0.0, 0.1, 0.5, 3.0])),
            boot_seconds=draw(st.sampled_from([2.0, 90.0, 300.0])),
        )
    return types


@st.composite
def nodes(draw, types, number):
    name = draw(st.sampled_from([*types, "gone"]))
    resources = types[name].resources if name in types else Resources.of(CPU=2)
    state = draw(states)
    idle = state is NodeState.READY and draw(st.booleans())
    free = resources
    if state is NodeState.READY and not idle:
        free = Resources.from_units(
            {kind: draw(st.integers(0, units // 10_000)) * 10_000 for kind, units in resources}
        )
    return Node(
        f"n{number}",
        name,
        state,
        resources,
        free,
        since=NOW - draw(st.sampled_from([1, 10, 60, 400])),
        idle_since=NOW - draw(st.sampled_from([0, 30, 90, 400])) if idle else None,
        kept_because=draw(st.sampled_from(["", "", "", "it holds 3 results"])),
    )


@st.composite
def snapshots(draw):
    types = draw(node_types())
    minimum = sum(t.min_workers for t in types.values())
    limits = Limits(
        max_workers=draw(st.integers(minimum, minimum + 15)),
        max_hourly_cost=draw(st.sampled_from([None, None, 1.0, 4.0])),
        upscaling_speed=draw(st.sampled_from([None, None, 0.0, 1.0, 3.0])),
        idle_timeout=60.0,
    )
    count = draw(st.integers(0, 8))
    return Snapshot(
        now=NOW,
        node_types=types,
        limits=limits,
        nodes=tuple(draw(nodes(types, number)) for number in range(count)),
        demands=tuple(draw(st.lists(demands, max_size=4, unique_by=lambda d: d.shape))),
        requests=tuple(draw(st.lists(st.tuples(shapes, st.integers(1, 20)), max_size=2))),
        cooling=frozenset(draw(st.sets(st.sampled_from(sorted(types)), max_size=1))),
        closing=draw(st.sampled_from([False, False, False, True])),
    )


def carried_out(snapshot):
    """The snapshot after the decision has been carried out and before anything else happened."""
    decision = decide(snapshot)
    ended = {name for end in decision.ends for name in end.nodes}
    there = [
        replace(node, state=NodeState.DRAINING, idle_since=None) if node.id in ended else node
        for node in snapshot.nodes
    ]
    for launch in decision.launches:
        resources = snapshot.node_types[launch.node_type].resources
        there += [
            Node(
                f"new-{launch.node_type}-{number}",
                launch.node_type,
                NodeState.REQUESTED,
                resources,
                resources,
                since=snapshot.now,
                meant_for=load,
            )
            for number, load in enumerate(launch.loads)
        ]
    return replace(snapshot, nodes=tuple(there))


def alive(snapshot):
    return [node for node in snapshot.nodes if not node.state.is_gone]


def usable(snapshot):
    return [n for n in alive(snapshot) if n.state is not NodeState.DRAINING]


def launched(decision):
    return Counter({launch.node_type: launch.count for launch in decision.launches})


def ended(decision, snapshot):
    names = [name for end in decision.ends for name in end.nodes]
    assert len(names) == len(set(names)), "a node is ended twice"
    return [node for node in snapshot.nodes if node.id in names]


def cost(snapshot):
    stand_ins = {n.type: NodeType(n.type, n.resources) for n in snapshot.nodes}
    types = {**stand_ins, **snapshot.node_types}
    return fsum(hourly_price(types[node.type]) for node in alive(snapshot))


@every_snapshot
@given(snapshots())
def test_launches_never_exceed_a_limit(snapshot):
    new = launched(decide(snapshot))
    after = carried_out(snapshot)
    have = Counter(node.type for node in alive(after))
    for name in new:
        assert have[name] <= snapshot.node_types[name].max_workers
        assert name not in snapshot.cooling
    if new:
        assert not snapshot.closing
        assert have.total() <= snapshot.limits.max_workers
        if snapshot.limits.max_hourly_cost is not None:
            # What was over the limit before may not grow; nodes that cost nothing may come.
            limit = max(snapshot.limits.max_hourly_cost, cost(snapshot))
            assert cost(after) <= limit + 1e-9


@every_snapshot
@given(snapshots())
def test_upscaling_speed_holds_back_all_but_minima(snapshot):
    speed = snapshot.limits.upscaling_speed
    if speed is None:
        return
    ready = Counter(n.type for n in snapshot.nodes if n.state is NodeState.READY)
    before = Counter(n.type for n in usable(snapshot))
    pending = Counter(n.type for n in carried_out(snapshot).nodes if n.state.is_pending)
    for name, count in launched(decide(snapshot)).items():
        minimum = max(0, snapshot.node_types[name].min_workers - before[name])
        assert count <= minimum or pending[name] <= max(5, int(speed * ready[name]))


@every_snapshot
@given(snapshots())
def test_minimum_workers_are_there_when_the_limits_allow(snapshot):
    after = carried_out(snapshot)
    have = Counter(node.type for node in usable(after))
    total = Counter(node.type for node in alive(after))
    budget = snapshot.limits.max_hourly_cost
    for name, node_type in snapshot.node_types.items():
        room = (
            total.total() < snapshot.limits.max_workers
            and total[name] < node_type.max_workers
            and (budget is None or cost(after) + hourly_price(node_type) <= budget)
            and name not in snapshot.cooling
            and not snapshot.closing
        )
        assert have[name] >= node_type.min_workers or not room


@every_snapshot
@given(snapshots())
def test_no_feasible_task_is_left_while_a_node_for_it_may_be_bought(snapshot):
    snapshot = replace(snapshot, limits=replace(snapshot.limits, upscaling_speed=None))
    planned = plan(snapshot)
    bought = Counter(node.type for node in alive(snapshot))
    spent = cost(snapshot)
    for row in planned.purchases:
        bought[row.node_type] += row.count
        spent += row.count * hourly_price(snapshot.node_types[row.node_type])
    budget = snapshot.limits.max_hourly_cost
    for shape, _ in planned.unplaced:
        for name, node_type in snapshot.node_types.items():
            may_be_bought = (
                name not in snapshot.cooling
                and bought[name] < node_type.max_workers
                and bought.total() < snapshot.limits.max_workers
                and (budget is None or spent + hourly_price(node_type) <= budget - 1e-6)
            )
            assert not (may_be_bought and shape.fits(node_type.resources))


@every_snapshot
@given(snapshots())
def test_every_feasible_task_is_placed_or_counted_as_unplaced(snapshot):
    planned = plan(snapshot)
    refused = {row.shape for row in planned.infeasible}
    left = dict(planned.unplaced)
    for demand in snapshot.demands:
        assert left.get(demand.shape, 0) <= demand.queued
        assert not (demand.shape in refused and demand.shape in left)


@every_snapshot
@given(snapshots())
def test_what_is_infeasible_fits_no_node_that_may_exist(snapshot):
    after = carried_out(snapshot)
    for row in decide(snapshot).infeasible:
        assert not any(row.shape.fits(node.resources) for node in usable(after))
        for node_type in snapshot.node_types.values():
            if row.shape.fits(node_type.resources):
                budget = snapshot.limits.max_hourly_cost
                assert (
                    not node_type.max_workers
                    or not snapshot.limits.max_workers
                    or (budget is not None and hourly_price(node_type) > budget)
                )


@every_snapshot
@given(snapshots(), st.randoms(use_true_random=False))
def test_the_order_of_the_input_does_not_matter(snapshot, random):
    def shuffled(rows):
        rows = list(rows)
        random.shuffle(rows)
        return tuple(rows)

    other = replace(
        snapshot,
        node_types=dict(shuffled(snapshot.node_types.items())),
        nodes=shuffled(snapshot.nodes),
        demands=shuffled(snapshot.demands),
        requests=shuffled(snapshot.requests),
    )
    assert decide(other) == decide(snapshot)


@every_snapshot
@given(snapshots())
def test_nothing_needed_is_ended(snapshot):
    decision = decide(snapshot)
    have = Counter(node.type for node in usable(snapshot))
    left = Counter(node.type for node in usable(carried_out(snapshot))) - launched(decision)
    over = have.total() > snapshot.limits.max_workers
    queued = [d.shape for d in snapshot.demands if d.queued]
    for node in ended(decision, snapshot):
        assert not node.kept_because
        node_type = snapshot.node_types.get(node.type)
        if node_type is None or have[node.type] > node_type.max_workers:
            continue
        assert left[node.type] >= node_type.min_workers
        if over:
            continue
        made_room = any(
            "leave no room" in end.reason and node.id in end.nodes for end in decision.ends
        )
        assert node.state.is_pending or snapshot.now - node.idle_since >= 60 or made_room
        if node.state is NodeState.READY:
            assert not any(shape.fits(node.resources) for shape in queued)


@every_snapshot
@given(snapshots())
def test_what_requests_ask_for_stays_when_nodes_are_ended(snapshot):
    have = Counter(node.type for node in usable(snapshot))
    limits = {name: t.max_workers for name, t in snapshot.node_types.items()}
    if have.total() > snapshot.limits.max_workers or any(
        count > limits.get(name, 0) for name, count in have.items()
    ):
        return
    decision = decide(snapshot)
    kept = {node.id for node in ended(decision, snapshot)} & plan(snapshot).requested
    assert not kept


@every_snapshot
@given(snapshots())
def test_a_decision_that_was_carried_out_launches_nothing_more(snapshot):
    after = carried_out(snapshot)
    assert decide(after).launches == ()


@every_snapshot
@given(snapshots())
def test_what_was_launched_is_not_cancelled_at_once(snapshot):
    after = carried_out(snapshot)
    again = {name for end in decide(after).ends for name in end.nodes}
    assert not {name for name in again if name.startswith("new-")}


@every_snapshot
@given(snapshots())
def test_every_action_says_why_with_a_number(snapshot):
    decision = decide(snapshot)
    for action in (*decision.launches, *decision.ends):
        assert action.reason.startswith(("launch ", "end "))
        assert any(character.isdigit() for character in action.reason.split(":", 1)[1])


def holdings(planned, snapshot):
    """Every new node of a plan: its type and what it is meant to hold."""
    for name, loads in planned.loads.items():
        for load in loads:
            yield snapshot.node_types[name], load


@every_snapshot
@given(snapshots())
def test_every_new_node_can_hold_what_it_is_meant_for(snapshot):
    planned = plan(snapshot)
    for node_type, load in holdings(planned, snapshot):
        total = Resources()
        for shape, count in load:
            assert count > 0
            total = total.plus(shape, count)
        assert total.fits(node_type.resources)
    bought = Counter({row.node_type: 0 for row in planned.purchases})
    for row in planned.purchases:
        bought[row.node_type] += row.count
    assert bought == Counter({name: len(loads) for name, loads in planned.loads.items()})


@every_snapshot
@given(snapshots())
def test_new_nodes_are_not_meant_for_more_tasks_than_there_are(snapshot):
    queued = Counter({demand.shape: demand.queued for demand in snapshot.demands})
    planned = plan(snapshot)
    for _, load in holdings(planned, snapshot):
        for shape, count in load:
            queued[shape] -= count
    assert all(count >= 0 for count in queued.values())
    for shape, count in planned.unplaced:
        assert count <= queued[shape]


def first_fit_cost(snapshot):
    """What one task at a time costs, each on the first node with room or the cheapest new one.

    None where the limits leave a task without a node.
    """
    counts, free, spent = Counter(), [], 0.0
    tasks = [demand.shape for demand in snapshot.demands for _ in range(demand.queued)]
    for shape in sorted(tasks, key=lambda shape: (-shape.get("GPU"), -shape.get("CPU"))):
        index = next((i for i, room in enumerate(free) if shape.fits(room)), None)
        if index is None:
            able = [
                t
                for t in snapshot.node_types.values()
                if shape.fits(t.resources) and counts[t.name] < t.max_workers
            ]
            if not able or counts.total() == snapshot.limits.max_workers:
                return None
            best = min(able, key=lambda t: (bool(t.resources.get("GPU")), hourly_price(t)))
            counts[best.name] += 1
            spent += hourly_price(best)
            free.append(best.resources)
            index = len(free) - 1
        free[index] = free[index].plus(shape, -1)
    return spent


@every_snapshot
@given(snapshots())
def test_a_plan_costs_no_more_than_first_fit(snapshot):
    bare = replace(
        snapshot,
        nodes=(),
        requests=(),
        cooling=frozenset(),
        limits=Limits(snapshot.limits.max_workers),
        node_types={n: replace(t, min_workers=0) for n, t in snapshot.node_types.items()},
        demands=tuple(replace(d, queued=min(d.queued, 40)) for d in snapshot.demands if d.shape),
    )
    cost, planned = first_fit_cost(bare), plan(bare)
    if cost is not None:
        assert not planned.unplaced
        assert planned.cost <= cost + 1e-9


@every_snapshot
@given(snapshots())
def test_no_plan_costs_less_than_its_bound(snapshot):
    planned = plan(snapshot)
    assert planned.bound <= planned.cost + 1e-6


@every_snapshot
@given(snapshots())
def test_a_search_only_ever_helps(snapshot):
    quick, best = plan(snapshot, search=False), plan(snapshot)
    queued = Counter({demand.shape: demand.queued for demand in snapshot.demands})

    def rank(planned):
        left = dict(planned.unplaced)
        return sum(left.get(s) == n for s, n in queued.items()), sum(left.values()), planned.cost

    assert rank(best) <= (*rank(quick)[:2], rank(quick)[2] + 1e-9)


@every_snapshot
@given(snapshots())
def test_tasks_without_gpu_buy_no_gpu_node_while_another_type_can_take_them(snapshot):
    queued = [demand.shape for demand in snapshot.demands if demand.queued]
    if any(shape.get("GPU") for shape in [*queued, *(shape for shape, _ in snapshot.requests)]):
        return
    planned = plan(snapshot)
    for row in planned.purchases:
        node_type = snapshot.node_types[row.node_type]
        if row.shape is None or not node_type.resources.get("GPU"):
            continue
        bought = Counter()
        for other in planned.purchases:
            bought[other.node_type] += other.count
        for name, other in snapshot.node_types.items():
            if row.shape.fits(other.resources) and not other.resources.get("GPU"):
                there = sum(node.type == name for node in alive(snapshot))
                budget = snapshot.limits.max_hourly_cost
                assert (
                    name in snapshot.cooling
                    or there + bought[name] >= other.max_workers
                    or budget is not None
                )
