"""All jobs of the cluster: taken in, waiting for refs, ended, each result once.

What changes here is written to the journal; what ends is told to the followers of the job.
"""

from __future__ import annotations

import json
import logging
import time
from array import array
from collections.abc import Callable, Iterable
from typing import Protocol

from jupyter_cluster.background import describe, start_task
from jupyter_cluster.errors import (
    InfeasibleError,
    JobError,
    ResultLostError,
    TaskCrashedError,
)
from jupyter_cluster.head.cell_sessions import CellSessions
from jupyter_cluster.head.code import Code
from jupyter_cluster.head.dependencies import Dependencies
from jupyter_cluster.head.inputs import InputStore
from jupyter_cluster.head.job import CANCELLED, DONE, FAILED, QUEUED, Job, JobSpec
from jupyter_cluster.head.journal import Journal, Statement
from jupyter_cluster.head.outputs import Output, Outputs
from jupyter_cluster.head.results import Results, ResultStore
from jupyter_cluster.head.retries import judge
from jupyter_cluster.model import JobState
from jupyter_cluster.raised import dump_error
from jupyter_cluster.resources import Resources, unmarked
from jupyter_cluster.wire import Block, Status

logger = logging.getLogger("jupyter_cluster.head")

# A range that was lost with this many nodes is not sent to another one.
MAX_ATTEMPTS = 10
_STATE_OF = bytes([DONE, FAILED, DONE, CANCELLED, FAILED, FAILED, FAILED, QUEUED]) + bytes(248)


_DROPPED = "an argument refers to a result that was dropped"
# Why a job is sealed that its client was feeding.
CLIENT_AWAY = "its client went away: sealed at what had arrived"
# Calls are kept for who may still ask for them.
CALLER_AWAY = "its client went away: kept for it for four hours"


class Follower(Protocol):
    """Somebody who is told what happens to a job."""

    def on_results(self, results: Results) -> None: ...
    def on_output(self, job: str, output: Output) -> None: ...
    def on_job(self, job: Job) -> None: ...
    def on_deleted(self, job: Job) -> None: ...


class Jobs:
    """The jobs by their id, and those with something to send.

    Attributes
    ----------
    ready : dict
        Jobs with queued tasks, in the order in which they are served.
    """

    def __init__(
        self,
        journal: Journal,
        inputs: InputStore,
        results: ResultStore,
        on_demand: Callable[[], None],
        on_cancel: Callable[[str, list[tuple[int, int]]], None],
        on_drop: Callable[[str, str], None],
        on_forget: Callable[[str, int, int], None],
        on_turn: Callable[[Job], None],
        log: Callable[[str, str], None],
        cell_sessions: CellSessions,
    ) -> None:
        self.worked_off = 0  # tasks that were run, of jobs that were deleted too
        self.outputs = Outputs(journal)
        self.cell_sessions = cell_sessions
        self.by_id: dict[str, Job] = {}
        self.ready: dict[str, Job] = {}
        self.inputs = inputs
        self.results = results
        self.deleted: set[str] = set()
        self.code = Code(journal)
        self._journal = journal
        self._on_demand = on_demand
        self._on_cancel = on_cancel
        self._on_drop = on_drop
        self._on_forget = on_forget
        self._on_turn = on_turn
        self._log = log
        self._followers: dict[str, set[Follower]] = {}
        self.dependencies = Dependencies(self.by_id)

    # -- taking jobs in -----------------------------------------------------------------------

    def get(self, job: str) -> Job:
        """A job by its id.

        Raises
        ------
        JobError
            There is none, or no longer.
        """
        try:
            return self.by_id[job]
        except KeyError:
            raise JobError(f"there is no job {job!r}, or it was deleted") from None

    def submit(self, spec: JobSpec, done: Callable[[], None] | None = None) -> Job:
        """Take a job in; a known one is left as it is, or opened again for its client.

        Raises
        ------
        JobError
            It was deleted, or its function or modules have not come.
        """
        if (job := self.by_id.get(spec.id)) is None:
            self._require_whole(spec)
            job = self.by_id[spec.id] = Job(spec, time.time())
            self.code.use(spec)
            self._on_turn(job)
            if spec.session:
                self._admit(job)
            if spec.kind == "map":
                self._log("job", f"job {spec.name!r} was submitted")
        else:
            self.welcome_back(job)
        self._journal.execute(
            "INSERT OR IGNORE INTO jobs VALUES (?, ?, 0, ?, NULL, 0, '')",
            spec.id,
            spec.to_json(),
            job.submitted,
            done=done,
        )
        return job

    def _require_whole(self, spec: JobSpec) -> None:
        if spec.id in self.deleted:
            raise JobError(f"job {spec.name!r} was deleted")
        if (spec.fn or spec.kind in ("map", "calls")) and not self.code.has(spec.fn):
            raise JobError(f"the function of job {spec.name!r} has not come with it")
        modules = spec.environment.get("modules")
        if modules and not self.code.has(modules):
            raise JobError(f"the modules of job {spec.name!r} have not come with it")

    def welcome_back(self, job: Job) -> None:
        """Its client has come back and may go on feeding it; it seals what it has fed itself."""
        if job.note == CALLER_AWAY:
            job.note = ""
        if job.note != CLIENT_AWAY:
            return
        job.sealed, job.note, job.finished = False, "", None
        self._journal.execute(
            "UPDATE jobs SET sealed = 0, note = '', finished = NULL WHERE id = ?", job.id
        )

    def _admit(self, job: Job) -> None:
        session = job.spec.session
        try:
            self.cell_sessions.admit(session, unmarked(job.shape))
        except JobError as error:
            job.refused = str(error)
            return
        job.pinned = bool(self.cell_sessions.get(session).node)  # type: ignore[union-attr]

    def add_tasks(
        self,
        job: Job,
        block: Block,
        refs: dict[int, list[str]],
        done: Callable[[], None] | None = None,
    ) -> None:
        """Take inputs in; what was taken in before is only acknowledged."""
        if job.add(block.start, len(block)):
            self.inputs.add(job.id, block)
            for index in self.dependencies.add(job, refs):
                self._settle(job, index)
            if job.refused:
                self.fail(job, block.start, block.stop, job.refused)
            self._has_work(job)
            row = (job.id, block.start, block.base, block.ends.tobytes(), block.data)
            statement = (
                "INSERT OR IGNORE INTO inputs VALUES (?, ?, ?, ?, ?, ?)",
                (*row, json.dumps(refs) if refs else None),
            )
            self._journal.write([statement], lambda: self._inputs_safe(job.id, block.start, done))
        elif done:
            self._journal.write([], done)

    def _inputs_safe(self, job: str, start: int, done: Callable[[], None] | None) -> None:
        self.inputs.written(job, start)
        if done:
            done()

    def put(self, job: Job, results: Results, done: Callable[[], None] | None = None) -> None:
        """Take values in as they are: results without a task."""
        if job.add(results.block.start, len(results.block)):
            self._write_results(job, [results], done)
        elif done:
            self._journal.write([], done)

    def _has_work(self, job: Job) -> None:
        if job.queued and not job.cancelled:
            self.ready[job.id] = job
            self._on_demand()

    def seal(self, job: Job, note: str = "") -> None:
        """No more tasks will come."""
        if not job.sealed:
            job.sealed = True
            job.note = note or job.note
            self._journal.execute(
                "UPDATE jobs SET sealed = 1, note = ? WHERE id = ?", job.note, job.id
            )
            self._check_finished(job)
            self._delete_if_released(job)

    def delete(self, job: Job) -> None:
        """Forget a job with all its results; what runs of it is stopped."""
        if job.id in self.deleted:  # by the end of its last tasks, a moment ago
            return
        self.deleted.add(job.id)
        self.cancel(job, None)
        del self.by_id[job.id]
        self.ready.pop(job.id, None)
        for follower in self._followers.pop(job.id, ()):
            follower.on_deleted(job)
        for node, name in self.results.drop(job.id, 0, len(job.states)):
            self._on_drop(node, name)
        self._on_forget(job.id, 0, len(job.states))
        self.inputs.forget(job.id)
        self.results.forget(job.id)
        self.outputs.forget(job.id)
        self.code.release(job.spec)
        if (values := self.by_id.get(job.spec.values)) and values.orphaned:
            self.delete(values)
        self._journal.write(
            [
                ("DELETE FROM jobs WHERE id = ?", (job.id,)),
                ("DELETE FROM samples WHERE job = ?", (job.id,)),
            ]
        )

    def fail(self, job: Job, start: int, stop: int, why: str) -> None:
        """These tasks end without having been run, with the reason."""
        for a, b in job.open_ranges(start, stop):
            error = dump_error(JobError(why))
            block = Block.of(a, [error] * (b - a))
            self._write_results(job, [Results(job.id, "", bytes([Status.ERROR]) * (b - a), block)])

    # -- refs as arguments --------------------------------------------------------------------

    def _settle(self, job: Job, index: int) -> None:
        """All refs of a task have ended: send it, or end it as the one without a value did."""
        lacking = self.dependencies.without_value(job, index)
        if lacking is None:
            job.release(index)
            self._has_work(job)
            return
        other, position = lacking
        if other is None:
            self._end_as(job, index, Status.ERROR, dump_error(ResultLostError(_DROPPED)))
        elif other.states[position] == CANCELLED:
            self._end_as(job, index, Status.CANCELLED, b"")
        else:

            def tell(error: BaseException) -> None:
                why = f"why an argument has no value cannot be read: {describe(error)}"
                self.fail(job, index, index + 1, why)

            work = self._end_with_error(job, index, other.id, position)
            start_task("reading the error of an argument", work, tell)

    async def _end_with_error(self, job: Job, index: int, other: str, position: int) -> None:
        """A task ends as the one did whose result it needs; that one's error may be large."""
        found = await self.results.find(other, position, position + 1)
        error = bytes(found[-1].block.item(position)) if found else b""
        if job.id in self.by_id and job.open_ranges(index, index + 1):
            data = error or dump_error(ResultLostError(_DROPPED))
            self._end_as(job, index, Status.ERROR, data)

    def _end_as(self, job: Job, index: int, status: Status, data: bytes) -> None:
        self._write_results(job, [Results(job.id, "", bytes([status]), Block.of(index, [data]))])

    # -- results ------------------------------------------------------------------------------

    def take(
        self, job: Job, results: Results, attempt: int, seconds: float, done: Callable[[], None]
    ) -> None:
        """Results of a node: the first for each task counts, later ones are dropped."""
        ran = len(results.statuses) - results.statuses.count(Status.CANCELLED)
        if seconds and ran:
            job.durations.note(ran, seconds)
        final: list[Results] = []
        for start, stop in job.open_ranges(results.block.start, results.block.stop):
            verdict = judge(job, results.cut(start, stop), attempt)
            final += verdict.final
            for kind, text in verdict.notes:
                self._log(kind, text)
        self._write_results(job, final, done)
        self._has_work(job)

    def show(
        self, job: Job, index: int, attempt: int, number: int, data: bytes, done: Callable[[], None]
    ) -> None:
        """What a cell has shown: keep it, and tell who follows the job."""
        self._tell_output(job, self.outputs.add(job.id, index, attempt, number, data, done))

    def _tell_output(self, job: Job, output: Output | None) -> None:
        if output is not None:
            for follower in tuple(self._followers.get(job.id, ())):
                follower.on_output(job.id, output)

    def _write_results(
        self, job: Job, parts: Iterable[Results], done: Callable[[], None] | None = None
    ) -> None:
        """These tasks have ended; `done` is called when the journal has it."""
        statements: list[Statement] = []
        numbers: list[int] = []
        for part in parts:
            number, more = self._end(job, part)
            numbers.append(number)
            statements += more

        def safe() -> None:
            self.results.written(numbers)
            if done:
                done()

        self._journal.write(statements, safe)
        self._delete_if_released(job)

    def _end(self, job: Job, results: Results) -> tuple[int, list[Statement]]:
        """These tasks have ended: remember, tell, and wake what waited for them."""
        block = results.block
        number, statements = self.results.add(results)
        if job.spec.kind != "put":
            self.worked_off += _worked_off(results.statuses)
        job.set_each(block.start, results.statuses.translate(_STATE_OF))
        for follower in tuple(self._followers.get(job.id, ())):
            follower.on_results(results)
        for other, index in self.dependencies.ended(job, block.start, block.stop):
            self._settle(other, index)
        self._check_finished(job)
        return number, statements

    def _check_finished(self, job: Job) -> None:
        if job.sealed and not job.unfinished and job.finished is None:
            job.finished = time.time()
            self._on_turn(job)
            self._journal.execute("UPDATE jobs SET finished = ? WHERE id = ?", job.finished, job.id)
            if job.spec.session and not job.refused:
                self.cell_sessions.cell_ended(job.spec.session)
            if values := self.by_id.get(job.spec.values):
                self.seal(values)
            if job.spec.kind == "map":
                info = job.info()
                self._log(
                    "job",
                    f"job {info.name!r} ended: {info.done} done, {info.failed} failed,"
                    f" {info.cancelled} cancelled in {job.finished - job.submitted:.1f} s",
                )
            for follower in tuple(self._followers.get(job.id, ())):
                follower.on_job(job)

    # -- losing, cancelling, dropping ---------------------------------------------------------

    def requeue(self, job: Job, start: int, stop: int, attempt: int) -> None:
        """A node no longer has these: send them again, or give up where nodes keep dying."""
        if job.is_cell and self._cell_lost(job, start, stop):
            return
        if attempt >= MAX_ATTEMPTS:
            for a, b in job.open_ranges(start, stop):
                error = TaskCrashedError(
                    f"tasks {a} to {b - 1} of job {job.spec.name!r} were lost with"
                    f" {MAX_ATTEMPTS} nodes",
                    job.spec.name,
                    a,
                )
                data = dump_error(error)
                block = Block.of(a, [data] * (b - a))
                results = Results(job.id, "", bytes([Status.ERROR]) * (b - a), block)
                self._write_results(job, [results])
            return
        job.requeue(start, stop, attempt + 1)
        self.queue_again(job, start, stop)

    def _cell_lost(self, job: Job, start: int, stop: int) -> bool:
        """The node of a cell is gone; True where the cell cannot run on another one."""
        if job.pinned:
            what = f"session {job.spec.session!r}" if job.spec.session else "the node it had to use"
            self.fail(job, start, stop, f"{job.task_name(start)} was lost: {what} is gone")
            return True
        for a, _ in job.open_ranges(start, stop):
            text = "[its node was lost: the cell runs again on another one]"
            self._tell_output(job, self.outputs.note(job.id, a, text))
        return False

    def queue_again(self, job: Job, start: int, stop: int) -> None:
        """Tasks go back to the queue; those with refs wait until these have values (again)."""
        within = range(start, min(stop, len(job.states)))
        refs = {i: job.refs[i] for i in within if i in job.refs} if job.refs else {}
        refs = {i: keys for i, keys in refs.items() if job.states[i] == QUEUED}
        for index in self.dependencies.add(job, refs):
            self._settle(job, index)
        self._has_work(job)

    def give_back(self, job: Job, start: int, stop: int, attempt: int) -> None:
        """A node gives tasks back that it has not started; that counts as no attempt."""
        job.requeue(start, stop, attempt)
        self.queue_again(job, start, stop)

    def lose_stored(self, node: str) -> int:
        """Large results went with a node: their tasks are run again. Returns how many."""
        lost = self.results.on_node(node)
        for job_id, index in lost:
            self.lose_result(job_id, index, f"went with its node {node}")
        return len(lost)

    def lose_result(self, job_id: str, index: int, why: str) -> None:
        """A large result is gone: its task is run again."""
        self.results.lost(job_id, index)
        job = self.by_id.get(job_id)
        if job and job.spec.kind == "put":
            self._lose_value(job, index, why)
        elif job:
            if job.finished is not None:
                self._journal.execute("UPDATE jobs SET finished = NULL WHERE id = ?", job_id)
            job.reopen(index)
            self.queue_again(job, index, index + 1)

    def _lose_value(self, job: Job, index: int, why: str) -> None:
        """A value that a cell left on its node cannot be made again."""
        error = ResultLostError(f"a value of a cell {why}", job.spec.name, index)
        block = Block.of(index, [dump_error(error)])
        self._write_results(job, [Results(job.id, "", bytes([Status.ERROR]), block)])

    def fail_queued(self, shape: Resources, reason: str) -> None:
        """No node can ever hold tasks of this shape: they end, with the reason."""
        for job in [job for job in self.ready.values() if job.shape == shape]:
            for start, stop in job.open_ranges(0, len(job.states)):
                error = InfeasibleError(reason, job.spec.name, start)
                block = Block.of(start, [dump_error(error)] * (stop - start))
                results = Results(job.id, "", bytes([Status.ERROR]) * (stop - start), block)
                self._write_results(job, [results])
            self.ready.pop(job.id)

    def release(self, job: Job, ranges: Iterable[tuple[int, int]]) -> None:
        """Refs were dropped: their results go, and the job with its last one."""
        for start, stop in ranges:
            job.released += stop - start
            self._on_forget(job.id, start, stop)
            for node, name in self.results.drop(job.id, start, stop):
                self._on_drop(node, name)
        self._delete_if_released(job)

    def _delete_if_released(self, job: Job) -> None:
        """Calls that nobody holds a ref to any more are forgotten once they have ended."""
        if (
            job.sealed
            and not job.is_kept
            and not job.unfinished
            and job.released >= len(job.states)
        ):
            self.delete(job)

    def cancel(self, job: Job, ranges: list[tuple[int, int]] | None) -> None:
        """End tasks that have not ended; all, and the job with them, where no ranges are given."""
        if ranges is None:
            job.cancelled = job.cancelled or bool(job.unfinished) or not job.sealed
            job.sealed = True
            self._journal.execute(
                "UPDATE jobs SET sealed = 1, cancelled = ? WHERE id = ?",
                int(job.cancelled),
                job.id,
            )
            ranges = [(0, len(job.states))]
        for first, last in ranges:
            for start, stop in job.open_ranges(first, last):
                count = stop - start
                block = Block(start, 0, array("Q", bytes(8 * count)), b"")
                results = Results(job.id, "", bytes([Status.CANCELLED]) * count, block)
                self._write_results(job, [results])
                self._on_cancel(job.id, [(start, stop)])
        self._check_finished(job)

    def seal_client(self, client: str) -> None:
        """A client went away: no more inputs will come for what it was feeding."""
        for job in [job for job in self.by_id.values() if job.spec.client == client]:
            if job.spec.kind == "map" and not job.sealed:
                self.seal(job, CLIENT_AWAY)
            elif job.spec.kind == "calls":
                job.note = CALLER_AWAY

    def drop_client(self, client: str) -> None:
        """A client is gone for good: its refs and values go with it, its jobs stay."""
        self.seal_client(client)
        for job in [job for job in self.by_id.values() if job.spec.client == client]:
            if job.spec.kind == "put" and self._cell_of(job) is not None:
                job.orphaned = True  # goes with its cell, which may still be asked for it
            elif not job.is_kept:
                self.delete(job)

    def _cell_of(self, values: Job) -> Job | None:
        return next((job for job in self.by_id.values() if job.spec.values == values.id), None)

    # -- followers ----------------------------------------------------------------------------

    def follow(self, job: Job, follower: Follower) -> None:
        """Tell this follower what happens to the job from now on."""
        self._followers.setdefault(job.id, set()).add(follower)

    def unfollow(self, follower: Follower) -> None:
        """Tell this follower nothing more."""
        for followers in self._followers.values():
            followers.discard(follower)

    @property
    def active(self) -> list[Job]:
        """Jobs with tasks that have not ended, or that may still get some."""
        return [
            job
            for job in self.by_id.values()
            if job.unfinished or (job.is_kept and job.state is JobState.RUNNING)
        ]

    # -- after a restart ----------------------------------------------------------------------

    def mark(self, job: Job, start: int, statuses: bytes) -> None:
        """Consecutive tasks have ended like this before the restart."""
        self.worked_off += _worked_off(statuses)
        job.set_each(start, statuses.translate(_STATE_OF))

    def resume(self, job: Job) -> None:
        """Go on with a job that was restored."""
        if job.spec.session and job.unfinished:
            self._admit(job)
        queued = {i: keys for i, keys in job.refs.items() if job.states[i] == QUEUED}
        for index in self.dependencies.add(job, queued):
            self._settle(job, index)
        self._has_work(job)


def _worked_off(statuses: bytes) -> int:
    """How many of these tasks count for the rate: what was cancelled was not worked on."""
    return len(statuses) - statuses.count(Status.CANCELLED)
