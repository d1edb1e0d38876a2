from dataclasses import replace

import pytest

from jupyter_cluster.autoscaler import decide
from jupyter_cluster.model import Demand, End, Launch, Limits, Node, NodeState, NodeType, Snapshot
from jupyter_cluster.resources import Resources

pytestmark = pytest.mark.unit

of = Resources.of
NOW = 1000.0
LOCAL = NodeType("local", of(CPU=1), max_workers=2, price=0.0, boot_seconds=2.0)
BOX = NodeType("box", of(CPU=4), max_workers=10, price=0.2, boot_seconds=90.0)


def snapshot(*types, nodes=(), demands=(), max_workers=10, **more):
    limits = more.pop("limits", Limits(max_workers, idle_timeout=60.0))
    by_name = {node_type.name: node_type for node_type in types}
    return Snapshot(NOW, by_name, limits, tuple(nodes), tuple(demands), **more)


def idle(name, node_type=BOX, seconds=61.0, kept_because=""):
    resources = node_type.resources
    since = NOW - seconds
    return Node(
        name, node_type.name, NodeState.READY, resources, resources, 0.0, since, kept_because
    )


def busy(name, node_type=BOX, free=None):
    return Node(name, node_type.name, NodeState.READY, node_type.resources, free or of(), 0.0)


def booting(name, node_type=BOX, age=10.0, unneeded=None):
    """A node on its way, which nothing has needed for so many seconds."""
    resources = node_type.resources
    since = None if unneeded is None else NOW - unneeded
    return Node(
        name,
        node_type.name,
        NodeState.BOOTING,
        resources,
        resources,
        NOW - age,
        unneeded_since=since,
    )


def ended(decision):
    return {name for end in decision.ends for name in end.nodes}


def test_a_queue_launches_nodes_and_says_why():
    decision = decide(snapshot(LOCAL, demands=[Demand(of(CPU=1), 400)]))
    assert decision.launches == (
        Launch(
            "local",
            2,
            "launch 2 × local: 400 tasks of {CPU: 1} queued, 0 nodes up, boot 2 s",
            loads=(((of(CPU=1), 1),),) * 2,
        ),
    )


def test_the_reason_names_the_measured_duration_and_the_price():
    decision = decide(
        snapshot(BOX, nodes=[busy("a")], demands=[Demand(of(CPU=1), 134_000, 4, 0.4)])
    )
    assert decision.launches[0].reason == (
        "launch 9 × box: 134,000 tasks of {CPU: 1} queued at 0.4 s each, about 3.72 h of work for "
        "what is up, 1 node up, boot 90 s, 9 × 0.2 USD per hour"
    )


def test_minima_and_requests_are_named_as_reasons():
    base = replace(BOX, min_workers=1, price=None)
    decision = decide(snapshot(base, requests=((of(CPU=1), 8),)))
    assert decision.launches == (
        Launch(
            "box",
            2,
            "launch 2 × box: min_workers is 1 and 8 × {CPU: 1} requested, 0 nodes up, boot 90 s",
            loads=((), ()),
        ),
    )


def test_many_shapes_are_summed_up_in_the_reason():
    demands = [Demand(of(CPU=4, memory=n), 1) for n in range(1, 7)]
    wide = NodeType("wide", of(CPU=4, memory=10), max_workers=10)
    reason = decide(snapshot(wide, demands=demands)).launches[0].reason
    assert "1 task of {CPU: 4, memory: 1 bytes} queued and" in reason
    assert "and 3 more shapes, 0 nodes up" in reason


def test_no_node_is_launched_that_would_find_no_work():
    # 4 slots do 900 tasks of 0.4 s in 90 s.
    short = decide(snapshot(BOX, nodes=[busy("a")], demands=[Demand(of(CPU=1), 890, 4, 0.4)]))
    longer = decide(snapshot(BOX, nodes=[busy("a")], demands=[Demand(of(CPU=1), 5400, 4, 0.4)]))
    assert short.launches == ()
    assert longer.launches[0].count == 9


def test_nothing_is_launched_while_closing():
    base = replace(BOX, min_workers=1)
    assert not decide(snapshot(base, demands=[Demand(of(CPU=1), 9)], closing=True))


def test_upscaling_speed_holds_only_where_it_is_set():
    work = [Demand(of(CPU=4), 100)]
    limits = Limits(10, upscaling_speed=1.0)
    assert decide(snapshot(BOX, demands=work)).launches[0].count == 10
    assert decide(snapshot(BOX, demands=work, limits=limits)).launches[0].count == 5


def test_minima_are_exempt_from_upscaling_speed():
    base = replace(BOX, min_workers=8)
    limits = Limits(10, upscaling_speed=1.0)
    assert decide(snapshot(base, limits=limits)).launches[0].count == 8


def test_idle_nodes_end_in_one_batch_after_the_timeout():
    nodes = [idle("a", seconds=60.0), idle("b", seconds=90.0), idle("c", seconds=59.0)]
    assert decide(snapshot(BOX, nodes=nodes)).ends == (
        End(
            ("a", "b"),
            "end 2 × box: idle for 60 s to 90 s, the time-out is 60 s, no queued task fits",
        ),
    )


def test_idle_nodes_that_are_due_one_after_the_other_end_together():
    due, soon = idle("a", seconds=61.0), idle("b", seconds=58.0)
    assert not decide(snapshot(BOX, nodes=[due, soon]))
    assert ended(decide(snapshot(BOX, nodes=[idle("a", seconds=63.0), idle("b")]))) == {"a", "b"}
    long_due = idle("a", seconds=70.0)
    assert ended(decide(snapshot(BOX, nodes=[long_due, soon]))) == {"a"}


def test_idle_nodes_stay_down_to_the_minimum_and_the_longest_idle_goes_first():
    base = replace(BOX, min_workers=1)
    nodes = [idle("a", seconds=70.0), idle("b", seconds=90.0)]
    assert ended(decide(snapshot(base, nodes=nodes))) == {"b"}


def test_idle_nodes_stay_that_a_request_needs():
    nodes = [idle("a"), idle("b")]
    decision = decide(snapshot(BOX, nodes=nodes, requests=((of(CPU=1), 3),)))
    assert len(ended(decision)) == 1


def test_with_auto_a_node_idles_for_as_long_as_a_start_is_worth():
    limits = Limits(10, idle_timeout=None)
    nodes = [idle("a", seconds=130.0), idle("b", seconds=135.0)]
    decision = decide(snapshot(BOX, nodes=nodes, limits=limits))
    assert decision.ends == (
        End(
            ("b",),
            "end 1 × box: idle for 2 min, as long as a new start is worth, no queued task fits",
        ),
    )


def test_with_auto_nodes_that_start_quickly_are_kept_for_a_moment():
    limits = Limits(10, idle_timeout=None)
    nodes = [idle("a", LOCAL, seconds=15.0), idle("b", LOCAL, seconds=20.0)]
    assert ended(decide(snapshot(LOCAL, nodes=nodes, limits=limits))) == {"b"}


def test_an_idle_node_stays_that_is_kept_for_a_reason():
    nodes = [idle("a", kept_because="it holds 3 results"), idle("b")]
    assert ended(decide(snapshot(BOX, nodes=nodes))) == {"b"}


def test_an_idle_node_stays_while_a_queued_task_fits_it():
    gpu = NodeType("gpu", of(CPU=4, GPU=1), max_workers=10)
    nodes = [idle("a"), idle("b", gpu)]
    demands = [Demand(of(GPU=1), 1)]
    assert ended(decide(snapshot(BOX, gpu, nodes=nodes, demands=demands))) == {"a"}


def test_booting_nodes_that_nothing_needs_are_cancelled_the_newest_first():
    nodes = [booting("old", age=50.0, unneeded=10.0), booting("new", unneeded=10.0), busy("up")]
    work = Demand(of(CPU=1), 3, 4, 600.0)
    decision = decide(snapshot(BOX, nodes=nodes, demands=[work]))
    assert decision.ends == (
        End(
            ("new",),
            "end 1 × box before it is up: 3 tasks queued, 1 node up and 2 on the way, "
            "no task, request or minimum needs it",
        ),
    )


def test_a_booting_node_is_given_up_only_after_nothing_has_needed_it_for_a_while():
    for unneeded in (None, 9.0):
        decision = decide(snapshot(BOX, nodes=[booting("a", unneeded=unneeded)]))
        assert (decision.ends, decision.unneeded) == ((), {"a"})
    assert ended(decide(snapshot(BOX, nodes=[booting("a", unneeded=10.0)]))) == {"a"}


def test_a_booting_node_goes_when_what_is_up_will_have_done_the_work_before_it_comes():
    # Up in 40 s; 4 slots do 400 tasks of 0.4 s meanwhile.
    nodes = [busy("up"), booting("coming", age=50.0, unneeded=10.0)]
    assert not decide(snapshot(BOX, nodes=nodes, demands=[Demand(of(CPU=1), 430, 4, 0.4)])).ends
    short = [Demand(of(CPU=1), 390, 4, 0.4)]
    assert ended(decide(snapshot(BOX, nodes=nodes, demands=short))) == {"coming"}


def test_booting_nodes_for_a_minimum_are_not_cancelled():
    base = replace(BOX, min_workers=1)
    assert not decide(snapshot(base, nodes=[booting("a")]))


def test_a_queue_too_short_to_launch_a_node_still_keeps_a_booting_one():
    # When it comes, 5 tasks will be left: more than none, but not worth another boot.
    nodes = [busy("up"), booting("coming", age=85.0, unneeded=60.0)]
    decision = decide(snapshot(BOX, nodes=nodes, demands=[Demand(of(CPU=1), 53, 4, 0.4)]))
    assert not decision
    assert not decision.unneeded


def test_over_the_maximum_idle_nodes_go_before_booting_and_busy_ones():
    nodes = [busy("busy"), booting("booting"), idle("idle", seconds=1.0), busy("busy2")]
    work = [Demand(of(CPU=1), 100, 8)]

    def left(most):
        gone = ended(decide(snapshot(BOX, nodes=nodes, demands=work, max_workers=most)))
        return {node.id for node in nodes} - gone

    assert left(4) == {"busy", "busy2", "booting", "idle"}
    assert left(3) == {"busy", "busy2", "booting"}
    assert left(2) == {"busy", "busy2"}
    assert len(left(1)) == 1


def test_over_the_maximum_the_reason_names_both_numbers():
    small = replace(BOX, max_workers=1)
    decision = decide(snapshot(small, nodes=[idle("a", seconds=1.0), busy("b")]))
    assert decision.ends == (End(("a",), "end 1 × box: 2 workers of box and its max_workers is 1"),)


def test_nodes_of_a_type_that_left_the_config_end():
    old = NodeType("old", of(CPU=4))
    decision = decide(snapshot(BOX, nodes=[idle("a", old, seconds=1.0)]))
    assert "the config has no such type any more" in decision.ends[0].reason


def test_a_surplus_node_that_is_kept_stays_until_it_is_free():
    nodes = [idle("a", kept_because="it holds 3 results"), busy("b")]
    assert ended(decide(snapshot(BOX, nodes=nodes, max_workers=1))) == {"b"}


GPU_BOX = NodeType("gpu", of(CPU=4, GPU=1), max_workers=10, price=0.6)
GPU_WORK = Demand(of(GPU=1), 1, 0, 600.0)


def test_idle_nodes_make_room_for_what_only_other_nodes_can_hold_the_longest_idle_first():
    nodes = [idle("a", seconds=5.0), idle("b", seconds=9.0), busy("c")]
    decision = decide(snapshot(BOX, GPU_BOX, nodes=nodes, demands=[GPU_WORK], max_workers=3))
    assert decision.ends == (
        End(
            ("b",),
            "end 1 × box: idle, and the limits leave no room for nodes for 1 task of {GPU: 1}",
        ),
    )


def test_idle_nodes_stay_while_there_is_room_beside_them_or_nothing_would_come_of_it():
    nodes = [idle("a", seconds=5.0), idle("b", seconds=9.0)]
    assert not decide(snapshot(BOX, GPU_BOX, nodes=nodes, demands=[GPU_WORK], max_workers=3)).ends
    full = replace(GPU_BOX, max_workers=1)
    there = [*nodes, busy("g", full)]
    assert not decide(snapshot(BOX, full, nodes=there, demands=[GPU_WORK], max_workers=3)).ends


def test_idle_nodes_of_a_minimum_do_not_make_room():
    base = replace(BOX, min_workers=2)
    nodes = [idle("a", seconds=5.0), idle("b", seconds=9.0)]
    assert not decide(snapshot(base, GPU_BOX, nodes=nodes, demands=[GPU_WORK], max_workers=2)).ends


def test_no_more_idle_nodes_make_room_than_are_in_the_way_beside_a_minimum():
    base = replace(BOX, min_workers=2)
    nodes = [idle(name, seconds=5.0) for name in "abcd"]
    decision = decide(snapshot(base, GPU_BOX, nodes=nodes, demands=[GPU_WORK], max_workers=4))
    assert ended(decision) == {"a"}


def test_what_no_node_can_hold_is_reported_and_launches_nothing():
    decision = decide(snapshot(LOCAL, demands=[Demand(of(CPU=8), 3)]))
    assert not decision
    assert [(row.shape, row.count) for row in decision.infeasible] == [(of(CPU=8), 3)]
