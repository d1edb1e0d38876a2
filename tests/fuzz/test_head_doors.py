"""What comes to the head's doors and passes between it and agents, mutated: a sentence at most."""

from __future__ import annotations

import asyncio
import http.client
import json
import logging
import os
import random
import socket
import ssl
import struct
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from fuzz.conftest import Fuzz
from fuzz.mutation import mutated
from real_head import ask, real_head, until

from jupyter_cluster.agent.service import Agent, AgentOptions
from jupyter_cluster.agent.worker import guarded
from jupyter_cluster.head.asked import Scale
from jupyter_cluster.head.job import JobSpec
from jupyter_cluster.head.service import Head
from jupyter_cluster.resources import Resources
from jupyter_cluster.trust import Role, client_context
from jupyter_cluster.wire import PROTOCOL, Block, Status

pytestmark = pytest.mark.fuzz

CODE = "f" * 64
KEY = ["job", 0, 3, 0]
VALUES = [b"one", b"two", b"3000000"]
BLOCK = Block.of(0, VALUES).pack()
STATUSES = bytes([Status.OK, Status.ERROR, Status.STORED])
HELLO = {
    "protocol": PROTOCOL,
    "node": "local-1",
    "type": "local",
    "pid": 1,
    "stored": [],
    "resources": {"CPU": 10_000},
    "sessions": [],
}
AGENT_SAYS: list[dict[str, Any]] = [
    {"op": "jc-hello", **HELLO},
    {"op": "jc-settled", "bundles": [KEY], "jobs": ["job"]},
    {
        "op": "jc-results",
        "seq": 1,
        "key": KEY,
        "statuses": STATUSES,
        "block": BLOCK,
        "seconds": 1.5,
    },
    {"op": "jc-values", "seq": 2, "job": "values", "statuses": STATUSES, "block": BLOCK},
    {"op": "jc-output", "seq": 3, "key": KEY, "number": 1, "data": b"[]"},
    {"op": "jc-ended", "key": KEY, "busy": 1},
    {"op": "jc-returned", "keys": [KEY], "parts": [[KEY, 1, 2]]},
    {"op": "jc-lines", "lines": [[1.5, "job", 1, "stdout", "hello"]]},
    {"op": "jc-usage", "cpu": 0.5, "memory": 1000},
    {"op": "jc-session-end", "seq": 4, "session": "mine", "why": "gone", "was_busy": False},
    {"op": "jc-notice", "when": "soon"},
    {"op": "jc-pressure", "why": "No space left on device"},
]
BUNDLE = {
    "key": KEY,
    "kind": "map",
    "fn": CODE,
    "shape": {"CPU": 10_000},
    "timeout": None,
    "environment": {},
    "begins_session": False,
    "refs": [],
    "blocks": [BLOCK],
}
HEAD_SAYS: list[dict[str, Any]] = [
    {"op": "jc-code", "fn": CODE, "code": b"pickle"},
    {"op": "jc-modules", "digest": CODE, "archive": b"zip"},
    {"op": "jc-value", "key": "job:0", "data": b"value"},
    {"op": "jc-run", "bundles": [BUNDLE]},
    {"op": "jc-cancel", "job": "job", "ranges": [[0, 3]]},
    {"op": "jc-recall", "count": 1},
    {"op": "jc-ack", "seqs": [1, 2]},
    {"op": "jc-forget", "stored": ["job-0"], "values": ["job:0"]},
    {"op": "jc-over", "job": "job"},
    {"op": "jc-drop-code", "digests": [CODE, "0" * 64]},
    {"op": "jc-end-session", "session": "mine"},
]


@contextmanager
def no_trace(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """Nothing within this writes a traceback into the log."""
    caplog.set_level(logging.INFO)
    yield
    traces = [r.getMessage() for r in caplog.records if r.exc_info or "Traceback" in r.getMessage()]
    assert not traces


class Stream:
    """Where a played agent would listen."""

    interval = 0.0

    def send(self, *_messages: Any) -> None:
        """It has nothing to do."""

    def closed(self) -> bool:
        """It is nobody's to close."""
        return True


async def meet(head: Head) -> str:
    """A node says hello, and has nothing; its worker's address."""
    await until(lambda: any(not m.state.is_gone for m in head.fleet.members.values()))
    node = next(m.id for m in head.fleet.members.values() if not m.state.is_gone)
    worker = f"tls://{node}"
    head._scheduler.stream_comms[worker] = Stream()
    head._scheduler.stream_handlers["jc-hello"](worker=worker, **{**HELLO, "node": node})
    head._scheduler.stream_handlers["jc-settled"](worker=worker, bundles=[])
    return worker


def submit(head: Head, name: str) -> None:
    head.jobs.code.add_function(CODE, b"a function")
    shape = [["CPU", 10_000]]
    job = head.jobs.submit(JobSpec(name, name, "map", "me", fn=CODE, shape=shape))
    head.jobs.add_tasks(job, Block.of(0, VALUES), {})
    head.jobs.seal(job)


def test_what_agents_say(fuzz: Fuzz, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    async def main() -> None:
        async with real_head(tmp_path, "max_workers: 1\n") as head:
            head.scale(Scale(request=[({"CPU": 1}, 1)]))
            worker = await meet(head)
            for number, chance in enumerate(fuzz.rounds(1000)):
                if number % 25 == 0:
                    for name in ("job", "values"):
                        if name in head.jobs.by_id:
                            head.jobs.delete(head.jobs.by_id[name])
                    head.jobs.deleted.clear()
                    submit(head, "job")
                    head.jobs.submit(JobSpec("values", "values", "put", "me"))
                    await asyncio.sleep(0)
                message = mutated(chance, chance.choice(AGENT_SAYS))
                operation = message.pop("op", None) if isinstance(message, dict) else None
                if not isinstance(operation, str) or not all(isinstance(k, str) for k in message):
                    continue  # Dask's own stream ends it
                message.pop("worker", None)
                head._scheduler.stream_handlers[operation](worker=worker, **message)
                if worker not in head.dispatcher._by_address:
                    worker = await meet(head)
            # The head is as well as before: another node, and a job that ends.
            head.dispatcher.give_up(worker.removeprefix("tls://"))
            worker = await meet(head)
            submit(head, "good")
            good = head.jobs.get("good")
            done = {"seq": 9, "statuses": bytes(1), "seconds": 0.1}

            async def sent(at: int) -> None:
                """A busy head may end the node that was met, and launch another."""
                nonlocal worker
                while good.states[at] == 0:
                    if worker not in head.dispatcher._by_address:
                        worker = await meet(head)
                    await asyncio.sleep(0.01)

            for at, value in enumerate(VALUES):
                await asyncio.wait_for(sent(at), 90)
                block = Block.of(at, [value]).pack()
                results = {**done, "key": ["good", at, at + 1, 0], "block": block}
                head._scheduler.stream_handlers["jc-results"](worker=worker, **results)
                ended = {"key": ["good", at, at + 1, 0], "busy": 0}
                head._scheduler.stream_handlers["jc-ended"](worker=worker, **ended)
            assert good.state.value == "done"

    with no_trace(caplog):
        asyncio.run(main())


def test_what_the_head_says(fuzz: Fuzz, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    async def main() -> None:
        ours, theirs = socket.socketpair()
        options = AgentOptions("n", "local", Resources.of(CPU=1), "tls://x:1", tmp_path, tmp_path)
        agent = Agent(options, ours)
        handlers = {name: guarded(name, handler) for name, handler in agent._handlers().items()}
        try:
            for chance in fuzz.rounds(1000):
                message = mutated(chance, chance.choice(HEAD_SAYS))
                operation = message.pop("op", None) if isinstance(message, dict) else None
                handler = handlers.get(operation) if isinstance(operation, str) else None
                if handler is not None and all(isinstance(key, str) for key in message):
                    handler(**message)
            agent._pool.recall()
            handlers["jc-run"](bundles=[{**BUNDLE, "key": ["good", 0, 3, 0]}])
            assert ["good", 0, 3, 0] in [bundle.key for bundle in agent._pool.bundles()]
        finally:
            agent._pool.close()
            theirs.close()

    with no_trace(caplog):
        asyncio.run(main())


PATHS = ["status", "nodes", "jobs", "jobs/x", "jobs/x/series", "jobs/x/waiting", "jobs/x/durations"]
PATHS += ["sessions", "sessions/x", "series", "stages", "events", "logs", "cost", "scale", "nope"]
PATHS += ["end-workers", "nodes/x/log", "jobs/x/cancel", "", "..", "%ff", "%00", "jobs/%2e%2e%2fx"]
BODIES: list[Any] = [
    {"max_workers": 1, "min_workers": {"local": 0}, "request": [[{"CPU": 1}, 1]]},
    {"keep_min": True},
]
WORDS = ["nan", "inf", "-1", "x", "", "%ff", "1e999", "0", "[]", "%00", "9" * 400]


def request(chance: random.Random) -> tuple[str, str, bytes | None]:
    """One that a client of another mind may make."""
    method = chance.choice(
        ["GET", "GET", "POST", "POST", "DELETE", "PUT", "HEAD", "OPTIONS", "ODD"]
    )
    path = "/v1/" + chance.choice(PATHS)
    for _ in range(chance.choice((0, 0, 1, 2))):
        mark = "&" if "?" in path else "?"
        path += f"{mark}{chance.choice(['since', 'event', 'x', ''])}={chance.choice(WORDS)}"
    body = None
    if method != "GET":
        body = json.dumps(mutated(chance, chance.choice(BODIES)), default=str).encode()
        if chance.random() < 0.3:
            at = chance.randrange(len(body) + 1)
            body = body[:at] + chance.randbytes(chance.randrange(20)) + body[at:]
        if chance.random() < 0.02:
            body = b"[" * chance.choice((10_000, 2_000_000))
    return method, path, body


def ask_all(folder: Path, fuzz: Fuzz) -> list[str]:
    """All answers that are none."""
    place = json.loads((folder / "head.json").read_text())["endpoint"].removeprefix("https://")
    context = client_context(folder / "credentials", Role.CLIENT)
    connection = http.client.HTTPSConnection(place, context=context, timeout=20)
    bad = []
    for chance in fuzz.rounds(1000):
        method, path, body = request(chance)
        try:
            connection.request(method, path, body)
            answer = connection.getresponse()
            content = answer.read()
            if answer.status >= 500 or (answer.status >= 400 and method != "HEAD" and not content):
                bad.append(f"{method} {path} {body!r}: {answer.status} {content!r}")
        except (ConnectionError, http.client.HTTPException, ssl.SSLError):
            if body is None or len(body) < 1_000_000:  # what is too large is cut off
                bad.append(f"{method} {path} {body!r}: no answer")
            connection.close()
    connection.close()
    return bad


def test_requests_on_the_endpoint(
    fuzz: Fuzz, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async def main() -> None:
        async with real_head(tmp_path) as head:
            assert await asyncio.to_thread(ask_all, tmp_path, fuzz) == []
            assert not head.is_ending

    with no_trace(caplog):
        asyncio.run(main())


def noise(chance: random.Random) -> bytes:
    """Bytes that are no message, of which some begin as one would."""
    size = chance.choice((0, 1, 8, 40, 5000))
    starts = [b"", b"\x16\x03\x01", b"GET / HTTP/1.1\r\n", b"POST /v1/scale HTTP/1.1\r\n\r\n"]
    starts += [struct.pack("<Q", n) for n in (0, 40, 1 << 33, 1 << 62)]
    starts += [struct.pack("<QQQ", 24 + size, 1, size), b"\x91" * 3000, b"\r\n" * 500]
    deep = b"\x91" * 5000  # a message of lists in lists, whole by its lengths
    starts.append(struct.pack("<QQQ", 16 + len(deep), 1, len(deep)) + deep)
    return chance.choice(starts) + chance.randbytes(size)


def shout(folder: Path, fuzz: Fuzz) -> None:
    """Bytes on every port, before and after the handshake."""
    places = json.loads((folder / "head.json").read_text())
    ports = [int(places[name].rpartition(":")[2]) for name in ("scheduler", "endpoint")]
    contexts = [client_context(folder / "credentials", role) for role in Role]
    for chance in fuzz.rounds(300):
        with (
            suppress(OSError),
            socket.create_connection(("127.0.0.1", chance.choice(ports)), 5) as caller,
        ):
            if chance.random() < 0.4:
                caller.sendall(noise(chance))
                continue
            with chance.choice(contexts).wrap_socket(caller) as secure:
                secure.settimeout(0.02)
                secure.sendall(noise(chance))
                with suppress(OSError):
                    secure.recv(1000)


def test_bytes_before_and_after_the_handshake(
    fuzz: Fuzz, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async def main() -> None:
        async with real_head(tmp_path) as head:
            await asyncio.to_thread(shout, tmp_path, fuzz)
            assert (await asyncio.to_thread(ask, tmp_path, "GET", "/v1/status"))[0] == 200
            assert not head.is_ending

    before = len(os.listdir("/proc/self/fd")) if Path("/proc/self/fd").exists() else 0
    with no_trace(caplog):
        asyncio.run(main())
    after = len(os.listdir("/proc/self/fd")) if before else 0
    assert after < before + 20
