"""The autoscaling benchmark: workloads, planners, aims and tables."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from benchmarks.autoscaling.aims import (
    Verdict,
    judge_launch_sets,
    judge_planning,
    judge_workloads,
    ratio_to_ray,
)
from benchmarks.autoscaling.cases import LaunchSet, mixed_case
from benchmarks.autoscaling.charts import planning_figure, workloads_figure, write_charts
from benchmarks.autoscaling.launch_sets import Price, price_all
from benchmarks.autoscaling.peers import OURS, RAY_V1, RAY_V2, Peer, make
from benchmarks.autoscaling.planning import Timing, case
from benchmarks.autoscaling.simulations import Order, Outcome, orders, run
from benchmarks.autoscaling.tables import (
    Grid,
    aims_grid,
    launch_grid,
    percentile,
    planning_grid,
    planning_time,
    workload_grids,
)
from benchmarks.autoscaling.workloads import WORKLOADS, Workload
from benchmarks.report import MET, MISSED, OPEN
from jupyter_cluster.model import Decision, Demand, Limits, Node, NodeState, NodeType, Snapshot
from jupyter_cluster.resources import Resources
from jupyter_cluster.simulator import Batch, Fixed

pytestmark = pytest.mark.unit

CPU1 = Resources.of(CPU=1)
BOX = NodeType("box", Resources.of(CPU=16), max_workers=30, price=0.768)


def outcome(peer: str, makespan: float, cost: float, seed: int = 0, undone: int = 0) -> Outcome:
    return Outcome(
        workload="jobs",
        peer=peer,
        seed=seed,
        makespan=makespan,
        cost=cost,
        bound_seconds=100.0,
        bound_cost=1.0,
        launched=3,
        wasted_boots=0,
        median_wait=12.0,
        unfinished=undone,
        real_seconds=0.1,
        series=(),
    )


def states(verdicts: Sequence[Verdict]) -> list[str]:
    return [verdict.state for verdict in verdicts]


# Workloads


def test_the_seed_job_has_the_optimum_of_all_nodes_at_once() -> None:
    assert WORKLOADS["seed-90"].optimum == pytest.approx(90 + 134_000 * 0.4 / 480)


@pytest.mark.parametrize("name", WORKLOADS)
def test_a_seed_gives_the_same_work_each_time(name: str) -> None:
    workload = WORKLOADS[name]
    assert workload.work(3) == workload.work(3)


@pytest.mark.parametrize("name", ["bursts", "mixed"])
def test_another_seed_gives_other_work(name: str) -> None:
    assert WORKLOADS[name].work(0) != WORKLOADS[name].work(1)


@pytest.mark.parametrize("name", WORKLOADS)
def test_every_task_fits_a_node_type(name: str) -> None:
    sizes = [node_type.resources for node_type in WORKLOADS[name].node_types.values()]
    for seed in range(10):
        for batch in WORKLOADS[name].work(seed):
            assert any(batch.shape.fits(size) for size in sizes)


def test_every_planner_meets_every_workload_with_every_seed() -> None:
    found = orders(["jobs", "mixed"], [OURS, RAY_V1], seeds=3, upscaling_speed=1.0)
    assert len(set(found)) == 2 * 2 * 3


def test_a_run_is_the_simulation_of_its_workload(monkeypatch: pytest.MonkeyPatch) -> None:
    def work(seed: int) -> tuple[Batch, ...]:
        return (Batch(0.0, 320, CPU1, Fixed(30.0)),)

    tiny = Workload("tiny", "tiny", "tiny", {"box": BOX}, 2, work, optimum=390.0)
    monkeypatch.setitem(WORKLOADS, "tiny", tiny)
    found = run(Order("tiny", OURS, seed=0))
    assert found.unfinished == 0
    assert found.launched == 2
    # 320 tasks on 32 slots are ten rounds of 30 s after about 90 s of boot.
    assert found.makespan == pytest.approx(390, rel=0.1)
    assert found.makespan >= found.bound_seconds
    assert found.cost >= found.bound_cost > 0


# Launch sets and planning


def test_the_price_of_a_launch_set_is_that_of_its_nodes() -> None:
    assert LaunchSet({"box": 3}, 0).cost({"box": BOX}) == pytest.approx(3 * 0.768)


def test_our_launch_sets_hold_every_feasible_task_and_are_never_below_the_bound() -> None:
    for price in price_all((OURS,), seeds=4):
        assert price.unplaced == 0
        assert price.ratio >= 1 - 1e-9


def test_planning_cases_have_as_many_tasks_and_nodes_as_they_say() -> None:
    snapshot = case(tasks=1000, nodes=25)
    assert sum(row.queued for row in snapshot.demands) == 1000
    assert len(snapshot.nodes) == 25
    assert {node.type for node in snapshot.nodes} == set(snapshot.node_types)


# Aims


def test_ours_is_compared_with_the_better_of_rays_two_in_each_figure_and_seed() -> None:
    found = [
        *(outcome(OURS, 100, 4, seed) for seed in range(3)),
        *(outcome(RAY_V1, 200, 2, seed) for seed in range(3)),
        *(outcome(RAY_V2, 50, 8, seed) for seed in range(3)),
    ]
    assert ratio_to_ray("jobs", found, "makespan") == 2.0
    assert ratio_to_ray("jobs", found, "cost") == 2.0


def test_without_one_of_rays_planners_there_is_no_ratio() -> None:
    found = [outcome(OURS, 100, 4), outcome(RAY_V1, 200, 2)]
    assert ratio_to_ray("jobs", found, "makespan") is None
    assert states(judge_workloads(found)) == [MET, OPEN, OPEN, OPEN]


def test_a_run_of_rays_that_left_tasks_undone_is_no_peer() -> None:
    found = [outcome(OURS, 100, 4), outcome(RAY_V1, 10, 1, undone=5), outcome(RAY_V2, 100, 4)]
    assert ratio_to_ray("jobs", found, "cost") == 1.0


@pytest.mark.parametrize(
    ("makespan", "cost", "undone", "expected"),
    [
        (100, 4, 0, [MET, MET, MET, MISSED]),  # the same is not better
        (100.9, 2, 0, [MET, MET, MET, MET]),  # within the noise, and half the cost
        (102, 2, 0, [MET, MISSED, MET, MET]),
        (50, 5, 0, [MET, MET, MISSED, MET]),
        (50, 2, 1, [MISSED, MET, MET, MET]),
    ],
)
def test_a_workload_is_judged_in_makespan_cost_and_tasks_left_undone(
    makespan: float, cost: float, undone: int, expected: list[str]
) -> None:
    found = [
        outcome(OURS, makespan, cost, undone=undone),
        outcome(RAY_V1, 100, 4),
        outcome(RAY_V2, 120, 6),
    ]
    assert states(judge_workloads(found)) == expected


def test_the_seed_job_is_also_held_to_the_fluid_optimum() -> None:
    slow = replace(outcome(OURS, 250, 4), workload="seed-90")
    fast = replace(outcome(OURS, 205, 4), workload="seed-90")
    assert judge_workloads([slow])[-1].state == MISSED
    assert judge_workloads([fast])[-1].state == MET


def test_a_good_ratio_that_took_too_long_misses_the_aim() -> None:
    found = [Price(OURS, seed, cost=1.02, bound=1.0, unplaced=0, seconds=0.1) for seed in range(3)]
    assert states(judge_launch_sets(found)) == [MET, MISSED, MET]


def test_the_largest_plan_is_judged() -> None:
    quick = [Timing(OURS, 1_000_000, 1_000, n, 0.004) for n in range(3)]
    slow = [Timing(OURS, 1_000_000, 1_000, n, 0.040) for n in range(3)]
    assert states(judge_planning(quick)) == [MET]
    assert states(judge_planning(slow)) == [MISSED]
    assert states(judge_planning([Timing(OURS, 100, 0, 0, 0.004)])) == [OPEN]


# Tables


def test_tables_are_markdown_where_there_is_no_terminal() -> None:
    console = Console(file=io.StringIO())
    Grid("Figures", ("", "a"), (("x", "1"),), "A note.").print(console)
    text = console.file.getvalue()  # type: ignore[attr-defined]
    assert text.splitlines() == [
        "**Figures**", "", "|  | a |", "| --- | ---: |", "| x | 1 |", "", "A note.", "",
    ]  # fmt: skip


def test_tables_are_drawn_in_a_terminal() -> None:
    console = Console(file=io.StringIO(), force_terminal=True, width=80)
    aims_grid([Verdict("an aim", 2.0, 1.0)]).print(console)
    text = console.file.getvalue()  # type: ignore[attr-defined]
    assert "┃" in text
    assert MISSED in text


def test_a_workloads_table_has_a_row_of_medians_for_each_planner() -> None:
    found = [outcome(OURS, makespan, 2.0, seed) for seed, makespan in enumerate((100, 130, 300))]
    (grid,) = workload_grids([*found, outcome(RAY_V1, 500, 4, undone=7)])
    assert grid.rows == (
        (OURS, "130", "1.3", "2", "2", "3", "0", "12", "0"),
        (RAY_V1, "500", "5", "4", "4", "3", "0", "12", "7"),
    )


def test_launch_sets_that_leave_tasks_without_a_node_are_marked_and_not_priced() -> None:
    found = [Price(RAY_V1, 0, 1.0, 1.0, 0, 0.1), Price(RAY_V1, 1, 0.5, 1.0, 40, 0.3)]
    assert launch_grid(found).rows == ((RAY_V1, "1.000", "1.000", "1.000", "200", "40"),)


def test_planning_over_the_limit_is_shown_as_such_and_what_was_not_tried_as_nothing() -> None:
    found = [Timing(RAY_V2, 100, 0, 0, 0.0123), Timing(RAY_V2, 1000, 0, 0, None)]
    assert planning_time(found, RAY_V2, 100, 0, 60) == "12.3 ms"
    assert planning_time(found, RAY_V2, 1000, 0, 60) == "> 60 s"
    assert planning_time(found, RAY_V2, 10_000, 0, 60) == "–"
    assert planning_grid(found, 60).rows == (("ray v2, empty", "12.3 ms", "> 60 s"),)


def test_percentiles_lie_between_the_figures() -> None:
    assert percentile([2.0], 95) == 2.0
    assert percentile([float(n) for n in range(101)], 95) == 95.0


# Charts


def test_charts_are_written_for_what_was_measured(tmp_path: Path) -> None:
    timings = [Timing(OURS, 100, 0, 0, 0.001), Timing(OURS, 1000, 0, 0, None)]
    found = write_charts(tmp_path, [outcome(OURS, 130, 2)], [], timings)
    names = [path.name for path in found]
    assert names == ["workloads.html", "nodes-jobs.html", "planning.html"]
    assert all(path.stat().st_size for path in found)


def test_bars_are_medians_over_the_lower_bounds() -> None:
    found = [outcome(OURS, makespan, 2.0, seed) for seed, makespan in enumerate((100, 130, 300))]
    makespan, cost = workloads_figure(found).data
    assert (list(makespan.y), list(cost.y)) == ([1.3], [2.0])


def test_the_line_of_planning_times_ends_where_plans_took_too_long() -> None:
    found = [Timing(OURS, 100, 0, n, seconds) for n, seconds in enumerate((1.0, 3.0, 2.0))]
    (line,) = planning_figure([*found, Timing(OURS, 1000, 0, 0, None)]).data
    assert list(line.y) == [2.0, None]


# Ray's planners: these need the installed package


def ray_planner(name: str) -> Peer:
    pytest.importorskip("ray", reason="pip install 'jupyter-cluster[bench]'")
    return make(name)


def snapshot(now: float, queued: int, nodes: Sequence[Node] = (), **limits: Any) -> Snapshot:
    demands = (Demand(CPU1, queued),) if queued else ()
    return Snapshot(now, {"box": BOX}, Limits(30, **limits), tuple(nodes), demands)


def nodes(count: int, state: NodeState, idle_since: float | None = None) -> list[Node]:
    free = BOX.resources if state.is_pending or idle_since is not None else Resources()
    return [Node(f"n{i}", "box", state, BOX.resources, free, 0.0, idle_since) for i in range(count)]


def launched(decision: Decision) -> int:
    return sum(launch.count for launch in decision.launches)


def ended(decision: Decision) -> set[str]:
    return {name for end in decision.ends for name in end.nodes}


def test_ray_v1_has_five_nodes_of_a_type_pending_or_as_many_as_are_up() -> None:
    planner = ray_planner(RAY_V1)
    assert launched(planner(snapshot(0, 134_000))) == 5
    assert launched(planner(snapshot(5, 134_000, nodes(5, NodeState.BOOTING)))) == 0
    assert launched(planner(snapshot(95, 134_000, nodes(12, NodeState.READY)))) == 12


def test_ray_v1_sees_a_thousand_waiting_tasks() -> None:
    # 960 tasks need 60 nodes of 16; more than 1,000 look like 1,000, which need 63.
    planner = ray_planner(RAY_V1)
    few = replace(snapshot(0, 1_000), limits=Limits(10_000, upscaling_speed=1e6))
    types = {"box": replace(BOX, max_workers=10_000)}
    seen = [
        launched(planner(replace(few, node_types=types, demands=(Demand(CPU1, queued),))))
        for queued in (960, 134_000)
    ]
    assert seen == [60, 63]


def test_ray_v2_launches_one_node_a_round_or_as_many_as_are_up_but_ten_at_most() -> None:
    planner = ray_planner(RAY_V2)
    assert launched(planner(snapshot(0, 134_000))) == 1
    assert launched(planner(snapshot(5, 134_000, nodes(1, NodeState.BOOTING)))) == 1
    assert launched(planner(snapshot(95, 134_000, nodes(4, NodeState.READY)))) == 4
    assert launched(planner(snapshot(100, 134_000, nodes(12, NodeState.READY)))) == 10


@pytest.mark.parametrize("name", [RAY_V1, RAY_V2])
def test_ray_ends_nodes_that_idle_longer_than_the_time_out_down_to_the_minimum(name: str) -> None:
    planner = ray_planner(name)
    idle = nodes(3, NodeState.READY, idle_since=100.0)
    assert ended(planner(snapshot(395, 0, idle))) == set()
    assert ended(planner(snapshot(401, 0, idle))) == {"n0", "n1", "n2"}
    kept = {"box": replace(BOX, min_workers=2)}
    again = ray_planner(name)
    assert len(ended(again(replace(snapshot(401, 0, idle), node_types=kept)))) == 1


@pytest.mark.parametrize("name", [RAY_V1, RAY_V2])
def test_ray_launches_nothing_for_work_that_fits_on_free_nodes(name: str) -> None:
    free = nodes(2, NodeState.READY, idle_since=90.0)
    assert not ray_planner(name)(snapshot(95, 32, free))


@pytest.mark.parametrize("name", [RAY_V1, RAY_V2])
def test_rays_launch_sets_know_no_launch_limit_and_hold_every_feasible_task(name: str) -> None:
    ray_planner(name)
    plan = make(name).prepare(snapshot(0, 320))
    assert plan() == LaunchSet({"box": 20}, 0)
    beyond = make(name).prepare(snapshot(0, 500))
    assert beyond() == LaunchSet({"box": 30}, 20)
    assert all(price.unplaced == 0 and price.ratio >= 1 for price in price_all((name,), 2))


def test_rays_planners_get_the_same_work_as_ours() -> None:
    ray_planner(RAY_V1)
    snapshot = mixed_case(7)
    sets = [make(name).prepare(snapshot)() for name in (OURS, RAY_V1, RAY_V2)]
    assert len({found.unplaced for found in sets}) == 1
