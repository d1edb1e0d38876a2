import pytest

from jupyter_cluster.autoscaler import BootTimes
from jupyter_cluster.autoscaler.forecast import (
    PRIOR_SECONDS,
    PRIOR_TASKS,
    expected_seconds,
    left_for_new_nodes,
    left_for_pending_nodes,
    seconds_of_work,
)
from jupyter_cluster.model import Demand, Limits, Node, NodeState, NodeType, Snapshot
from jupyter_cluster.resources import Resources

pytestmark = pytest.mark.unit

of = Resources.of
BOX = NodeType("box", of(CPU=10), max_workers=10, boot_seconds=90.0)
NOW = 1000.0


def snapshot(*demands, nodes=(), types=(BOX,)):
    by_name = {node_type.name: node_type for node_type in types}
    return Snapshot(NOW, by_name, Limits(10), tuple(nodes), demands)


def new(*demands, **more):
    return [demand.queued for demand in left_for_new_nodes(snapshot(*demands, **more))]


def pending(*demands, **more):
    return [demand.queued for demand in left_for_pending_nodes(snapshot(*demands, **more))]


def box(state=NodeState.READY, age=500.0):
    return Node(f"{state}{age}", "box", state, BOX.resources, BOX.resources, NOW - age)


# -- durations ------------------------------------------------------------------------------------


def test_before_anything_is_known_the_prior_holds():
    assert expected_seconds(Demand(of(CPU=1), 500)) == PRIOR_SECONDS


def test_a_mean_that_was_not_measured_is_taken_as_it_is():
    assert expected_seconds(Demand(of(CPU=1), 500, 0, 0.4)) == 0.4


def test_the_first_results_outweigh_the_prior():
    few = expected_seconds(Demand(of(CPU=1), 500, 0, 0.4, finished=4))
    many = expected_seconds(Demand(of(CPU=1), 500, 0, 0.4, finished=1000))
    assert few == pytest.approx((PRIOR_SECONDS * PRIOR_TASKS + 1.6) / (PRIOR_TASKS + 4))
    assert many == pytest.approx(0.4, rel=0.05)


def test_while_nothing_finishes_the_estimate_grows():
    running = [Demand(of(CPU=1), 500, 16, running_seconds=s) for s in (0.0, 16.0, 160.0)]
    assert [expected_seconds(demand) for demand in running] == pytest.approx([60, 140, 860])


def test_an_uncertain_mean_errs_on_the_long_side():
    even = expected_seconds(Demand(of(CPU=1), 9, 0, 2.0, 0.0, 100))
    uneven = expected_seconds(Demand(of(CPU=1), 9, 0, 2.0, 20.0, 100))
    assert uneven == pytest.approx(even + 2.0)


def test_boots_are_expected_to_take_as_long_as_the_last_ones_did():
    boots, box = BootTimes(), BOX
    for seconds in (60.0, 30.0):
        box = boots.learn(box, seconds)
    assert box.boot_seconds == (90 + 60 + 30) / 3
    for _ in range(30):
        box = boots.learn(box, 45.0)
    assert box.boot_seconds == 45.0


def test_a_type_that_does_not_boot_is_left_alone_for_longer_and_longer():
    boots = BootTimes()
    assert boots.failed("box", 100.0) == 105.0
    assert boots.failed("box", 102.0) == 105.0  # of the same launch
    assert boots.failed("box", 200.0) == 210.0
    assert boots.failed("other", 200.0) == 205.0
    boots.learn(BOX, 90.0)
    assert boots.failed("box", 300.0) == 305.0
    assert [boots.failed("box", 1000.0 * n) - 1000.0 * n for n in range(1, 40)][-1] == 600.0


def test_work_is_told_in_seconds_of_what_is_up():
    work = Demand(of(CPU=1), 995, 10, 1.0)
    assert seconds_of_work(of(CPU=1), snapshot(work, nodes=[box()])) == 100.0
    assert seconds_of_work(of(CPU=1), snapshot(work)) is None


# -- what a pending node will find ----------------------------------------------------------------


def test_what_is_started_before_a_pending_node_is_up_is_cut():
    # It will be up in 30 s, and until then 10 slots start 300 tasks of 1 s.
    there = [box(), box(NodeState.BOOTING, 60.0)]
    assert pending(Demand(of(CPU=1), 1000, 0, 1.0), nodes=there) == [700]
    assert pending(Demand(of(CPU=1), 300, 0, 1.0), nodes=there) == [0]


def test_with_nothing_up_a_pending_node_will_find_the_whole_queue():
    assert pending(Demand(of(CPU=1), 8, 0, 0.1), nodes=[box(NodeState.BOOTING, 60.0)]) == [8]


# -- what is worth a new node ---------------------------------------------------------------------


def test_long_tasks_are_worth_a_slot_each():
    assert new(Demand(of(CPU=1), 500, 0, 60.0)) == [500]


def test_short_tasks_are_worth_as_many_slots_as_they_keep_busy_for_a_part_of_the_boot():
    # 450 s of work are 25 slots for 18 s, a fifth of the boot.
    assert new(Demand(of(CPU=1), 4500, 0, 0.1)) == [25]


def test_what_the_nodes_start_during_a_boot_is_cut():
    # 10 slots for 90 s: 900 s of work. Of 1,800 s as many are left; 50 slots take 18 s for that.
    assert new(Demand(of(CPU=1), 900, 0, 1.0), nodes=[box()]) == [0]
    assert new(Demand(of(CPU=1), 1800, 0, 1.0), nodes=[box()]) == [50 - 10]
    assert new(Demand(of(CPU=1), 90, 0, 20.0), nodes=[box()]) == [40]


def test_running_tasks_are_half_done_and_hold_their_slots():
    # The ten that run are worth 5 tasks, and 10 slots × 90 s start 1.5 tasks of 600 s.
    assert new(Demand(of(CPU=1), 8, 10, 600.0), nodes=[box()]) == [8]


def test_pending_nodes_count_from_when_they_will_be_up():
    # It has booted for 60 of 90 s: it works for 60 of the 90 s that a new one takes.
    booting = box(NodeState.BOOTING, 60.0)
    assert new(Demand(of(CPU=1), 50, 0, 20.0), nodes=[booting]) == [20]


def test_a_pending_node_long_overdue_is_not_counted_on():
    booting = box(NodeState.BOOTING, 300.0)
    assert new(Demand(of(CPU=1), 50, 0, 20.0), nodes=[booting]) == [50]


def test_shapes_on_the_same_nodes_share_them():
    # Each alone would be done in time; together half of each is left.
    first, second = Demand(of(CPU=1), 30, 0, 30.0), Demand(of(CPU=2), 15, 0, 30.0)
    assert new(first, second, nodes=[box()]) == [15, 8]


def test_shapes_on_other_nodes_do_not_matter():
    gpu = NodeType("gpu", of(GPU=1), max_workers=10, boot_seconds=90.0)
    there = Node("g", "gpu", NodeState.READY, gpu.resources, gpu.resources, 0.0)
    work = Demand(of(CPU=1), 30, 0, 30.0), Demand(of(GPU=1), 30, 0, 30.0)
    assert new(*work, nodes=[box(), there], types=[BOX, gpu]) == [0, 27]


def test_a_boot_is_that_of_the_type_that_would_be_bought():
    quick = NodeType("quick", of(CPU=8), max_workers=1, price=0.1, boot_seconds=5.0)
    slow = NodeType("slow", of(CPU=2), max_workers=10, price=0.1, boot_seconds=90.0)
    there = Node("q", "quick", NodeState.READY, quick.resources, of(), 0.0)
    work = Demand(of(CPU=1), 6, 8, 30.0)  # 38 s for the one that is up
    assert new(work, nodes=[there], types=[quick, slow]) == [0]
