"""The account of a job agrees with a plain list of states, whatever happens to it."""

from __future__ import annotations

import time
import tracemalloc

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from jupyter_cluster.head.job import (
    CANCELLED,
    DONE,
    FAILED,
    QUEUED,
    SENT,
    Job,
    JobSpec,
    Range,
)
from jupyter_cluster.model import JobState

pytestmark = pytest.mark.unit


def new_job() -> Job:
    return Job(JobSpec(id="j", name="job", kind="map", client="c"), time.time())


class Account(RuleBasedStateMachine):
    """Tasks are added, sent, finished, lost and cancelled in any order."""

    def __init__(self) -> None:
        super().__init__()
        self.job = new_job()
        self.sent: list[Range] = []

    @rule(count=st.integers(1, 30))
    def add(self, count: int) -> None:
        assert self.job.add(len(self.job.states), count)

    @rule(limit=st.integers(1, 10))
    def send(self, limit: int) -> None:
        taken = self.job.take(limit)
        if taken is None:
            assert self.job.counts[QUEUED] == 0
            return
        assert 0 < taken.stop - taken.start <= limit
        assert set(self.job.states[taken.start : taken.stop]) == {SENT}
        self.sent.append(taken)

    @rule(state=st.sampled_from([DONE, FAILED, CANCELLED]), data=st.data())
    def finish(self, state: int, data: st.DataObject) -> None:
        if self.sent:
            one = self.sent.pop(data.draw(st.integers(0, len(self.sent) - 1)))
            for start, stop in self.job.open_ranges(one.start, one.stop):
                self.job.set_states(start, stop, state)

    @rule(data=st.data())
    def lose(self, data: st.DataObject) -> None:
        if self.sent:
            one = self.sent.pop(data.draw(st.integers(0, len(self.sent) - 1)))
            self.job.requeue(one.start, one.stop, one.attempt + 1)

    @invariant()
    def counts_are_those_of_the_states(self) -> None:
        for state, count in enumerate(self.job.counts):
            assert count == self.job.states.count(state)

    @invariant()
    def every_queued_task_is_in_the_queue(self) -> None:
        queued = {i for r in self.job.queue for i in range(r.start, r.stop)}
        assert {i for i, s in enumerate(self.job.states) if s == QUEUED} <= queued

    def teardown(self) -> None:
        """Whatever happened, sending and finishing what is left ends the job."""
        self.job.sealed = True
        for one in self.sent:
            self.job.requeue(one.start, one.stop, 1)
        while taken := self.job.take(7):
            self.job.set_states(taken.start, taken.stop, DONE)
        assert self.job.unfinished == 0
        assert self.job.state is not JobState.RUNNING


Account.TestCase.settings = settings(max_examples=60, stateful_step_count=30, deadline=None)
TestAccount = Account.TestCase


def test_inputs_that_come_twice_count_once_and_gaps_are_refused() -> None:
    job = new_job()
    assert job.add(0, 10)
    assert not job.add(0, 10)
    with pytest.raises(ValueError, match="tasks from 10 on are missing"):
        job.add(20, 5)


def test_a_million_queued_tasks_take_a_few_megabytes() -> None:
    tracemalloc.start()
    job = new_job()
    for start in range(0, 1_000_000, 5_000):
        job.add(start, 5_000)
    size, _peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert size < 5_000_000
    assert len(job.queue) == 1


def test_a_late_result_of_an_older_attempt_is_not_sent_again() -> None:
    job = new_job()
    job.add(0, 3)
    taken = job.take(3)
    assert taken is not None
    job.requeue(0, 3, 1)  # the node was lost …
    job.set_states(1, 2, DONE)  # … and yet its result for task 1 comes
    sent = [(r.start, r.stop) for r in iter(lambda: job.take(3), None) if r is not None]
    assert sent == [(0, 1), (2, 3)]


def test_the_mean_duration_follows_the_newest_results() -> None:
    job = new_job()
    assert job.mean_seconds is None
    job.durations.note(10, 1.0)
    assert job.mean_seconds == pytest.approx(0.1)
    for _ in range(20):
        job.durations.note(1, 0.5)
    assert job.mean_seconds == pytest.approx(0.5, rel=0.01)
