"""Whole simulations: nothing is lost, nothing is invented, and the planner sees the truth."""

from __future__ import annotations

import json
from collections.abc import Callable
from itertools import pairwise
from statistics import fmean, pstdev

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jupyter_cluster.autoscaler import decide
from jupyter_cluster.errors import UsageError
from jupyter_cluster.model import Decision, End, Launch, Limits, NodeState, NodeType, Snapshot
from jupyter_cluster.resources import Resources
from jupyter_cluster.simulator import (
    Batch,
    Cloud,
    Fixed,
    LogNormal,
    Result,
    Stragglers,
    simulate,
)

pytestmark = pytest.mark.unit

BOX = NodeType("box", Resources.of(CPU=16), max_workers=30, price=0.768)
SPOT = NodeType("spot", Resources.of(CPU=4), max_workers=5, price=0.1, spot=True)
SMALL = NodeType("small", Resources.of(CPU=1), max_workers=1, price=3.6, boot_seconds=10.0)
STEADY = Cloud(boot_spread=0.0)
LIMITS = Limits(max_workers=30, idle_timeout=60.0)
ONE, TWO = Resources.of(CPU=1), Resources.of(CPU=2)


def types(*node_types: NodeType) -> dict[str, NodeType]:
    return {one.name: one for one in node_types}


def watched(
    seen: list[Snapshot], planner: Callable[[Snapshot], Decision] = decide
) -> Callable[[Snapshot], Decision]:
    """The planner, and what it was asked."""

    def asked(snapshot: Snapshot) -> Decision:
        seen.append(snapshot)
        return planner(snapshot)

    return asked


def scripted(
    *steps: tuple[float, Decision], otherwise: Callable[[Snapshot], Decision] | None = None
) -> Callable[[Snapshot], Decision]:
    """A planner that does these things, each at the first round not before its moment."""
    left = list(steps)

    def asked(snapshot: Snapshot) -> Decision:
        if left and snapshot.now >= left[0][0]:
            return left.pop(0)[1]
        return otherwise(snapshot) if otherwise and not left else Decision()

    return asked


def launch(node_type: NodeType, count: int = 1) -> Decision:
    return Decision(launches=(Launch(node_type.name, count, "by hand"),))


def end(*names: str) -> Decision:
    return Decision(ends=(End(names, "by hand"),))


# -- the whole ------------------------------------------------------------------------------------


def test_the_seed_job_is_within_three_percent_of_the_fluid_optimum() -> None:
    job = Batch(count=134_000, seconds=Fixed(0.4))
    result = simulate(types(BOX), Limits(30), [job], cloud=STEADY)
    optimum = 90 + 134_000 * 0.4 / 480
    assert result.bound_seconds == pytest.approx(optimum)
    assert optimum <= result.makespan <= 1.03 * optimum
    assert result.done == 134_000
    assert result.launched_by_type == result.most_nodes == {"box": 30}


def test_the_same_seed_gives_the_same_result_and_another_seed_another() -> None:
    def run(seed: int) -> Result:
        work = [Batch(count=500, seconds=LogNormal(2.0, 0.5)), Batch(at=30.0, count=50, shape=TWO)]
        cloud = Cloud(failure_share=0.2, reclaims_per_hour=10.0)
        return simulate(types(SPOT), LIMITS, work, cloud=cloud, seed=seed)

    assert run(7).as_dict() == run(7).as_dict()
    assert run(7).makespan != run(8).makespan


def test_durations_and_boots_do_not_depend_on_the_planner() -> None:
    """Or else two planners would be compared on different work."""
    work = [Batch(count=300, seconds=LogNormal(5.0, 1.0))]
    slow = scripted((50.0, launch(BOX, 2)), otherwise=decide)
    one = simulate(types(BOX), LIMITS, work)
    other = simulate(types(BOX), LIMITS, work, planner=slow, every=5.0, on_change=False)
    assert one.makespan != other.makespan
    assert one.bound_cost == pytest.approx(other.bound_cost)


def test_the_result_is_json_and_its_series_ends_where_the_work_does() -> None:
    result = simulate(types(BOX), LIMITS, [Batch(count=1000, seconds=Fixed(3.0))])
    value = json.loads(json.dumps(result.as_dict()))
    assert value["series"][-1]["done"] == value["done"] == 1000
    assert value["decisions"] == [[t, text] for t, text in result.decisions]
    assert result.decisions[0][1].startswith("launch")


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: Batch(count=-1), "-1 tasks cannot arrive"),
        (lambda: Batch(at=-1.0), "cannot arrive at -1.0 s"),
        (lambda: Fixed(0.0), "must be more than 0 seconds"),
        (lambda: LogNormal(1.0, -0.1), "spread of durations must not be negative"),
        (lambda: Stragglers(1.0, 1.5, 2.0), "from 0 to 1, not 1.5"),
        (lambda: Cloud(failure_share=2.0), "failure_share must be from 0 to 1"),
        (lambda: Cloud(boot_spread=-1.0), "boot_spread must not be negative"),
        (lambda: simulate({}, LIMITS, [], every=0.0), "every must be more than 0 seconds"),
    ],
)
def test_what_cannot_be_is_refused_with_a_sentence(make: Callable[[], object], says: str) -> None:
    with pytest.raises(UsageError, match=says):
        make()


SHAPES = st.sampled_from([ONE, TWO, Resources.of(CPU=3), Resources.of(CPU=1, memory=2e9)])
SECONDS = st.one_of(
    st.builds(Fixed, st.floats(0.1, 30.0)),
    st.builds(LogNormal, st.floats(0.1, 30.0), st.floats(0.0, 1.0)),
)
BATCHES = st.builds(Batch, st.floats(0.0, 300.0), st.integers(0, 60), SHAPES, SECONDS)


@settings(max_examples=25, deadline=None, derandomize=True)
@given(st.lists(BATCHES, max_size=4), st.integers(0, 5), st.sampled_from([0.0, 6.0]))
def test_whatever_happens_all_tasks_end_and_no_bound_is_beaten(
    work: list[Batch], seed: int, reclaims: float
) -> None:
    cheap = NodeType("cheap", Resources.of(CPU=4, memory=8e9), max_workers=3, price=0.2, spot=True)
    wide = NodeType("wide", Resources.of(CPU=8, memory=9e9), max_workers=2, price=0.5)
    cloud = Cloud(failure_share=0.1, reclaims_per_hour=reclaims)
    result = simulate(
        types(cheap, wide), Limits(4, idle_timeout=30.0), work, cloud=cloud, seed=seed
    )
    assert result.done == sum(batch.count for batch in work)
    assert (result.unfinished, result.why_unfinished) == (0, ())
    assert result.makespan >= result.bound_seconds - 1e-6
    assert result.cost >= result.bound_cost - 1e-9
    assert 0 <= result.busy <= 1
    assert all(sum({**s.up}.values()) + sum(s.pending.values()) <= 4 for s in result.series)


# -- money ----------------------------------------------------------------------------------------


def test_cost_is_node_seconds_times_price() -> None:
    """The nodes are counted once a second from the series, apart from the bill."""
    result = simulate(types(BOX), LIMITS, [Batch(count=4800, seconds=Fixed(2.0))], cloud=STEADY)
    node_seconds = sum(sum(s.up.values()) + sum(s.pending.values()) for s in result.series)
    assert result.launched > 1
    assert result.cost == pytest.approx(node_seconds * 0.768 / 3600, rel=0.02)
    assert result.cost == pytest.approx(sum(result.node_hours.values()) * 0.768)


def test_a_node_ended_before_its_minimum_is_billed_for_the_minimum_and_wasted() -> None:
    planner = scripted((0.0, launch(SMALL)), (5.0, end("small-1")))
    result = simulate(types(SMALL), LIMITS, [], cloud=STEADY, planner=planner)
    assert result.end == pytest.approx(5.0)
    assert result.cost == result.wasted_cost == pytest.approx(60 * 3.6 / 3600)
    assert (result.launched, result.wasted_boots) == (1, 1)


def test_the_idle_tail_is_paid_for() -> None:
    def cost(idle_timeout: float) -> float:
        limits = Limits(1, idle_timeout=idle_timeout)
        return simulate(types(SMALL), limits, [Batch(seconds=Fixed(5.0))], cloud=STEADY).cost

    assert cost(1000.0) - cost(500.0) == pytest.approx(500 * 3.6 / 3600, rel=0.01)


# -- tasks ----------------------------------------------------------------------------------------


def test_waits_run_from_arrival_to_start() -> None:
    work = [Batch(count=4, seconds=Fixed(10.0))]
    result = simulate(
        types(SMALL), LIMITS, work, cloud=STEADY, planner=scripted((0.0, launch(SMALL)))
    )
    waits = result.waits
    assert (waits.mean, waits.median, waits.p95, waits.maximum) == (25.0, 20.0, 40.0, 40.0)
    assert result.makespan == 50.0


def test_a_task_without_gpu_takes_a_gpu_node_last_and_a_fuller_node_first() -> None:
    gpu = NodeType("gpu", Resources.of(CPU=4, GPU=1), max_workers=1, price=1.0)
    cpu = NodeType("cpu", Resources.of(CPU=4), max_workers=2, price=1.0)
    seen: list[Snapshot] = []
    start = Decision(launches=(Launch("gpu", 1, ""), Launch("cpu", 2, "")))
    batches = [Batch(at=at, count=n, seconds=Fixed(99.0)) for at, n in ((100, 1), (110, 3))]
    planner = watched(seen, scripted((0.0, start)))
    simulate(types(gpu, cpu), LIMITS, batches, cloud=STEADY, planner=planner, horizon=130.0)
    free = sorted(node.free.get("CPU") for node in seen[-1].nodes)
    assert free == [0.0, 4.0, 4.0]
    assert next(n for n in seen[-1].nodes if n.type == "gpu").free.get("CPU") == 4.0


def test_tasks_with_gpus_come_first_on_nodes_that_have_them() -> None:
    gpu = NodeType("gpu", Resources.of(CPU=4, GPU=1), max_workers=1, price=1.0)
    need = Resources.of(CPU=1, GPU=1)
    work = [Batch(count=400, seconds=Fixed(1.0)), Batch(count=10, shape=need, seconds=Fixed(1.0))]
    seen: list[Snapshot] = []
    simulate(types(gpu), LIMITS, work, cloud=STEADY, planner=watched(seen))
    ran = [s.now for s in seen for d in s.demands if d.shape == need and d.running]
    assert max(ran) <= 90 + 10


def test_a_large_task_gets_its_turn_among_many_small_ones() -> None:
    node = NodeType("node", Resources.of(CPU=4), max_workers=1, price=1.0, boot_seconds=1.0)
    small = [Batch(at=0.5 * n, count=3, seconds=Fixed(2.0)) for n in range(200)]
    large = Batch(at=10.0, count=1, shape=Resources.of(CPU=4), seconds=Fixed(1.0))
    seen: list[Snapshot] = []
    simulate(types(node), LIMITS, [*small, large], cloud=STEADY, planner=watched(seen))
    ran = [s.now for s in seen for d in s.demands if d.shape == large.shape and d.running]
    assert ran
    assert min(ran) < 60.0  # the last small one arrives at 100 s


def test_the_planner_sees_measured_durations_as_they_are() -> None:
    seen: list[Snapshot] = []
    work = [Batch(count=400, seconds=LogNormal(3.0, 0.7))]
    simulate(types(BOX), LIMITS, work, planner=watched(seen))
    rows = [(s, s.demands[0]) for s in seen if s.demands]
    assert any(row.finished for _, row in rows)
    assert any(row.mean_seconds is None and row.running for _, row in rows)
    for snapshot, row in rows:
        running = sum(n.resources.get("CPU") - n.free.get("CPU") for n in snapshot.nodes)
        assert row.running == running
        assert row.queued + row.running + row.finished == 400
        assert (row.mean_seconds is None) == (row.finished == 0)
        assert 0 <= row.running_seconds <= row.running * snapshot.now


def test_mean_and_spread_are_those_of_the_finished_tasks() -> None:
    seen: list[Snapshot] = []
    work = [Batch(at=float(n), seconds=Fixed(n)) for n in (1, 2, 4, 7)]
    planner = watched(seen, scripted((0.0, launch(SMALL))))
    simulate(types(SMALL), LIMITS, [*work, Batch(at=100.0)], cloud=STEADY, planner=planner)
    row = next(s.demands[0] for s in seen if s.now >= 100)
    assert row.finished == 4
    assert row.mean_seconds == pytest.approx(fmean([1, 2, 4, 7]))
    assert row.spread_seconds == pytest.approx(pstdev([1, 2, 4, 7]))


# -- nodes ----------------------------------------------------------------------------------------


def test_nothing_is_lost_when_nodes_are_taken_back() -> None:
    work = [Batch(count=300, seconds=LogNormal(20.0, 0.5)), Batch(count=40, shape=TWO)]
    result = simulate(types(SPOT), LIMITS, work, cloud=Cloud(reclaims_per_hour=30.0))
    assert result.lost > 0
    assert result.done == 340
    assert result.launched > 5
    assert any("was taken back" in event.text for event in result.events)
    untouched = simulate(types(SPOT), LIMITS, work)
    assert untouched.lost == 0
    assert untouched.makespan < result.makespan


def test_nodes_that_are_not_spot_are_never_taken_back() -> None:
    work = [Batch(count=300, seconds=Fixed(20.0))]
    result = simulate(types(BOX), LIMITS, work, cloud=Cloud(reclaims_per_hour=1000.0))
    assert (result.done, result.lost) == (300, 0)


def test_a_node_that_is_ended_while_busy_finishes_what_it_runs_and_takes_no_more() -> None:
    seen: list[Snapshot] = []
    steps = scripted((0.0, launch(SMALL)), (15.0, end("small-1")), otherwise=decide)
    work = [Batch(count=2, seconds=Fixed(10.0))]
    result = simulate(types(SMALL), LIMITS, work, cloud=STEADY, planner=watched(seen, steps))
    draining = [s.now for s in seen for n in s.nodes if n.state is NodeState.DRAINING]
    assert min(draining) > 15.0
    assert max(draining) <= 20.0  # it began its task at 10 s
    assert (result.done, result.lost, result.launched) == (2, 0, 2)


def test_failed_boots_are_replaced_and_paid() -> None:
    work = [Batch(count=64, seconds=Fixed(30.0))]
    result = simulate(types(BOX), LIMITS, work, cloud=Cloud(failure_share=0.5), seed=3)
    failures = [event for event in result.events if "did not become ready" in event.text]
    assert failures
    assert result.done == 64
    assert result.wasted_boots >= len(failures)
    assert result.wasted_cost > 0


def test_without_capacity_the_type_cools_down_and_another_is_asked() -> None:
    seen: list[Snapshot] = []
    spare = NodeType("spare", Resources.of(CPU=8), max_workers=30, price=0.8)
    cloud = Cloud(boot_spread=0.0, no_capacity={"box": 2})
    work = [Batch(count=64, seconds=Fixed(300.0))]
    result = simulate(types(BOX, spare), LIMITS, work, cloud=cloud, planner=watched(seen))
    cooling = [s.now for s in seen if "box" in s.cooling]
    assert cooling[0] == pytest.approx(1.0, abs=1.0)
    assert max(s.now for s in seen if "box" in s.cooling and s.now < 90) < 60.0
    assert all(s.up.get("box", 0) + s.pending.get("box", 0) <= 2 for s in result.series)
    assert result.launched_by_type["spare"] > 0
    assert result.done == 64


def test_boot_times_are_learned() -> None:
    seen: list[Snapshot] = []
    cloud = Cloud(boot_spread=0.0, boot_seconds={"box": 30.0})
    simulate(types(BOX), LIMITS, [Batch(seconds=Fixed(100.0))], cloud=cloud, planner=watched(seen))
    assert {s.node_types["box"].boot_seconds for s in seen if s.now < 30} == {90.0}
    assert 30.0 < seen[-1].node_types["box"].boot_seconds < 90.0


def test_a_pending_node_remembers_what_it_is_meant_for_and_since_when_it_is_not_needed() -> None:
    load = ((ONE, 1),)
    named = Decision(unneeded=frozenset({"small-1"}))
    seen: list[Snapshot] = []
    first = Decision(launches=(Launch("small", 1, "", (load,)),))
    planner = scripted((0.0, first), *((n, named) for n in (2.0, 3.0, 4.0)), (5.0, Decision()))
    simulate(types(SMALL), LIMITS, [], cloud=STEADY, planner=watched(seen, planner), horizon=12.0)
    nodes = {round(s.now): s.nodes[0] for s in seen if s.nodes}
    assert {node.meant_for for t, node in nodes.items() if t <= 9} == {load}
    assert [nodes[t].unneeded_since for t in (2, 3, 4, 5, 6)] == [None, 2.0, 2.0, 2.0, None]
    assert nodes[11].meant_for == ()


# -- the planner's rounds -------------------------------------------------------------------------


def test_a_planner_that_is_not_asked_on_changes_is_asked_at_its_rounds_alone() -> None:
    seen: list[Snapshot] = []
    work = [Batch(at=7.0, count=100), Batch(at=500.0, count=100)]
    simulate(types(BOX), LIMITS, work, planner=watched(seen), every=5.0, on_change=False)
    assert all(s.now % 5 == 0 for s in seen)
    assert {10.0, 500.0} <= {s.now for s in seen}


def test_a_planner_is_asked_soon_after_a_change() -> None:
    seen: list[Snapshot] = []
    simulate(types(BOX), LIMITS, [Batch(at=7.3)], cloud=STEADY, planner=watched(seen), every=5.0)
    assert any(7.3 < s.now < 7.4 and s.demands for s in seen)
    assert any(97.3 < s.now < 97.5 and not s.nodes[0].state.is_pending for s in seen)


def test_a_long_rest_costs_no_rounds() -> None:
    work = [Batch(count=10), Batch(at=500_000.0, count=10)]
    result = simulate(types(BOX), LIMITS, work)
    assert result.done == 20
    assert result.rounds < 1000


def test_series_of_long_simulations_are_thinned_and_still_add_up() -> None:
    result = simulate(types(SMALL), LIMITS, [Batch(count=5000, seconds=Fixed(1.0))])
    steps = [new.t - old.t for old, new in pairwise(result.series)]
    assert len(result.series) <= 2001
    assert set(steps[:-1]) == {4.0}
    assert sum(s.tasks_per_second * 4.0 for s in result.series) == pytest.approx(5000, rel=0.01)


# -- work that cannot end -------------------------------------------------------------------------


def test_what_no_node_can_hold_is_unfinished_and_the_rest_is_done() -> None:
    work = [Batch(count=5), Batch(count=3, shape=Resources.of(GPU=1))]
    result = simulate(types(BOX), LIMITS, work)
    assert (result.done, result.unfinished) == (5, 3)
    assert "{GPU: 1}: no node type can hold it" in result.why_unfinished[0]
    assert result.end < 1000


def test_a_planner_that_does_nothing_comes_to_an_end() -> None:
    result = simulate(types(BOX), LIMITS, [Batch(count=5)], planner=lambda _: Decision())
    assert (result.done, result.unfinished, result.cost) == (0, 5, 0.0)
    assert "still queued after" in result.why_unfinished[0]


def test_nodes_that_never_become_ready_come_to_an_end() -> None:
    result = simulate(types(BOX), LIMITS, [Batch(count=5)], cloud=Cloud(failure_share=1.0))
    assert result.done == 0
    assert 10 < result.wasted_boots <= result.launched
    assert "still queued" in result.why_unfinished[0]


def test_the_horizon_ends_what_is_under_way() -> None:
    result = simulate(types(BOX), LIMITS, [Batch(seconds=Fixed(1000.0))], horizon=200.0)
    assert result.end <= 200.0
    assert result.why_unfinished == (f"still running after {result.end:.0f} s: 1",)


def test_minima_and_requests_are_held_and_the_simulation_ends() -> None:
    kept = NodeType("kept", Resources.of(CPU=4), min_workers=2, max_workers=9, price=1.0)
    result = simulate(types(kept), LIMITS, [Batch(count=8)])
    assert result.series[-1].up == {"kept": 2}
    held = simulate(types(kept), LIMITS, [Batch(count=8)], requests=[(Resources.of(CPU=4), 5)])
    assert held.series[-1].up == {"kept": 5}
