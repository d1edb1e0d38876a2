"""The agent: one on each worker node, between the head and the slots."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
import socket
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from distributed.comm import connect

from jupyter_cluster.agent.arrivals import Arrivals
from jupyter_cluster.agent.bundle import Bundle
from jupyter_cluster.agent.code import Code
from jupyter_cluster.agent.messages import check_bundle, is_key
from jupyter_cluster.agent.notice import reclaim_notice
from jupyter_cluster.agent.pool import Pool
from jupyter_cluster.agent.spool import Spool
from jupyter_cluster.agent.worker import AgentPlugin, AgentWorker
from jupyter_cluster.background import Guard, describe, start_task
from jupyter_cluster.errors import ClusterError
from jupyter_cluster.resources import Resources
from jupyter_cluster.trust import Role, dask_security
from jupyter_cluster.wire import PROTOCOL, Block, Status

logger = logging.getLogger("jupyter_cluster.agent")

LOG_SECONDS = 0.2
LOG_LINES = 500  # at most this many lines in LOG_SECONDS; the rest is counted
RECONNECT_SECONDS = 0.2
# As often as AWS recommends to look.
NOTICE_SECONDS = 5.0
SIGN_SECONDS = 1.0
# A recall takes back what waits in a slot behind a task that has run this long.
LONG_SECONDS = 1.0
# So many messages wait for the connection at most before more are read from the spool.
MOST_QUEUED = 100


@dataclass(frozen=True)
class AgentOptions:
    """What an agent is started with.

    Attributes
    ----------
    folder : Path
        Its own folder on the node, for results, values, modules and the spool.
    credentials : Path
        Where the certificates of the cluster lie.
    grace : float
        Seconds without a head after which the agent ends itself and with it the node.
    spot : bool
        Whether the host may be taken back: its notice is looked for.
    alive : Path or None
        Is touched while there is contact with the head, for the watch on the host.
    lifeline : int or None
        A descriptor that closes when the machine's local host is gone.
    """

    node: str
    node_type: str
    resources: Resources
    head: str
    folder: Path
    credentials: Path
    grace: float = 120.0
    alive: Path | None = None
    lifeline: int | None = None
    spot: bool = False


class Agent:
    """Keeps the connection, the slots and the results."""

    def __init__(self, options: AgentOptions, zygote: socket.socket) -> None:
        self._options = options
        self._worker: AgentWorker | None = None
        self._ended = asyncio.Event()
        self._error: ClusterError | None = None
        for name in ("results", "values"):
            (options.folder / name).mkdir(mode=0o700, parents=True, exist_ok=True)
        self._spool = Spool(options.folder / "spool")
        self._arrivals = Arrivals(lambda: self._pool.on_room(), self._on_pressure)
        self._pool = Pool(
            options.resources,
            options.folder,
            zygote,
            self,
            lambda digest: self._code.function(digest),
            options.node,
            lacks_files=lambda bundle: self._arrivals.lacks(self._files_of(bundle)),
        )
        self._code = Code(options.folder / "code", self._arrivals, lambda: self._pool.code)
        # Whether what waits in the spool has been sent, so that the next may follow at once.
        self._is_even = False
        # Whether the head has been told that the disk refuses files.
        self._is_pressed = False
        self._lines: list[list[Any]] = []
        self._left_out = 0

    # -- its life -----------------------------------------------------------------------------

    async def run(self) -> None:
        """Until told to end, or until the head has been away for the grace period.

        Raises
        ------
        ClusterError
            Slots cannot be started any more.
        """
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._ended.set)
        if self._options.lifeline is not None:
            loop.add_reader(self._options.lifeline, self._on_lifeline)
        membership = start_task(
            "keeping the connection to the head", self._keep_connected(), self._fail
        )
        signs = start_task("giving signs of life", self._give_signs_of_life(), self._fail)
        notice = start_task("looking for a notice", self._watch_for_notice(), self._fail)
        try:
            await self._ended.wait()
        finally:
            membership.cancel()
            signs.cancel()
            notice.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await membership
            self._pool.close()
            self._arrivals.close()
            self._spool.close()
        if self._error:
            raise self._error

    def _fail(self, error: BaseException) -> None:
        self.on_fatal(ClusterError(f"the agent cannot go on: {describe(error)}"))

    async def _give_signs_of_life(self) -> None:
        guard = Guard("giving a sign of life")
        while self._options.alive is not None:
            if self._worker is not None and self._worker.batched_stream.comm is not None:
                with guard:
                    self._options.alive.touch()
            await asyncio.sleep(SIGN_SECONDS)

    async def _watch_for_notice(self) -> None:
        """A spot instance that is to be taken back says so, and goes on saying so."""
        guard = Guard("looking for a notice")
        while self._options.spot:
            with guard:
                if when := await asyncio.to_thread(reclaim_notice):
                    self._send({"op": "jc-notice", "when": when})
            await asyncio.sleep(NOTICE_SECONDS)

    def _on_lifeline(self) -> None:
        asyncio.get_running_loop().remove_reader(self._options.lifeline or 0)
        self._ended.set()

    async def _keep_connected(self) -> None:
        """A Dask Worker never reconnects; a new one does. Slots go on working meanwhile."""
        away_since = time.monotonic()
        while not self._ended.is_set():
            try:
                await self._connect()
                await self._worker.finished()  # type: ignore[union-attr]
                away_since = time.monotonic()
                logger.info("lost the head; looking for it again")
            except Exception as error:  # whatever it was: the grace period decides
                logger.info("no head at %s: %r", self._options.head, error)
            finally:
                worker, self._worker = self._worker, None
                if worker is not None:
                    with contextlib.suppress(Exception, asyncio.CancelledError):
                        await asyncio.wait_for(worker.close(nanny=False), 2)
            if time.monotonic() - away_since > self._options.grace:
                logger.warning("no head for %.0f s: ending this node", self._options.grace)
                self._ended.set()
            await asyncio.sleep(RECONNECT_SECONDS)

    async def _connect(self) -> None:
        options = self._options
        security = dask_security(options.credentials, Role.AGENT)
        # Asked first: a Dask Worker that finds no scheduler goes on trying by itself for ever.
        comm = await connect(options.head, timeout=5, **security.get_connection_args("worker"))
        await comm.close()
        host = options.head.removeprefix("tls://").rpartition(":")[0]
        worker = AgentWorker(
            options.head,
            name=options.node,
            security=security,
            local_directory=str(options.folder / "dask"),
            host=host if host.startswith("127.") else None,
            plugins=[AgentPlugin(self._handlers())],
            extensions={},
        )
        worker.offer("jc-read", self.read_result)
        self._worker, self._is_even = worker, False
        await asyncio.wait_for(worker, 30)
        await self._hello(worker)

    def _handlers(self) -> dict[str, Any]:
        return {
            "jc-code": self.on_code,
            "jc-modules": self.on_modules,
            "jc-value": self.on_value,
            "jc-run": self.on_run,
            "jc-cancel": self.on_cancel,
            "jc-recall": self.on_recall,
            "jc-ack": self.on_ack,
            "jc-forget": self.on_forget,
            "jc-drop-code": self.on_drop_code,
            "jc-over": self.on_over,
            "jc-end-session": self.on_end_session,
            "jc-end": self.on_end,
        }

    async def _hello(self, worker: AgentWorker) -> None:
        """Say who we are and what we hold; send again what was not acknowledged."""
        self._drop_what_came()
        self._send(
            {
                "op": "jc-hello",
                "protocol": PROTOCOL,
                "node": self._options.node,
                "type": self._options.node_type,
                "resources": dict(self._options.resources.units),
                "pid": os.getpid(),
                "stored": [path.name for path in (self._options.folder / "results").iterdir()],
                "sessions": self._pool.sessions,
            }
        )
        self._is_pressed = False
        self._on_pressure(self._arrivals.pressure)
        async for message in self._spool.unacknowledged():
            self._send(message)
            stream = worker.batched_stream
            while len(stream.buffer) > MOST_QUEUED and stream.comm is not None:
                await asyncio.sleep(0.01)
        self._is_even = True
        # After the results: what is not among these and was not reported never arrived.
        held = [bundle.key for bundle in self._pool.bundles()]
        self._send({"op": "jc-settled", "bundles": held, "jobs": self._pool.jobs})

    def _drop_what_came(self) -> None:
        """The head says all again that it needs here: what it has forgotten does not stay."""
        self._code.drop_all()
        read = {ref for bundle in self._pool.bundles() for ref in bundle.refs}
        for path in (self._options.folder / "values").iterdir():
            if path.name.removesuffix(".part") not in read:
                self._arrivals.forget(path)

    def _deliver(self, message: dict[str, Any], size: int) -> None:
        """Send what is kept until the head has it; after what was kept before."""
        numbered = self._spool.add(message, size)
        if self._is_even:
            self._send(numbered)

    def _send(self, message: dict[str, Any]) -> None:
        worker = self._worker
        if worker is not None and worker.batched_stream.comm is not None:
            with contextlib.suppress(OSError):  # it is lost; the hello after it says it again
                worker.batched_stream.send(message)

    # -- what the head says -------------------------------------------------------------------

    def on_code(self, fn: str, code: bytes) -> None:
        """A function that bundles will name."""
        self._code.add_function(fn, code)

    def on_modules(self, digest: str, archive: bytes) -> None:
        """Modules that bundles will import."""
        self._code.add_modules(digest, archive)

    def on_drop_code(self, digests: list[str]) -> None:
        """No job needs these functions and modules any more."""
        self._code.drop(digests)

    def on_value(self, key: str, data: bytes) -> None:
        """The value of a ref that tasks will read."""
        path = self._options.folder / "values" / key

        def write(partial: Path) -> None:
            partial.write_bytes(data)

        self._arrivals.add(path, write)

    def _files_of(self, bundle: Bundle) -> list[Path]:
        """What a bundle reads on this node."""
        code = bundle.environment.get("code_path")
        values = [self._options.folder / "values" / key for key in bundle.refs]
        return [Path(code), *values] if code else values

    def on_run(self, bundles: list[dict[str, Any]]) -> None:
        """Run these."""
        good = []
        for message in bundles:
            try:
                check_bundle(message)
                good.append(self._bundle(message))
            except ValueError as error:
                self._on_unreadable(message, str(error))
        self._pool.submit(good)
        self._return_refused()

    def _on_unreadable(self, message: dict[str, Any], why: str) -> None:
        """Nobody waits for ever for a bundle that cannot be run."""
        logger.error("a bundle of the head cannot be run: %s", why)
        key: Any = message.get("key")
        if is_key(key):
            count, text = key[2] - key[1], f"its node could not read it: {why}".encode()
            block = Block.of(key[1], [text] * count)
            statuses = bytes([Status.CRASHED]) * count
            results = {
                "key": list(key),
                "statuses": statuses,
                "block": block.pack(),
                "seconds": 0.0,
            }
            self._deliver({"op": "jc-results", **results}, len(block.data))
            self._send({"op": "jc-ended", "key": list(key), "busy": self._pool.busy})

    def on_over(self, job: str) -> None:
        """A job has ended."""
        self._pool.end_job(job)
        self._code.tidy()

    def _bundle(self, message: dict[str, Any]) -> Bundle:
        job, start, stop, attempt = message["key"]
        environment = dict(message["environment"])
        if digest := environment.pop("modules", None):
            environment["code_path"] = str(self._code.path(digest))
        return Bundle(
            job=job,
            start=start,
            stop=stop,
            attempt=attempt,
            kind=message["kind"],
            function=message["fn"],
            shape=Resources.from_units(message["shape"]),
            blocks=[Block.unpack(packed) for packed in message["blocks"]],
            refs=message["refs"],
            timeout=message["timeout"],
            environment=environment,
            begins_session=message.get("begins_session", False),
        )

    def on_cancel(self, job: str, ranges: list[list[int]]) -> None:
        """Stop these tasks."""
        self._pool.cancel(job, [(start, stop) for start, stop in ranges])

    def on_recall(self, count: int | None = None) -> None:
        """Give back bundles, and parts of bundles, that have not been started."""
        returned = self._pool.recall(count)
        self._return(returned, self._pool.take_back_behind(LONG_SECONDS))

    def _return(self, bundles: list[Bundle], parts: Sequence[tuple[Bundle, int, int]] = ()) -> None:
        self._send(
            {
                "op": "jc-returned",
                "keys": [bundle.key for bundle in bundles],
                "parts": [[bundle.key, start, stop] for bundle, start, stop in parts],
            }
        )

    def _on_pressure(self, why: str) -> None:
        """The disk refuses what work needs, or no longer: until then another node may do it."""
        if bool(why) != self._is_pressed:
            self._is_pressed = bool(why)
            self._send({"op": "jc-pressure", "why": why})
        self._return_refused()

    def _return_refused(self) -> None:
        if self._arrivals.pressure:
            refused = self._pool.take_back(
                lambda bundle: self._arrivals.refuses(self._files_of(bundle))
            )
            if refused:
                self._return(refused)

    def on_ack(self, seqs: list[int]) -> None:
        """The head has these in its journal."""
        self._spool.acknowledge(seqs)

    def on_forget(self, stored: list[str], values: list[str]) -> None:
        """Nobody will ask for these results and values again."""
        for folder, names in (("results", stored), ("values", values)):
            for name in names:
                self._arrivals.forget(self._options.folder / folder / Path(name).name)

    def on_end_session(self, session: str) -> None:
        """End a session of cells with all it holds."""
        self._pool.end_session(session)
        self._code.tidy()

    def on_end(self) -> None:
        """End this node."""
        self._ended.set()

    async def read_result(self, name: str, offset: int, size: int) -> bytes:
        """A piece of a large result that stayed here; less, or nothing, where there is no more."""
        path = self._options.folder / "results" / Path(name).name

        def read() -> bytes:
            with contextlib.suppress(FileNotFoundError), path.open("rb") as file:
                file.seek(offset)
                return file.read(size)
            return b""

        return await asyncio.to_thread(read)

    # -- what the pool says -------------------------------------------------------------------

    def on_results(self, bundle: Bundle, statuses: bytes, block: Block, seconds: float) -> None:
        """Results of a bundle: keep them until the head has them."""
        message = {
            "op": "jc-results",
            "key": bundle.key,
            "statuses": statuses,
            "block": block.pack(),
            "seconds": seconds,
        }
        self._deliver(message, len(block.data) + len(statuses) * 9)

    def on_values(self, job: str, statuses: bytes, block: Block) -> None:
        """Values that a cell gives back: results without a task."""
        message = {"op": "jc-values", "job": job, "statuses": statuses, "block": block.pack()}
        self._deliver(message, len(block.data))

    def on_output(self, bundle: Bundle, data: bytes) -> None:
        """What a cell has shown: kept until the head has it, as results are."""
        bundle.outputs += 1
        message = {"op": "jc-output", "key": bundle.key, "number": bundle.outputs, "data": data}
        self._deliver(message, len(data))

    def on_session_end(self, session: str, why: str, was_busy: bool) -> None:
        """A session's process has ended; the cell that it ran, if any, has said so."""
        message = {"op": "jc-session-end", "session": session, "why": why, "was_busy": was_busy}
        self._deliver(message, len(why))

    def on_ended(self, bundle: Bundle) -> None:
        """All of a bundle has been reported."""
        self._send({"op": "jc-ended", "key": bundle.key, "busy": self._pool.busy})

    def on_line(self, job: str, slot: int, stream: str, text: str) -> None:
        """A line that user code has written."""
        if not self._lines:
            asyncio.get_running_loop().call_later(LOG_SECONDS, self._send_lines)
        if len(self._lines) < LOG_LINES:
            self._lines.append([time.time(), job, slot, stream, text[:4000]])
        else:
            self._left_out += 1

    def _send_lines(self) -> None:
        lines, self._lines = self._lines, []
        if self._left_out:
            note = f"[{self._left_out} more lines were left out]"
            lines.append([time.time(), "", 0, "stderr", note])
            self._left_out = 0
        self._send({"op": "jc-lines", "lines": lines})

    def on_usage(self, cpu: float, memory: int) -> None:
        """What the slots use of the node."""
        self._send({"op": "jc-usage", "cpu": round(cpu, 2), "memory": memory})

    def on_fatal(self, error: ClusterError) -> None:
        """Slots cannot be started any more: the node is of no use."""
        self._error = error
        self._ended.set()
