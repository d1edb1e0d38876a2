"""The head: everything that must outlive a notebook, in one process."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from jupyter_cluster.background import (
    LONGEST_PAUSE,
    Guard,
    describe,
    repeat,
    report,
    start_task,
)
from jupyter_cluster.config import ClusterConfig
from jupyter_cluster.dask_settings import configure_dask
from jupyter_cluster.errors import JobError
from jupyter_cluster.formats import format_seconds
from jupyter_cluster.head.asked import Scale
from jupyter_cluster.head.cell_sessions import CellSessions, unused_text
from jupyter_cluster.head.cluster_metrics import ClusterMetrics
from jupyter_cluster.head.diary import Diary
from jupyter_cluster.head.dispatcher import Dispatcher
from jupyter_cluster.head.endpoint import serve
from jupyter_cluster.head.fleet import Fleet
from jupyter_cluster.head.inputs import InputStore
from jupyter_cluster.head.job import Job
from jupyter_cluster.head.jobs import Jobs
from jupyter_cluster.head.journal import Journal
from jupyter_cluster.head.limits import Control
from jupyter_cluster.head.lines import Lines
from jupyter_cluster.head.metrics import SAMPLE_SECONDS, Metrics
from jupyter_cluster.head.report import Report
from jupyter_cluster.head.restore import restore
from jupyter_cluster.head.results import ON_HEAD, ResultStore
from jupyter_cluster.head.scaling import Scaling, Targets
from jupyter_cluster.head.scheduler import HeadScheduler
from jupyter_cluster.head.sessions import Sessions
from jupyter_cluster.providers.base import Provider
from jupyter_cluster.resources import CPU
from jupyter_cluster.trust import Role, dask_security, server_context
from jupyter_cluster.wire import Status

logger = logging.getLogger("jupyter_cluster.head")

# After a restart, how long to wait for the nodes before their work is given to others.
SETTLE_SECONDS = 10.0
# How long the head waits for what its provider knows of its machines before it is there for
# clients, and how long before it asks again.
LEARN_SECONDS, LEARN_PAUSE_SECONDS = 20.0, 5.0
# How often to look whether the cluster is to end, at least.
DUE_SECONDS = 5.0
# Whoever ends itself tries to end its nodes this often; its own machine it ends in any case.
END_TRIES = 5
# What goes wrong in the loop without anybody's having caught it is said once in so long.
ODD_SECONDS = 60.0

MakeProvider = Callable[[Path, ClusterConfig, str], Provider]


class Head:
    """Puts the parts together and ends them in order."""

    def __init__(
        self,
        folder: Path,
        config: ClusterConfig,
        identity: dict[str, Any],
        address: str = "127.0.0.1",
        alive: Path | None = None,
    ) -> None:
        self._address, self._alive = address, alive
        self.folder = folder
        self.config = config
        self.identity = identity
        self._loop = asyncio.get_running_loop()
        self._ended = asyncio.Event()
        self._ends_itself = self._leaves_nodes = self._keeps_results = False
        self._broken: BaseException | None = None
        self._odd: dict[str, float] = {}
        self.started = time.time()
        journal = self.journal = Journal(
            folder / "journal.sqlite", self._loop, self._on_problem, self._break
        )
        self.diary = Diary(journal)
        self.lines = Lines(folder / "logs" / "tasks.log")
        self.cell_sessions = CellSessions(journal, self.diary.add)
        self.fleet = Fleet(journal, config.node_types(), self.cell_sessions.kept_because)
        if config.provider.type != "local":
            self.fleet.head_type = config.head_node_type
        self.metrics = Metrics(journal)
        self.cluster_metrics = ClusterMetrics(journal)
        self.dispatcher = Dispatcher(
            self.diary.add,
            self.fleet.has,
            self._on_node,
            self.lines.add,
            self.value_of,
            self.cell_sessions,
        )
        self.jobs = Jobs(
            journal,
            InputStore(journal),
            ResultStore(journal, folder / "results"),
            on_demand=self._on_demand,
            on_cancel=self.dispatcher.cancel,
            on_drop=self.dispatcher.drop_stored,
            on_forget=self.dispatcher.drop_values,
            on_turn=self._on_turn,
            log=self.diary.add,
            cell_sessions=self.cell_sessions,
        )
        self.dispatcher.use(self.jobs)
        self.sessions = Sessions(identity["id"], self.jobs, self.read_stored)
        self.report = Report(self)
        self._scaling: Scaling | None = None

    def _on_turn(self, job: Job) -> None:
        """A job begins or ends."""
        self.metrics.sample(job, self.dispatcher)
        if job.finished is not None:
            self.dispatcher.job_over(job.id)

    # -- its life -----------------------------------------------------------------------------

    async def run(self, make_provider: MakeProvider, lifeline: int | None) -> None:
        """Until the cluster is ended."""
        for number in (signal.SIGTERM, signal.SIGINT):
            self._loop.add_signal_handler(number, self._ended.set)
        self._loop.add_signal_handler(signal.SIGHUP, self._leave)
        if lifeline is not None:
            self._loop.add_reader(lifeline, self._on_lifeline, lifeline)
        configure_dask()
        credentials = self.folder / "credentials"
        ports = self._former_ports()
        # Before anybody can connect: who came earlier would find none of their jobs.
        is_restarted = self._restore()
        self._scheduler = HeadScheduler(
            self.sessions.on_client,
            host=self._address,
            port=ports.get("scheduler", 0),
            security=dask_security(credentials, Role.HEAD),
            plugins=[self.dispatcher],
            local_directory=str(self.folder / "dask"),
        )
        async with self._scheduler:
            address = self._scheduler.address
            provider = make_provider(self.folder, self.config, address)
            self._scaling = self._make_scaling(provider)
            self._go_on(self._scaling, is_restarted)
            learning = asyncio.create_task(self._learn_types(provider))
            await asyncio.wait({learning}, timeout=LEARN_SECONDS)
            server, port = serve(
                self,
                self._address,
                ports.get("endpoint", 0),
                server_context(credentials, Role.HEAD),
            )
            self._announce(address, port)
            tasks = [learning, *self._start_loops(self._scaling, learning)]
            await self._ended.wait()
            for task in tasks:
                task.cancel()
            server.stop()
            if not self._leaves_nodes:
                self.control.forget()
                await self._end_nodes(provider)
        if self._ends_itself:
            await self._end_machine(provider)
        server.close()
        self.lines.close()
        self.journal.close()
        provider.close()
        if self._broken is not None:
            raise RuntimeError("the head cannot go on; another one follows") from self._broken

    def _start_loops(
        self, scaling: Scaling, learning: asyncio.Task[None]
    ) -> list[asyncio.Task[None]]:
        """All that runs for as long as the head does; where one of them ends, the head does."""
        self._loop.set_exception_handler(self._on_odd)
        allowed = self.config.cluster_idle_timeout_minutes * 60
        pause = min(DUE_SECONDS, allowed / 4) if allowed else DUE_SECONDS
        self._last_task = time.time()
        loops = {
            "scaling": self._scale(scaling, learning),
            "sampling": self._repeat("sampling", self._sample, SAMPLE_SECONDS),
            "showing life": self._repeat("showing life", self._show_life, SAMPLE_SECONDS),
            "looking for silent nodes": self._repeat(
                "looking for silent nodes", self._look_around, SAMPLE_SECONDS
            ),
            "looking whether to end": self._repeat(
                "looking whether the cluster is to end", self._end_when_due, pause
            ),
        }
        return [start_task(what, work, self._break) for what, work in loops.items()]

    @staticmethod
    async def _scale(scaling: Scaling, learning: asyncio.Task[None]) -> None:
        """What a node could hold is known before tasks are told that none can hold them."""
        await asyncio.wait({learning})
        await scaling.run()

    async def _repeat(self, what: str, step: Callable[[], None], seconds: float) -> None:
        async def take() -> None:
            step()

        def tell(error: BaseException) -> None:
            self.diary.add("error", f"{what} failed, trying again: {describe(error)}")

        await repeat(what, take, seconds, tell)

    def _break(self, error: BaseException) -> None:
        """Something without which there is no head has ended: another head takes up the journal."""
        self._broken = error
        self._leave()

    def _on_odd(self, _loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        """Nobody has caught an error of a callback or of a task; whoever waits for it may wait."""
        error = context.get("exception") or RuntimeError(context["message"])
        text, now = describe(error), time.monotonic()
        if now - self._odd.get(text, -ODD_SECONDS) < ODD_SECONDS:
            return
        self._odd = {text: now, **{t: at for t, at in self._odd.items() if now - at < ODD_SECONDS}}
        report("something in the background", error)
        self.diary.add("error", f"something in the head's background failed: {text}")

    def _leave(self) -> None:
        """Another head follows in a moment: nodes work on and find it at the same address."""
        self._leaves_nodes = True
        self._ended.set()

    def _on_lifeline(self, lifeline: int) -> None:
        self._loop.remove_reader(lifeline)
        self._ended.set()

    def _former_ports(self) -> dict[str, int]:
        """A restarted head listens where its nodes and clients look for it."""
        try:
            former = json.loads((self.folder / "head.json").read_text())
            names = ("scheduler", "endpoint")
            return {name: int(former[name].rpartition(":")[2]) for name in names}
        except (OSError, ValueError, LookupError, TypeError, AttributeError):
            return {}

    def _announce(self, scheduler: str, port: int) -> None:
        path = self.folder / "head.json"
        endpoint = f"https://{self._address}:{port}"
        content = {"scheduler": scheduler, "endpoint": endpoint, "started": self.started}
        try:
            path.with_suffix(".part").write_text(json.dumps(content))
            path.with_suffix(".part").replace(path)
        except OSError:
            # On a full disk the file of the head before this one does as well: same ports.
            former = self._former_ports()
            if former != {"scheduler": int(scheduler.rpartition(":")[2]), "endpoint": port}:
                raise

    def _make_scaling(self, provider: Provider) -> Scaling:
        targets = Targets(self.config.limits(), budget=self.config.budget)
        provider.on_notice = lambda text: self._tell("warning", text)
        scaling = Scaling(
            self.fleet,
            self.dispatcher,
            self.jobs,
            provider,
            targets,
            self.diary.add,
            self.config.setup_timeout_minutes * 60,
        )
        self.dispatcher.on_reclaim = scaling.on_reclaim
        self.control = Control(self.journal, self.config, self.fleet, targets, self.diary.add)
        self.control.restore()
        return scaling

    def _tell(self, kind: str, text: str) -> None:
        """A line for the diary, from another thread."""
        self._loop.call_soon_threadsafe(self.diary.add, kind, text)

    def _restore(self) -> bool:
        """Take up what a head before this one has left; whether it has left nodes."""
        left = restore(self.jobs, self.journal)
        alive = self.fleet.alive
        for node in self.jobs.results.nodes() - {member.id for member in alive}:
            self.dispatcher.give_up(node)
        if left or alive:
            self.diary.add("node", f"the head was started again; {left} tasks are to be run")
        self.dispatcher.paused = bool(alive)
        return bool(alive)

    def _go_on(self, scaling: Scaling, is_restarted: bool) -> None:
        """From now on nodes and clients may come; some nodes are here already."""
        scaling.resume()
        for link in self.dispatcher.nodes.values():
            scaling.on_node(link)
        self.sessions.watch_for_return()
        if is_restarted:
            start_task("waiting for the nodes to settle", self._settle())

    async def _settle(self) -> None:
        """Wait for the nodes to say what they hold, so that nothing is run twice."""
        deadline = time.monotonic() + SETTLE_SECONDS
        try:
            while time.monotonic() < deadline:
                if all(self._is_settled(member.id) for member in self.fleet.alive):
                    break
                await asyncio.sleep(0.05)
        finally:
            self.dispatcher.go_on()

    def _is_settled(self, node: str) -> bool:
        link = self.dispatcher.nodes.get(node)
        return link is not None and link.settled

    async def _end_nodes(self, provider: Provider) -> None:
        for link in self.dispatcher.nodes.values():
            if link.lost_since is None:
                link.send({"op": "jc-end"})
        alive = [member.id for member in self.fleet.alive]
        # Whoever has sent a signal looks after what is left; else nobody does.
        for pause in range(END_TRIES if self._ends_itself else 1):
            try:
                await asyncio.to_thread(provider.terminate, alive)
                break
            except Exception as error:
                report("ending the nodes", error)
                await asyncio.sleep(pause)

    async def _end_machine(self, provider: Provider) -> None:
        """Stop it where results are to be kept, else end it for good.

        Nobody else may do it: try until it is done, or until a signal ends this process, or the
        machine's own watch ends the machine, since no sign of life comes any more.
        """
        has_jobs = any(job.spec.kind != "put" for job in self.jobs.by_id.values())
        keep = self._keeps_results and has_jobs
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            self._loop.remove_signal_handler(number)
        guard, pause = Guard("ending the head's own machine"), 1.0
        while True:
            with guard:
                await asyncio.to_thread(provider.end_head, keep)
                return
            await asyncio.sleep(pause)
            pause = min(LONGEST_PAUSE, pause * 2)

    async def _learn_types(self, provider: Provider) -> None:
        """Resources and prices that only the provider knows; asked until it tells the first."""
        said = ""
        while True:
            try:
                types = await asyncio.to_thread(provider.node_types, self.fleet.node_types)
            except Exception as error:  # of another's provider it may be anything
                text = f"the provider does not say what its machines are: {describe(error)}"
                if text != said:
                    self.diary.add("error", text)
                said = text
            else:
                self.fleet.node_types.update(types)
                return
            if all(one.resources.units for one in self.fleet.node_types.values()):
                return  # the file knows them: prices alone are missing
            await asyncio.sleep(LEARN_PAUSE_SECONDS)

    def end(self, reason: str, keeps_results: bool) -> None:
        """End the cluster, and its own machine too: who has asked for it may be gone by then.

        Parameters
        ----------
        keeps_results
            Whether the machine's disk is kept where there are jobs.
        """
        self._ends_itself, self._keeps_results = True, keeps_results
        self.diary.add("node", reason)
        self._ended.set()

    # -- what the parts tell each other -------------------------------------------------------

    def _on_problem(self, problem: str) -> None:
        if "cannot be written" in problem:
            self.diary.add("error", f"{problem}; results wait on their nodes until it can")
        elif problem:
            self.diary.add("error", problem)
        else:
            self.diary.add("node", "the journal can be written again")

    def _on_node(self, link: Any) -> None:
        if self._scaling:
            self._scaling.on_node(link)
        self.metrics.take(self.jobs, self.dispatcher)

    def _on_demand(self) -> None:
        self.dispatcher.plan()
        if self._scaling:
            self._scaling.wake()

    async def read_stored(self, job: str, index: int, offset: int, size: int) -> bytes:
        """A piece of a large result, from the head's disk or from its node.

        Raises
        ------
        OSError, KeyError
            It cannot be had now: its node or its file went, or it was dropped.
        """
        node, total = place = self.jobs.results.stored[job, index]
        path = self.jobs.results.path(job, index)
        if node == ON_HEAD:
            piece = await asyncio.to_thread(_read_piece, path, offset, size)
        else:
            piece = bytes(
                await self.dispatcher.call(
                    node, op="jc-read", name=path.name, offset=offset, size=size
                )
            )
        if len(piece) < min(size, total - offset):
            if self.jobs.results.stored.get((job, index)) == place:
                self.jobs.lose_result(job, index, f"is not whole any more on {node or 'the head'}")
            raise OSError(f"the file of result {path.name} is not whole any more")
        return piece

    async def value_of(self, ref: str) -> bytes:
        """The pickled value of a ref, for a task that has it as an argument."""
        job, index = self.jobs.dependencies.locate(ref)
        if job is None:
            raise JobError(f"the result {ref} was dropped")
        found = (await self.jobs.results.find(job.id, index, index + 1))[-1]
        if found.statuses[0] != Status.STORED:
            return bytes(found.block.item(index))
        _node, size = self.jobs.results.stored[job.id, index]
        pieces = [
            await self.read_stored(job.id, index, offset, 4_000_000)
            for offset in range(0, size, 4_000_000)
        ]
        return b"".join(pieces)

    # -- in the background --------------------------------------------------------------------

    def _show_life(self) -> None:
        """As long as this loop turns, the machine's own watch leaves it running."""
        if self._alive is not None:
            with contextlib.suppress(OSError):  # a host that was there before us has no watch
                self._alive.touch()

    def _sample(self) -> None:
        self.metrics.take(self.jobs, self.dispatcher)
        self.fleet.note_head()
        up = [link for link in self.dispatcher.nodes.values() if link.lost_since is None]
        busy = sum(link.busy_slots for link in up)
        cpus = sum(link.capacity.get(CPU) for link in up)
        self.cluster_metrics.take(self.jobs, self.fleet, busy, cpus)

    def _look_around(self) -> None:
        self.dispatcher.look_for_silence()
        self.dispatcher.plan()  # what waits behind a long task is noticed by time alone

    def _end_when_due(self) -> None:
        """End once the budget is used up, or nobody works here any more; results are kept."""
        if any(job.unfinished for job in self.jobs.by_id.values()):
            self._last_task = time.time()
        if self.is_ending:
            return
        if self.targets.closing and not self.fleet.alive:
            self.end("the budget is used up and all nodes have ended", keeps_results=True)
        elif allowed := self.config.cluster_idle_timeout_minutes * 60:
            self._end_what_idles(allowed, self._last_task)

    def _end_what_idles(self, allowed: float, last_task: float) -> None:
        for session in self.cell_sessions.unused(allowed):
            self.end_session(session.name, unused_text(allowed), is_known=False)
        if time.time() - max(last_task, self.sessions.last_activity) > allowed:
            text = f"no task and no active client for {format_seconds(allowed)}"
            self.end(text, keeps_results=True)

    def end_workers(self, keep_min: bool) -> list[str]:
        """Drain and end all workers, or all but those that are always kept; returns their names."""
        assert self._scaling is not None
        kept: dict[str, int] = {}
        ending = []
        for member in self.fleet.alive:
            known = self.fleet.node_types.get(member.type)
            kept[member.type] = kept.get(member.type, 0) + 1
            if not keep_min or known is None or kept[member.type] > known.min_workers:
                ending.append(member.id)
        self._scaling.end(ending, "a client has ended the workers")
        return ending

    def end_session(self, name: str, why: str, is_known: bool = True) -> None:
        """End a session of cells; unless its user knows, the next cell in it says so.

        Raises
        ------
        JobError
            There is none of this name.
        """
        session = self.cell_sessions.get(name)
        if session is None:
            known = ", ".join(row["name"] for row in self.cell_sessions.rows()) or "none"
            raise JobError(f"there is no session {name!r}; there are: {known}")
        if link := self.dispatcher.nodes.get(session.node):
            link.reserve(session.held, -1)
            link.send({"op": "jc-end-session", "session": name})
        self.cell_sessions.ended(name, why, is_known)
        self.dispatcher.plan()

    # -- control ------------------------------------------------------------------------------

    @property
    def targets(self) -> Targets:
        """What a user may change while it runs."""
        assert self._scaling is not None
        return self._scaling.targets

    @property
    def infeasible(self) -> tuple[str, ...]:
        """Why there are tasks that no node can hold."""
        return self._scaling.infeasible if self._scaling else ()

    @property
    def is_ending(self) -> bool:
        """Whether it ends its nodes and itself."""
        return self._ended.is_set()

    def scale(self, wanted: Scale) -> dict[str, Any]:
        """Change limits and requested capacity while the cluster runs; see `Control.change`."""
        answer = self.control.change(wanted)
        self._on_demand()
        return answer


def _read_piece(path: Path, offset: int, size: int) -> bytes:
    with contextlib.suppress(FileNotFoundError), path.open("rb") as file:
        file.seek(offset)
        return file.read(size)
    return b""
