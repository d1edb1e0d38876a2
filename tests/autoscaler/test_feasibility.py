import pytest

from jupyter_cluster.autoscaler.feasibility import why_infeasible
from jupyter_cluster.model import Limits, Node, NodeState, NodeType, Snapshot
from jupyter_cluster.resources import Resources

pytestmark = pytest.mark.unit

of = Resources.of


def why(shape, *types, max_workers=10, nodes=(), **limits):
    by_name = {node_type.name: node_type for node_type in types}
    return why_infeasible(shape, Snapshot(0.0, by_name, Limits(max_workers, **limits), nodes))


def test_a_shape_that_fits_has_no_obstacle():
    assert why(of(CPU=2), NodeType("local", of(CPU=2), max_workers=1)) == ""


def test_a_shape_too_large_names_the_nearest_type_and_what_it_lacks():
    small = NodeType("small", of(CPU=1), max_workers=1)
    local = NodeType("local", of(CPU=2), max_workers=1)
    assert why(of(CPU=8), small, local) == (
        "{CPU: 8}: no node type can hold it; the nearest, local, has {CPU: 2} and lacks {CPU: 6}"
    )


def test_the_nearest_type_is_one_that_has_every_kind_of_resource():
    large = NodeType("large", of(CPU=64), max_workers=1)
    gpu = NodeType("gpu", of(CPU=4, GPU=1), max_workers=1)
    assert "the nearest, gpu, has {CPU: 4, GPU: 1} and lacks {GPU: 1}" in why(
        of(CPU=2, GPU=2), large, gpu
    )


def test_a_type_that_may_not_be_launched_is_named_with_its_limit():
    closed = NodeType("big", of(CPU=8), max_workers=0)
    assert why(of(CPU=8), closed) == ("{CPU: 8}: only big can hold it, but max_workers of big is 0")
    open_type = NodeType("big", of(CPU=8), max_workers=1)
    assert "max_workers of the cluster is 0" in why(of(CPU=8), open_type, max_workers=0)


def test_a_type_dearer_than_the_hourly_limit_is_named_with_both_prices():
    dear = NodeType("p3", of(GPU=1), max_workers=1, price=3.06)
    assert "one p3 costs 3.06 USD per hour and max_hourly_cost is 2" in why(
        of(GPU=1), dear, max_hourly_cost=2.0
    )


def test_a_cluster_without_node_types_says_so():
    assert "no node types" in why(of(CPU=1))


def test_a_node_that_is_there_can_hold_it_although_its_type_has_gone():
    old = Node("n1", "old", NodeState.READY, of(CPU=8), of(), 0.0)
    local = NodeType("local", of(CPU=2), max_workers=1)
    assert why(of(CPU=8), local, nodes=(old,)) == ""
