import pytest

from jupyter_cluster.autoscaler.forecast import left_for_new_nodes
from jupyter_cluster.model import Demand, Limits, Node, NodeState, NodeType, Resources, Snapshot

pytestmark = pytest.mark.unit

of = Resources.of
BOX = NodeType("box", of(CPU=10), max_workers=10, boot_seconds=90.0)
NOW = 1000.0


def left(*demands, nodes=(), types=(BOX,)):
    by_name = {node_type.name: node_type for node_type in types}
    snapshot = Snapshot(NOW, by_name, Limits(10), tuple(nodes), demands)
    return [demand.queued for demand in left_for_new_nodes(snapshot)]


def box(state=NodeState.READY, age=500.0):
    return Node(f"{state}{age}", "box", state, BOX.resources, BOX.resources, NOW - age)


def test_before_a_duration_is_known_the_whole_queue_counts():
    assert left(Demand(of(CPU=1), 500), nodes=[box()]) == [500]


def test_what_the_nodes_start_during_a_boot_is_cut():
    # 10 slots for 90 s at 1 s a task start 900 tasks.
    assert left(Demand(of(CPU=1), 1000, 0, 1.0), nodes=[box()]) == [100]
    assert left(Demand(of(CPU=1), 900, 0, 1.0), nodes=[box()]) == [0]


def test_running_tasks_are_half_done_and_hold_their_slots():
    # The ten that run are worth 5 tasks, and 10 slots × 90 s start 1.5 tasks of 600 s.
    assert left(Demand(of(CPU=1), 8, 10, 600.0), nodes=[box()]) == [8]


def test_with_nothing_up_nothing_is_cut():
    assert left(Demand(of(CPU=1), 8, 0, 0.1)) == [8]


def test_pending_nodes_count_from_when_they_will_be_up():
    # It has booted for 60 of 90 s: it works for 60 of the 90 s that a new one takes.
    assert left(Demand(of(CPU=1), 1000, 0, 1.0), nodes=[box(NodeState.BOOTING, 60.0)]) == [400]


def test_a_pending_node_long_overdue_is_not_counted_on():
    assert left(Demand(of(CPU=1), 100, 0, 1.0), nodes=[box(NodeState.BOOTING, 300.0)]) == [100]


def test_shapes_on_the_same_nodes_share_them():
    # Each alone would be done in time; together half of each is left.
    first, second = Demand(of(CPU=1), 900, 0, 1.0), Demand(of(CPU=2), 450, 0, 1.0)
    assert left(first, second, nodes=[box()]) == [450, 225]


def test_shapes_on_other_nodes_do_not_matter():
    gpu = NodeType("gpu", of(GPU=1), max_workers=10, boot_seconds=90.0)
    there = Node("g", "gpu", NodeState.READY, gpu.resources, gpu.resources, 0.0)
    work = Demand(of(CPU=1), 900, 0, 1.0), Demand(of(GPU=1), 900, 0, 1.0)
    assert left(*work, nodes=[box(), there], types=[BOX, gpu]) == [0, 810]


def test_tasks_of_unknown_duration_that_run_make_every_forecast_void():
    unknown = Demand(of(CPU=2), 0, 5)
    assert left(Demand(of(CPU=1), 900, 0, 1.0), unknown, nodes=[box()]) == [900, 0]
