import time
from collections import Counter
from dataclasses import replace

import pytest

from jupyter_cluster.autoscaler import Cause, plan
from jupyter_cluster.model import Demand, Limits, Node, NodeState, NodeType, Snapshot
from jupyter_cluster.resources import Resources

pytestmark = pytest.mark.unit

of = Resources.of
SMALL = NodeType("small", of(CPU=2), max_workers=100, price=0.1)
LARGE = NodeType("large", of(CPU=16), max_workers=100, price=0.7)
GPU = NodeType("gpu", of(CPU=16, GPU=1), max_workers=100, price=0.2)


def snapshot(types, demands=(), max_workers=100, nodes=(), requests=(), **limits):
    return Snapshot(
        now=100.0,
        node_types={t.name: t for t in types},
        limits=Limits(max_workers, **limits),
        nodes=tuple(nodes),
        demands=tuple(Demand(shape, count) for shape, count in demands),
        requests=tuple(requests),
    )


def node(name, node_type, state=NodeState.READY, free=None, since=0.0):
    resources = node_type.resources
    return Node(name, node_type.name, state, resources, resources if free is None else free, since)


def bought(snapshot):
    counts = Counter()
    for row in plan(snapshot).purchases:
        counts[row.node_type] += row.count
    return counts


def test_work_goes_to_the_type_of_least_price_per_task():
    assert bought(snapshot([SMALL, LARGE], [(of(CPU=1), 160)])) == {"large": 10}


def test_the_last_few_tasks_do_not_buy_a_large_node():
    assert bought(snapshot([SMALL, LARGE], [(of(CPU=1), 161)])) == {"large": 10, "small": 1}


def test_without_prices_types_rank_in_proportion_to_their_size():
    lean = NodeType("lean", of(CPU=4, memory=8e9), max_workers=10)
    rich = NodeType("rich", of(CPU=4, memory=64e9), max_workers=10)
    assert bought(snapshot([rich, lean], [(of(CPU=1), 8)])) == {"lean": 2}
    assert bought(snapshot([rich, lean], [(of(CPU=1, memory=15e9), 8)])) == {"rich": 2}


def test_cpu_tasks_do_not_buy_gpu_nodes_even_where_those_are_cheaper():
    assert bought(snapshot([LARGE, GPU], [(of(CPU=1), 32)])) == {"large": 2}


def test_cpu_tasks_buy_gpu_nodes_when_no_other_type_may_be_had():
    full = NodeType("large", of(CPU=16), max_workers=1, price=0.7)
    assert bought(snapshot([full, GPU], [(of(CPU=1), 32)])) == {"large": 1, "gpu": 1}


def test_cpu_tasks_use_the_cpus_of_gpu_nodes_that_gpu_tasks_bought():
    work = [(of(CPU=1), 24), (of(CPU=4, GPU=1), 2)]
    assert bought(snapshot([LARGE, GPU], work)) == {"gpu": 2}


def test_a_type_held_back_by_upscaling_speed_is_waited_for_rather_than_a_gpu_bought():
    assert bought(snapshot([LARGE, GPU], [(of(CPU=1), 1600)], upscaling_speed=1.0)) == {"large": 5}


def test_free_room_and_pending_room_come_before_a_purchase():
    nodes = [
        node("busy", LARGE, free=of(CPU=4)),
        node("booting", LARGE, NodeState.BOOTING),
    ]
    assert bought(snapshot([LARGE], [(of(CPU=1), 20)], nodes=nodes)) == {}
    assert bought(snapshot([LARGE], [(of(CPU=1), 21)], nodes=nodes)) == {"large": 1}


def test_draining_nodes_hold_no_work_but_count_against_the_limit():
    nodes = [node("leaving", LARGE, NodeState.DRAINING)]
    assert bought(snapshot([LARGE], [(of(CPU=1), 160)], 4, nodes)) == {"large": 3}


def test_large_shapes_are_packed_before_small_ones():
    box = NodeType("box", of(CPU=8), max_workers=10)
    work = [(of(CPU=1), 6), (of(CPU=5), 2)]
    assert bought(snapshot([box], work)) == {"box": 2}


def test_memory_in_bytes_does_not_drown_the_other_resources():
    # By plain sums the tasks with 2 GB would go first and leave one node too small for 5 CPUs.
    box = NodeType("box", of(CPU=8, memory=64e9), max_workers=10)
    work = [(of(CPU=1, memory=2e9), 4), (of(CPU=5), 2)]
    assert bought(snapshot([box], work)) == {"box": 2}


def test_max_workers_holds_in_all_and_per_type():
    capped = NodeType("large", of(CPU=16), max_workers=3, price=0.7)
    assert bought(snapshot([capped], [(of(CPU=1), 1000)])) == {"large": 3}
    assert bought(snapshot([capped, SMALL], [(of(CPU=1), 1000)], 5)) == {"large": 3, "small": 2}


def test_what_finds_no_node_within_the_limits_is_reported():
    planned = plan(snapshot([LARGE], [(of(CPU=1), 100)], 2))
    assert planned.unplaced == ((of(CPU=1), 68),)
    assert planned.infeasible == ()


def test_max_hourly_cost_is_used_up_but_not_exceeded():
    dime = NodeType("dime", of(CPU=1), max_workers=100, price=0.1)
    work = [(of(CPU=1), 1000)]
    assert bought(snapshot([dime], work, max_hourly_cost=0.3)) == {"dime": 3}  # 0.3 // 0.1 is 2
    there = [node("there", dime)]
    assert bought(snapshot([dime], work, nodes=there, max_hourly_cost=1.05)) == {"dime": 9}


def test_minima_are_bought_without_any_demand_and_hold_work_when_there_is_some():
    base = NodeType("base", of(CPU=4), min_workers=2, max_workers=10)
    planned = plan(snapshot([base], [(of(CPU=1), 8)]))
    assert [(row.node_type, row.cause, row.count) for row in planned.purchases] == [
        ("base", Cause.MINIMUM, 2)
    ]


def test_requests_are_held_against_whole_nodes_whether_or_not_tasks_use_them():
    busy = node("busy", LARGE, free=of())
    assert bought(snapshot([LARGE], nodes=[busy], requests=[(of(CPU=1), 16)])) == {}
    assert bought(snapshot([LARGE], nodes=[busy], requests=[(of(CPU=1), 17)])) == {"large": 1}


def test_requested_nodes_take_tasks_too():
    asked = snapshot([LARGE], [(of(CPU=1), 16)], requests=[(of(CPU=16), 1)])
    assert bought(asked) == {"large": 1}


def test_a_request_is_met_by_working_nodes_before_idle_ones():
    idle = Node("a", "large", NodeState.READY, LARGE.resources, LARGE.resources, 0.0, 10.0)
    busy = node("b", LARGE, free=of(CPU=1))
    planned = plan(snapshot([LARGE], nodes=[idle, busy], requests=[(of(CPU=8), 2)]))
    assert planned.requested == {"b"}


def test_types_that_cool_down_are_passed_over():
    cooled = snapshot([SMALL, LARGE], [(of(CPU=1), 16)])
    cooled = Snapshot(**{**vars(cooled), "cooling": frozenset({"large"})})
    assert bought(cooled) == {"small": 8}


def test_tasks_that_need_nothing_still_need_a_node():
    assert bought(snapshot([SMALL, LARGE], [(of(), 1000)])) == {"small": 1}


def test_a_million_tasks_cost_no_more_than_ten():
    def seconds(count):
        work = snapshot([SMALL, LARGE, GPU], [(of(CPU=c), count) for c in (0.5, 1, 2, 3)], 1000)
        start = time.perf_counter()
        plan(work)
        return time.perf_counter() - start

    few = min(seconds(10) for _ in range(20))
    many = min(seconds(1_000_000) for _ in range(20))
    assert many < 10 * few


def test_tasks_fill_a_node_in_use_before_they_keep_another_one_booting():
    nodes = [node("g", GPU, NodeState.BOOTING), node("l", LARGE, NodeState.BOOTING)]
    work = [(of(CPU=4, GPU=1), 1), (of(CPU=1), 12)]
    assert plan(snapshot([LARGE, GPU], work, nodes=nodes)).used == {"g"}


def test_tasks_fill_a_requested_node_before_they_keep_another_one_booting():
    wide = NodeType("wide", of(CPU=4, memory=64e9), max_workers=10, price=0.1)
    nodes = [
        node("older", LARGE, NodeState.BOOTING, since=10.0),
        node("asked-for", wide, NodeState.BOOTING, since=50.0),
    ]
    requests = [(of(memory=32e9), 1)]
    planned = plan(snapshot([LARGE, wide], [(of(CPU=1), 4)], nodes=nodes, requests=requests))
    assert planned.used == {"asked-for"}


def test_spot_nodes_are_preferred_for_their_price_and_only_for_that():
    spot = NodeType("spot", of(CPU=4), max_workers=10, spot=True)
    demand = NodeType("demand", of(CPU=4), max_workers=10)
    work = [(of(CPU=1), 8)]
    both = snapshot([spot, demand], work)
    assert bought(both) == {"spot": 2}
    assert bought(replace(both, cooling=frozenset({"spot"}))) == {"demand": 2}
    same = [replace(node_type, price=0.2) for node_type in (spot, demand)]
    assert bought(snapshot(same, work)) == {"demand": 2}
