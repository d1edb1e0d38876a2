"""The verb that says what a job would take and cost, without starting anything."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import replace
from importlib import import_module
from pathlib import Path

from jupyter_cluster.commands.console import Console
from jupyter_cluster.commands.tables import Table
from jupyter_cluster.commands.tasks import Tasks
from jupyter_cluster.config import ClusterConfig, load, local_config
from jupyter_cluster.errors import UsageError, not_installed
from jupyter_cluster.formats import counted
from jupyter_cluster.model import Event, NodeType
from jupyter_cluster.simulator import (
    Batch,
    Cloud,
    Durations,
    Fixed,
    LogNormal,
    Result,
    Stragglers,
)
from jupyter_cluster.simulator import simulate as run_simulation
from jupyter_cluster.simulator.result import precise_seconds, usd

# More lines than these nobody reads; the JSON and the chart have them all.
FIRST_EVENTS, LAST_EVENTS = 14, 6
# Exit code where tasks were left.
UNFINISHED = 1


def simulate(options: argparse.Namespace, console: Console) -> int:
    """Run tasks through the cluster of a file, on a virtual clock.

    Returns
    -------
    int
        1 where tasks could not be run, else 0.
    """
    if options.chart:
        _require_plotly()  # before anybody waits
    config = local_config() if options.file is None else load(options.file)
    node_types = _node_types(config)
    if options.boot is not None:
        node_types = {n: replace(one, boot_seconds=options.boot) for n, one in node_types.items()}
    if options.reclaims and not any(one.spot for one in node_types.values()):
        raise UsageError("--reclaims is for spot nodes, and no node type has `spot: true`")
    work = [Batch(one.at, one.count, one.shape, _durations(one, options)) for one in options.tasks]
    cloud = Cloud(failure_share=options.failures, reclaims_per_hour=options.reclaims)
    result = run_simulation(node_types, config.limits(), work, cloud=cloud, seed=options.seed)
    if options.json:
        console.json(result.as_dict())
    else:
        console.show(*_parts(result, config, options))
        if result.done:
            console.chart(result.chart)
    if options.chart:
        _write_chart(result, Path(options.chart))
        console.notice(f"The chart is in {options.chart}")
    return UNFINISHED if result.unfinished else 0


def forecast_line(
    config: ClusterConfig, tasks: Sequence[Tasks], node_types: dict[str, NodeType]
) -> str:
    """What a job would take and cost on a cluster of these node types, as one line."""
    work = [Batch(one.at, one.count, one.shape, Fixed(one.seconds)) for one in tasks]
    result = run_simulation(node_types, config.limits(), work)
    what = " and ".join(map(str, tasks))
    if result.unfinished:
        return f"{what}: {result.unfinished:,} would not run: {'; '.join(result.why_unfinished)}"
    nodes = " and ".join(f"{n} × {name}" for name, n in result.most_nodes.items() if n)
    is_guess = any(one.price is None for one in node_types.values())
    cost = usd(result.cost) + (" at estimated prices" if is_guess else "")
    return f"{what}: about {precise_seconds(result.makespan)} and {cost}; {nodes}"


def _node_types(config: ClusterConfig) -> dict[str, NodeType]:
    """Those of the file, of which the resources must be known."""
    node_types = config.node_types()
    unknown = [name for name, one in node_types.items() if not one.resources]
    if unknown:
        names = " and ".join(unknown)
        raise UsageError(
            f"the resources of {names} are not known without asking the cloud: write them under"
            f" available_node_types.{unknown[0]}, e.g. `resources: {{CPU: 16, memory: 64e9}}`, with"
            " `GPU: 1` where there is one"
        )
    return node_types


def _durations(tasks: Tasks, options: argparse.Namespace) -> Durations:
    if options.spread:
        return LogNormal(tasks.seconds, options.spread)
    if options.stragglers:
        return Stragglers(tasks.seconds, *options.stragglers)
    return Fixed(tasks.seconds)


def _require_plotly() -> None:
    try:
        import_module("plotly")
    except ImportError as error:
        raise not_installed("--chart needs", "notebook", error) from error


def _write_chart(result: Result, path: Path) -> None:
    try:
        result.chart().write_html(path, include_plotlyjs=True, config={"displaylogo": False})
    except OSError as error:
        raise UsageError(f"--chart {path}: {error.strerror}; name another file") from error


# -- what is shown --------------------------------------------------------------------------------


def _parts(result: Result, config: ClusterConfig, options: argparse.Namespace) -> list[str | Table]:
    figures = Table("result", ("figure", "value"), result.rows())
    return [
        f"Cluster {config.cluster_name!r} and {' and '.join(map(_with_start, options.tasks))}",
        *_price_notes(config),
        *_budget_notes(config, result),
        *result.why_unfinished,
        figures,
        *_events(result.events),
    ]


def _with_start(tasks: Tasks) -> str:
    return f"{tasks} after {precise_seconds(tasks.at)}" if tasks.at else str(tasks)


def _price_notes(config: ClusterConfig) -> list[str]:
    if all(one.price is not None for one in config.node_types().values()):
        return []
    return ["Prices are not known here; they are estimated from CPUs, GPUs and memory"]


def _budget_notes(config: ClusterConfig, result: Result) -> list[str]:
    if config.budget is None or result.cost <= config.budget:
        return []
    return [
        f"This is more than the budget of {usd(config.budget)}: the cluster would stop launching"
        " before the end, which is not simulated"
    ]


def _events(events: Sequence[Event]) -> list[str | Table]:
    if not events:
        return []
    rows = [(precise_seconds(event.time), event.text) for event in events]
    more = len(rows) - FIRST_EVENTS - LAST_EVENTS
    if more > 1:
        note = f"… {counted(more, 'more line')}, which --json and --chart have …"
        rows = [*rows[:FIRST_EVENTS], ("", note), *rows[-LAST_EVENTS:]]
    headings = ("after", "what happened, and why")
    return [Table("events", headings, rows, headings[:1])]
