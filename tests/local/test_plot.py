"""Figures of what a real cluster has done."""

from __future__ import annotations

import pytest

import jupyter_cluster as jc
from jupyter_cluster.errors import UsageError

pytestmark = pytest.mark.local


def slow(number: int) -> int:
    import time

    time.sleep(0.05)
    return number


@pytest.fixture(scope="module")
def job(cluster: jc.Cluster) -> jc.Job:
    return cluster.map(slow, range(60), unit="tile", name="tiles").wait()


def test_a_job_has_its_rate_queue_nodes_and_durations(cluster: jc.Cluster, job: jc.Job) -> None:
    figure = job.plot()
    traces = {trace.name: trace for trace in figure.data}
    assert {"tiles per second", "nodes ready", "tasks queued", "ready"} <= set(traces)
    assert "60 of 60 tiles" in figure.layout.title.text
    assert max(traces["tiles per second"].y) > 0
    assert max(traces["nodes ready"].y) == 2
    assert {text.partition(" ")[0] for text in traces["ready"].text} == {
        node["id"] for node in cluster.nodes()
    }
    assert sum(traces["tasks by duration"].y) == 60
    seconds = zip(traces["tasks by duration"].x, traces["tasks by duration"].y, strict=True)
    assert sum(each * count for each, count in seconds) >= 60 * 0.05 * 0.9


def test_a_part_can_be_had_alone(job: jc.Job) -> None:
    assert [trace.type for trace in job.plot("durations").data] == ["histogram"]
    with pytest.raises(UsageError, match="no part 'speed'; it has rate, queue"):
        job.plot("speed")


def test_a_cluster_has_all_of_its_jobs_by_the_clock(cluster: jc.Cluster, job: jc.Job) -> None:
    figure = cluster.plot()
    assert figure.layout.xaxis.type == "date"
    traces = {trace.name: trace for trace in figure.data}
    assert max(traces["nodes ready"].y) == 2
    assert "nodes added" in traces
    assert sum(traces["tasks by duration"].y) >= 60


def test_a_figure_stands_alone(job: jc.Job) -> None:
    from plotly.io import from_json

    figure = job.plot()
    again = from_json(figure.to_json())
    assert len(again.data) == len(figure.data)
