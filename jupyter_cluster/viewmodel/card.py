"""Clusters in short, as they stand beside each other, and all of them in a line."""

from __future__ import annotations

import math
import time
from collections.abc import Iterable, Sequence

from jupyter_cluster.client.watch import Contact, View
from jupyter_cluster.formats import as_sentence, counted, format_seconds, money, place_text
from jupyter_cluster.viewmodel.cluster import controls, place, problems, state
from jupyter_cluster.viewmodel.figures import Told, is_working, seconds_left, unit_of
from jupyter_cluster.viewmodel.model import Action, Card, JobLine, Spark, Words
from jupyter_cluster.viewmodel.tables import job_bar
from jupyter_cluster.viewmodel.tiles import cost_tile, nodes_tile, rate_text, rate_tile

SHOWN_JOBS = 3
# What a spark line shows of the past, and with how many points.
SPARK_SECONDS, SPARK_POINTS = 300.0, 60


def card(view: View, name: str, now: float) -> Card:
    """A cluster that is followed.

    Parameters
    ----------
    now
        Unix time.
    """
    status = view.status
    working = [job for job in status.get("jobs", ()) if is_working(job)]
    left_out = len(working) - SHOWN_JOBS
    return Card(
        name=name,
        state=state(view, now),
        place=place(status, now) if status else "",
        blank="" if status else view.problem or "asking its head for figures …",
        tiles=[rate_tile(status["jobs"]), nodes_tile(status), cost_tile(status["cost"])]
        if status
        else [],
        spark=_spark(list(view.samples), unit_of(working)),
        jobs=[_job_line(job) for job in working[:SHOWN_JOBS]],
        more=f"and {counted(left_out, 'job')} more" if left_out > 0 else "",
        problems=problems(status) if status else [],
        runs=view.contact is not Contact.ENDED,
        actions=[controls(status).down if status else _blind_end(name)],
    )


def kept_card(name: str, provider: str, created: float, is_hosted: bool, why: str = "") -> Card:
    """A cluster that does not run, and of which something is left.

    Parameters
    ----------
    created
        Unix time; 0 where it is not known.
    is_hosted
        Whether its head is on another machine, which it may still have.
    why
        Why it does not run, where that is known.
    """
    born = time.strftime(", made on %Y-%m-%d", time.localtime(created)) if created else ""
    where = f"on {place_text(provider)}" if provider else "it does not say where"
    kept = (
        "What it has of machines and disks costs until it is ended."
        if is_hosted
        else "Its results are kept until it is ended."
    )
    ask = f"End cluster {name}? All that it has kept is deleted."
    return Card(
        name=name,
        state=Words("stopped", "off"),
        place=f"{where}{born}",
        blank=f"{as_sentence(why)} {kept}" if why else kept,
        tiles=[],
        spark=Spark([], ""),
        jobs=[],
        more="",
        problems=[],
        runs=False,
        actions=[
            Action("up", "start again", f"cluster {name}"),
            Action("down", "end", f"cluster {name}", question=ask),
        ],
    )


def summary(views: Iterable[View]) -> Words:
    """How many clusters run and what they cost; empty where none does."""
    told = [view for view in views if view.contact is not Contact.ENDED]
    if not told:
        return Words("")
    lost = sum(view.contact is Contact.LOST for view in told)
    costs = [view.status["cost"] for view in told if view.status]
    per_hour = sum(cost["per_hour"] for cost in costs)
    unknown = not all(cost["price_known"] for cost in costs)
    text = counted(len(told), "cluster")
    if unknown:
        text += ", at an unknown price"
    elif per_hour:
        text += f", {money(per_hour)} per hour"
    so_far = f"{money(sum(cost['so_far'] for cost in costs))} so far"
    hint = f"{so_far}; {counted(lost, 'cluster')} without contact" if lost else so_far
    return Words(text, "warn" if lost else "", hint)


def _blind_end(name: str) -> Action:
    ask = f"The head of cluster {name} does not say whether it works. End it all the same?"
    return Action("down", "down", f"cluster {name}", question=ask)


def _job_line(job: Told) -> JobLine:
    left = seconds_left([job])
    done = f"{job['done']:,} of {job['total']:,}" + ("" if job["sealed"] else "+")
    failed = f"{job['failed']:,} failed" if job["failed"] else ""
    facts = (done, failed, f"{left} left" if left else "")
    cancel = Action("cancel", "cancel", f"job {job['name']}", job["id"])
    text = ", ".join(fact for fact in facts if fact)
    return JobLine(job["id"], job["name"], text, job_bar(job), cancel)


def _spark(samples: Sequence[Told], unit: str) -> Spark:
    """The rate of the last minutes."""
    if not samples:
        return Spark([], "")
    end = samples[-1]["time"]
    shown = [sample for sample in samples if sample["time"] >= end - SPARK_SECONDS]
    stride = math.ceil(len(shown) / SPARK_POINTS)
    groups = [shown[at : at + stride] for at in range(0, len(shown), stride)]
    values = [round(sum(s["rate"] for s in group) / len(group), 2) for group in groups]
    minutes = format_seconds(round(end - shown[0]["time"]))
    most = f"at most {rate_text(max(values))}"
    return Spark(values, f"{unit}s/s in the last {minutes}: now {rate_text(values[-1])}, {most}")
