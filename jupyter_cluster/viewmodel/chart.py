"""The course of a cluster over the last half hour: rate, nodes and decisions.

Whole, from one view of the cluster, so that whoever shows it at any time shows all of it.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterable, Iterator, Sequence

from jupyter_cluster.charts.style import EVENTS
from jupyter_cluster.client.watch import View
from jupyter_cluster.viewmodel.events import decision
from jupyter_cluster.viewmodel.figures import Told, unit_of
from jupyter_cluster.viewmodel.model import Chart, Decision, Series, Tick

# Of the newest half hour at most so many points are drawn.
WINDOW_SECONDS, MOST_POINTS = 1800.0, 600
# A chart that has just begun is not stretched: its first second would fill it.
LEAST_SECONDS = 10.0
NO_SAMPLES = "The chart begins with the first task or node"
# Steps that a clock reads well, in seconds.
TIME_STEPS = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600)
MOST_TIMES, MOST_VALUES = 6, 4


def chart(view: View) -> Chart:
    """Reduce what a head has told to what is drawn of its course."""
    unit = unit_of(view.status.get("jobs", []))
    samples = _newest(list(view.samples))
    if not samples:
        return Chart(unit=unit, blank=NO_SAMPLES)
    groups = _thinned(samples)
    times = [group[-1]["time"] for group in groups]
    rates = [round(sum(s["rate"] for s in group) / len(group), 3) for group in groups]
    nodes = [group[-1]["ready"] for group in groups]
    pending = [group[-1]["pending"] for group in groups]
    end = times[-1]
    begin = min(times[0], end - LEAST_SECONDS)
    marked = _marked(view.events, samples[0]["time"] - 1, end)
    return Chart(
        begin=begin,
        end=end,
        # The clock of this process: the words beside the lines have it, so the pointer's have, too.
        utc_offset=float(time.localtime(end).tm_gmtoff),
        unit=unit,
        series=_series(unit, times, rates, nodes, pending),
        rates=_rate_ticks(max(rates)),
        nodes=_node_ticks(max(*nodes, *pending, 1)),
        times=list(_time_ticks(begin, end)),
        decisions=marked,
        legend={kind: EVENTS[kind] for kind in EVENTS if any(d.kind == kind for d in marked)},
        said=_said(unit, rates, nodes),
    )


def _newest(samples: list[Told]) -> list[Told]:
    newest = samples[-1]["time"] if samples else 0.0
    return [sample for sample in samples if sample["time"] >= newest - WINDOW_SECONDS]


def _thinned(samples: Sequence[Told]) -> list[Sequence[Told]]:
    stride = math.ceil(len(samples) / MOST_POINTS)
    return [samples[at : at + stride] for at in range(0, len(samples), stride)]


def _series(
    unit: str,
    times: Sequence[float],
    rates: Sequence[float],
    nodes: Sequence[float],
    pending: Sequence[float],
) -> list[Series]:
    def points(values: Sequence[float]) -> list[tuple[float, float]]:
        return list(zip(times, values, strict=True))

    lines = [
        Series("rate", f"{unit}s per second", is_steps=False, points=points(rates)),
        Series("nodes", "nodes ready", is_steps=True, points=points(nodes)),
    ]
    if any(pending):
        lines.append(Series("pending", "nodes booting", is_steps=True, points=points(pending)))
    return lines


def _marked(events: Iterable[Told], first: float, last: float) -> list[Decision]:
    """Those of a kind that is marked, kind by kind."""
    marked = [e for e in events if e["kind"] in EVENTS and first <= e["time"] <= last]
    return [decision(event) for kind in EVENTS for event in marked if event["kind"] == kind]


def _said(unit: str, rates: Sequence[float], nodes: Sequence[float]) -> str:
    return (
        f"{unit}s per second, now {rates[-1]:,.1f}, at most {max(rates):,.1f};"
        f" nodes ready, now {nodes[-1]:,}, at most {max(nodes):,}"
    )


# -- axes -----------------------------------------------------------------------------------------


def _rate_ticks(most: float) -> list[Tick]:
    step = _round_step(most / MOST_VALUES) if most > 0 else 1.0
    return _ticks(max(most, step), step)


def _node_ticks(most: int) -> list[Tick]:
    return _ticks(most, max(1, math.ceil(most / MOST_VALUES)))


def _round_step(least: float) -> float:
    """The smallest of 1, 2, 2.5 and 5 times a power of ten that is not below `least`."""
    power = 10.0 ** math.floor(math.log10(least))
    return next(n * power for n in (1, 2, 2.5, 5, 10) if n * power >= least * (1 - 1e-9))


def _ticks(most: float, step: float) -> list[Tick]:
    """Multiples of a step from zero to the first that is not below `most`."""
    values = (number * step for number in range(math.ceil(most / step - 1e-9) + 1))
    return [Tick(value, f"{value:,.10g}") for value in values]


def _time_ticks(begin: float, end: float) -> Iterator[Tick]:
    span = end - begin
    step = next((step for step in TIME_STEPS if span / step <= MOST_TIMES), TIME_STEPS[-1])
    shown = "%H:%M:%S" if step < 60 else "%H:%M"
    for number in range(math.ceil(begin / step), math.floor(end / step) + 1):
        moment = float(number * step)
        yield Tick(moment, time.strftime(shown, time.localtime(moment)))
