"""The search for cheaper launch sets and its bound, on mixes of shapes over ten EC2 types."""

from collections import Counter
from dataclasses import replace
from math import inf
from statistics import mean

import pytest

from benchmarks.autoscaling.cases import ec2_types, mixed_case
from jupyter_cluster.autoscaler import plan
from jupyter_cluster.autoscaler.bins import Bin, make_problem
from jupyter_cluster.autoscaler.bound import cost_of_hours, pooled_bound
from jupyter_cluster.model import Demand, Limits, Node, NodeState, NodeType, Snapshot
from jupyter_cluster.resources import Resources

pytestmark = pytest.mark.unit

of = Resources.of
SEEDS = range(8)


def bound_of(counts, *types, nodes=inf):
    bins = [Bin(of(t), price, 1000) for t, price in types]
    problem = make_problem(counts, bins, (nodes, inf, inf))
    return pooled_bound(problem).value


def test_mixed_shapes_cost_little_more_than_the_bound():
    ratios = [(p := plan(mixed_case(seed))).cost / p.bound for seed in SEEDS]
    assert min(ratios) >= 1
    assert mean(ratios) < 1.035


def test_the_search_is_worth_it():
    saved = [
        1 - plan(mixed_case(seed)).cost / plan(mixed_case(seed), search=False).cost
        for seed in SEEDS
    ]
    assert min(saved) >= 0
    assert mean(saved) > 0.015


def test_with_fewer_workers_than_the_cheapest_set_takes_larger_ones_are_chosen():
    free = plan(mixed_case(6))
    count = sum(row.count for row in free.purchases)
    tight = plan(replace(mixed_case(6), limits=Limits(round(0.8 * count))))
    assert sum(row.count for row in tight.purchases) <= round(0.8 * count)
    assert tight.unplaced == ()
    assert tight.cost < 1.1 * free.cost


def test_where_room_is_short_every_shape_gets_a_node_before_one_gets_all():
    types = {
        name: NodeType(name, of(resources), max_workers=10, price=price)
        for name, resources, price in (
            ("cpu", {"CPU": 16}, 0.7),
            ("gpu", {"CPU": 4, "GPU": 1}, 1.0),
            ("big", {"CPU": 4, "memory": 512e9}, 3.0),
        )
    }
    demands = [Demand(of(CPU=1), 1000), Demand(of(GPU=1), 5), Demand(of(memory=400e9), 5)]
    planned = plan(Snapshot(0.0, types, Limits(4), demands=tuple(demands)))
    bought = Counter()
    for row in planned.purchases:
        bought[row.node_type] += row.count
    assert bought == {"cpu": 2, "gpu": 1, "big": 1}


def test_nodes_that_are_there_are_filled_so_that_little_is_bought():
    """First fit fills the first node with small tasks and would buy one for the large task."""
    box = NodeType("box", of(CPU=8, memory=8e9), max_workers=10, price=1.0)
    there = tuple(
        Node(f"n{n}", "box", NodeState.READY, box.resources, of(CPU=cpus, memory=memory), 0.0)
        for n, (cpus, memory) in enumerate([(4, 8e9), (8, 4e9)])
    )
    demands = (Demand(of(CPU=4, memory=1e9), 2), Demand(of(CPU=1, memory=3e9), 2))
    planned = plan(Snapshot(0.0, {"box": box}, Limits(10), there, demands))
    assert planned.unplaced == ()
    assert planned.cost <= 1.0


def test_the_same_snapshot_gives_the_same_plan():
    first, again = plan(mixed_case(3)), plan(mixed_case(3))
    assert (first.purchases, first.loads) == (again.purchases, again.loads)


def test_nodes_that_cost_nothing_are_still_as_few_as_can_be():
    free = {name: replace(t, price=0.0) for name, t in ec2_types().items()}
    planned = plan(replace(mixed_case(1), node_types=free))
    assert planned.cost == planned.bound == 0.0
    assert sum(row.count for row in planned.purchases) < 400


def test_the_bound_pools_the_nodes_of_a_type():
    assert bound_of({of(CPU=3): 10}, ({"CPU": 6}, 2.0)) == pytest.approx(10.0)


def test_the_bound_knows_that_large_tasks_do_not_share_a_node():
    assert bound_of({of(CPU=4): 10}, ({"CPU": 6}, 2.0)) == pytest.approx(20.0)


def test_the_bound_on_hours_takes_the_cheapest_type_for_them():
    assert cost_of_hours(ec2_types().values(), {of(CPU=1): 0.5}) == pytest.approx(0.17 / 4 / 2)
    assert cost_of_hours([], {of(CPU=1): 0.5}) == 0.0


def test_a_node_type_has_no_more_nodes_than_it_may_though_a_cheaper_one_would_do():
    types = {
        "large": NodeType("large", of(CPU=36, memory=72e9), max_workers=10, price=1.5),
        "small": NodeType("small", of(CPU=8, memory=64e9), max_workers=1, price=0.5),
    }
    demands = (Demand(of(memory=5e8), 9), Demand(of(CPU=0.3, memory=2e10), 7))
    planned = plan(Snapshot(0.0, types, Limits(10), demands=demands))
    assert planned.unplaced == ()
    assert {name: len(loads) for name, loads in planned.loads.items()} == {"large": 2, "small": 1}


def test_a_part_of_a_node_that_is_up_is_used_before_anything_is_bought():
    box = NodeType("box", of(CPU=16), max_workers=10, price=1.0)
    there = tuple(
        Node(f"n{n}", "box", NodeState.READY, box.resources, box.resources, 0.0) for n in range(3)
    )
    for search in (True, False):
        work = Snapshot(0.0, {"box": box}, Limits(4), there, (Demand(of(CPU=8), 5),))
        assert plan(work, search).purchases == ()
        asked = Snapshot(0.0, {"box": box}, Limits(4), there, requests=((of(CPU=8), 5),))
        assert plan(asked, search).purchases == ()


def test_the_bound_counts_room_in_ever_so_many_fragments():
    box = NodeType("box", of(CPU=40), max_workers=100, price=1.0)
    there = tuple(
        Node(f"n{n}", "box", NodeState.READY, box.resources, of(CPU=n), 0.0) for n in range(1, 31)
    )
    planned = plan(Snapshot(0.0, {"box": box}, Limits(100), there, (Demand(of(CPU=1), 470),)))
    assert 0 < planned.bound <= planned.cost == 1.0


def test_prices_may_be_in_any_unit():
    def ratio(factor):
        case = mixed_case(2)
        types = {n: replace(t, price=t.price * factor) for n, t in case.node_types.items()}
        planned = plan(replace(case, node_types=types))
        return planned.cost / planned.bound

    assert ratio(1e-6) == pytest.approx(ratio(1.0), abs=0.005)
    assert ratio(1e6) == pytest.approx(ratio(1.0), abs=0.005)


def test_few_nodes_are_chosen_together():
    types = {
        "large": NodeType("large", of(CPU=96), max_workers=2, price=3.5),
        "small": NodeType("small", of(CPU=4), max_workers=5, price=0.1),
    }
    demands = (Demand(of(CPU=4), 20), Demand(of(CPU=0.1), 9))
    assert plan(Snapshot(0.0, types, Limits(50), demands=demands)).cost == pytest.approx(3.5)


def test_small_nodes_are_bought_where_a_large_one_would_be_left_half_empty():
    types = {
        "large": NodeType("large", of(CPU=36), max_workers=10, price=1.5),
        "small": NodeType("small", of(CPU=8), max_workers=10, price=0.34),
    }
    there = tuple(
        Node(f"n{n}", "small", NodeState.READY, of(CPU=8), of(CPU=8), 0.0) for n in range(5)
    )
    planned = plan(Snapshot(0.0, types, Limits(10), there, (Demand(of(CPU=4), 20),)))
    assert planned.cost == pytest.approx(5 * 0.34)
