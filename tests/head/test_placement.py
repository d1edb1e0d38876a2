"""Work goes to the fullest node, ahead of free slots only if short, and large tasks get a turn."""

from __future__ import annotations

import pytest

from jupyter_cluster.head import placement
from jupyter_cluster.head.job import Job, JobSpec
from jupyter_cluster.head.link import NodeLink, Outstanding
from jupyter_cluster.head.placement import Placement
from jupyter_cluster.resources import GPU, Resources

pytestmark = pytest.mark.unit


def node(name: str, cpus: float = 2, gpus: float = 0) -> NodeLink:
    capacity = Resources.of(CPU=cpus, GPU=gpus)
    link = NodeLink(name, "t", capacity, "tls://x", 1, lambda _message: None)
    link.settled = True
    return link


def job(name: str, cpus: float = 1, mean: float | None = None, gpus: float = 0) -> Job:
    shape = [list(pair) for pair in Resources.of(CPU=cpus, GPU=gpus).units]
    made = Job(JobSpec(id=name, name=name, kind="map", client="c", shape=shape), 0.0)
    made.add(0, 100)
    if mean is not None:
        made.durations.note(1, mean)
    return made


def occupy(link: NodeLink, cpus: float, number: int = 0, seconds: float = 0.1) -> None:
    link.hold(Outstanding(("other", number, number + 1, 0), Resources.of(CPU=cpus), seconds))


def placed(nodes: list[NodeLink], *jobs: Job) -> NodeLink | None:
    """Where the first of these jobs gets a bundle sent."""
    return Placement(nodes, {one.id: one for one in jobs}).choose(jobs[0])


def test_the_fullest_node_with_room_is_chosen_so_that_others_can_end() -> None:
    first, second = node("a"), node("b")
    occupy(second, 1)
    assert placed([first, second], job("j")) is second
    occupy(second, 1, 1)
    assert placed([first, second], job("j")) is first


def test_ahead_of_free_slots_the_emptiest_node_is_chosen_and_only_when_no_slot_is_free() -> None:
    first, second = node("a"), node("b")
    for number in range(3):
        occupy(first, 1, number)
    occupy(second, 1)
    assert placed([first, second], job("j", mean=0.1)) is second
    occupy(second, 1, 1)
    assert placed([first, second], job("j", mean=0.1)) is second


def test_tasks_without_gpu_go_to_gpu_nodes_last() -> None:
    plain, with_gpu = node("a"), node("b", gpus=1)
    occupy(with_gpu, 1)
    assert placed([plain, with_gpu], job("j")) is plain
    occupy(plain, 2)
    assert placed([plain, with_gpu], job("j")) is with_gpu


def test_tasks_without_gpu_leave_what_waiting_gpu_tasks_need() -> None:
    with_gpu, waiting = node("a", cpus=2, gpus=1), job("gpu", gpus=1)
    assert placed([with_gpu], job("j"), waiting) is with_gpu  # one CPU is left for it
    occupy(with_gpu, 1)
    assert placed([with_gpu], job("j"), waiting) is None
    with_gpu.hold(Outstanding(("gpu", 0, 1, 0), Resources.of({GPU: 1}), 0.1))
    assert placed([with_gpu], job("j"), waiting) is with_gpu  # its GPU is taken anyway


def test_a_full_node_gets_more_only_where_the_work_is_short() -> None:
    full = node("a", 1)
    occupy(full, 1)
    assert placed([full], job("j")) is None  # not yet measured
    assert placed([full], job("j", mean=60)) is None
    assert placed([full], job("j", mean=0.1)) is full
    occupy(full, 1, 1)
    assert placed([full], job("j", mean=0.1)) is None  # twice full


def test_nothing_waits_behind_a_long_task_of_another_job() -> None:
    full = node("a", 1)
    occupy(full, 1, seconds=60)
    assert placed([full], job("j", mean=0.1)) is None


def test_a_node_that_drains_or_is_out_of_contact_gets_nothing() -> None:
    draining, lost, new = node("a"), node("b"), node("c")
    draining.draining, lost.lost_since, new.settled = True, 1.0, False
    one = job("j")
    found = Placement([draining, lost, new], {"j": one})
    assert found.choose(one) is None
    assert found.slots(Resources.of(CPU=1)) == 0


def test_a_large_task_gets_a_node_reserved_until_it_fits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(placement, "RESERVE_SECONDS", 0.0)
    only, small, large = node("a"), job("small"), job("large", 2)
    occupy(only, 1)
    ready = {"small": small, "large": large}
    assert Placement([only], ready).choose(large) is None
    assert only.reserved_for == "large"
    assert Placement([only], ready).choose(small) is None  # it must not be filled up again
    only.let_go(("other", 0, 1, 0))
    assert Placement([only], ready).choose(large) is only


def test_a_reservation_ends_with_its_job() -> None:
    reserved = node("a")
    reserved.reserved_for = "ended long ago"
    assert placed([reserved], job("j")) is reserved
