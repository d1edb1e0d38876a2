"""Work goes to the emptiest node, ahead of free slots only if short, and large tasks get a turn."""

from __future__ import annotations

import pytest

from jupyter_cluster.head import placement
from jupyter_cluster.head.job import Job, JobSpec
from jupyter_cluster.head.link import NodeLink, Outstanding
from jupyter_cluster.head.placement import Placement
from jupyter_cluster.model import Resources

pytestmark = pytest.mark.unit


def node(name: str, cpus: float = 2) -> NodeLink:
    link = NodeLink(name, "t", Resources.of(CPU=cpus), "tls://x", 1, lambda _message: None)
    link.settled = True
    return link


def job(name: str, cpus: float = 1, mean: float | None = None) -> Job:
    shape = [list(pair) for pair in Resources.of(CPU=cpus).units]
    made = Job(JobSpec(id=name, name=name, kind="map", client="c", shape=shape), 0.0)
    made.add(0, 100)
    if mean is not None:
        made.durations.note(1, mean)
    return made


def occupy(link: NodeLink, cpus: float, number: int = 0, seconds: float = 0.1) -> None:
    link.hold(Outstanding(("other", number, number + 1, 0), Resources.of(CPU=cpus), seconds))


def test_the_emptiest_node_is_chosen() -> None:
    first, second = node("a"), node("b")
    occupy(first, 1)
    assert Placement([first, second], {"j"}).choose(job("j")) is second
    occupy(second, 1.5)
    assert Placement([first, second], {"j"}).choose(job("j", 0.5)) is first


def test_a_full_node_gets_more_only_where_the_work_is_short() -> None:
    full = node("a", 1)
    occupy(full, 1)
    assert Placement([full], {"j"}).choose(job("j")) is None  # not yet measured
    assert Placement([full], {"j"}).choose(job("j", mean=60)) is None
    assert Placement([full], {"j"}).choose(job("j", mean=0.1)) is full
    occupy(full, 1, 1)
    assert Placement([full], {"j"}).choose(job("j", mean=0.1)) is None  # twice full


def test_nothing_waits_behind_a_long_task_of_another_job() -> None:
    full = node("a", 1)
    occupy(full, 1, seconds=60)
    assert Placement([full], {"j"}).choose(job("j", mean=0.1)) is None


def test_a_node_that_drains_or_is_out_of_contact_gets_nothing() -> None:
    draining, lost, new = node("a"), node("b"), node("c")
    draining.draining, lost.lost_since, new.settled = True, 1.0, False
    found = Placement([draining, lost, new], {"j"})
    assert found.choose(job("j")) is None
    assert found.slots(Resources.of(CPU=1)) == 0


def test_a_large_task_gets_a_node_reserved_until_it_fits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(placement, "RESERVE_SECONDS", 0.0)
    only, small, large = node("a"), job("small"), job("large", 2)
    occupy(only, 1)
    ready = {"small", "large"}
    assert Placement([only], ready).choose(large) is None
    assert only.reserved_for == "large"
    assert Placement([only], ready).choose(small) is None  # it must not be filled up again
    only.let_go(("other", 0, 1, 0))
    assert Placement([only], ready).choose(large) is only


def test_a_reservation_ends_with_its_job() -> None:
    reserved = node("a")
    reserved.reserved_for = "ended long ago"
    assert Placement([reserved], {"j"}).choose(job("j")) is reserved
