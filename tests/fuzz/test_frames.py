"""Bytes on the engine's ports below its messages, from callers with a certificate.

Lengths that lie, frames cut short, doubled or scrambled: each connection ends, and nothing else.
"""

from __future__ import annotations

import asyncio
import json
import platform
import random
import socket
import ssl
import struct
from collections.abc import AsyncIterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from distributed.comm import connect
from distributed.comm.tcp import _add_frames_header
from distributed.comm.utils import to_frames
from fuzz.conftest import Fuzz
from fuzz.test_client_stream import SAID
from fuzz.test_head_doors import no_trace
from raw_agent import METRICS, NODE, REGISTRATION
from raw_client import raw_client
from real_head import ask, real_head

from jupyter_cluster.agent.worker import AgentWorker
from jupyter_cluster.trust import Role, client_context, dask_security
from jupyter_cluster.wire import PROTOCOL, Block

pytestmark = pytest.mark.fuzz

ROUNDS = 1000
AT_ONCE = 8
GREET = {"compression": None, "python": [3, 11, 0], "pickle-protocol": 5}
OPEN = {
    "op": "jc-session",
    "reply": False,
    "client": "raw",
    "protocol": PROTOCOL,
    "python": platform.python_version(),
}
# What a caller of each role says, message after message.
CLIENT_SAYS: list[list[Any]] = [[GREET, OPEN, SAID[:3], SAID[3:]], [GREET, OPEN, [{"op": "leave"}]]]
NODE_SAYS: list[list[Any]] = [
    [GREET, REGISTRATION, [{"op": "jc-usage", "cpu": 0.5, "memory": 1000}, {"op": "keep-alive"}]],
    [
        GREET,
        {"op": "heartbeat_worker", "address": NODE, "now": 1.0, "metrics": METRICS, "reply": True},
    ],
    [GREET, {"op": "unregister", "address": NODE, "stimulus_id": "x", "reply": True}],
]
HEAD_SAYS: list[list[Any]] = [
    [GREET, {"op": "jc-read", "name": "job-0", "offset": 0, "size": 10, "reply": True}],
    [GREET, {"op": "identity", "reply": True}, {"op": "ping", "reply": True}],
]
LENGTHS = [0, 1, 7, 2**16, 2**31, 2**32, 2**40, 2**62, 2**63, 2**64 - 1]


def framed(message: Any) -> bytes:
    """A message as the engine sends it."""
    frames = asyncio.run(to_frames(message, serializers=("msgpack",)))
    return b"".join(bytes(frame) for frame in _add_frames_header(frames)[0])


def scrambled(chance: random.Random, frame: bytes) -> bytes:
    """With another length, cut short, or with bytes that changed, went, came or came twice."""
    data = bytearray(frame)
    for _ in range(chance.choice((1, 1, 1, 3))):
        at, size = chance.randrange(len(data) + 1), chance.randrange(1, 20)
        how = chance.randrange(6)
        if how == 0 and len(data) >= 8:  # the lengths stand in front
            at = 8 * chance.randrange(min(5, len(data) // 8))
            length = chance.choice([*LENGTHS, len(data) - 1, len(data) + 1, chance.getrandbits(64)])
            data[at : at + 8] = struct.pack("<Q", length)
        elif how == 1:
            del data[at:]
        elif how == 2:
            del data[at : at + size]
        elif how == 3:
            data[at:at] = data[at : at + size]
        elif how == 4:
            data[at:at] = chance.randbytes(size)
        else:
            data[at : at + 1] = chance.randbytes(1)
    return bytes(data)


def shout(port: int, context: ssl.SSLContext, frames: Sequence[bytes]) -> None:
    """Say this and nothing more; the other end closes the connection."""
    with (
        socket.create_connection(("127.0.0.1", port), 20) as caller,
        suppress(ConnectionError, ssl.SSLEOFError),
        context.wrap_socket(caller) as secure,
    ):
        secure.sendall(b"".join(frames))
        secure.shutdown(socket.SHUT_WR)
        while secure.recv(1 << 16):  # a hang is a TimeoutError
            pass


def shout_all(fuzz: Fuzz, port: int, context: ssl.SSLContext, talks: list[list[Any]]) -> None:
    """One talk after another, each with one message scrambled."""
    known = [[framed(message) for message in talk] for talk in talks]

    def one(chance: random.Random) -> None:
        frames = list(chance.choice(known))
        at = chance.randrange(len(frames))
        frames[at] = scrambled(chance, frames[at])
        shout(port, context, frames)

    with ThreadPoolExecutor(AT_ONCE) as threads:
        list(threads.map(one, fuzz.rounds(ROUNDS)))


async def good_work(folder: Path) -> None:
    """A value goes to the head and comes back; the endpoint answers."""
    values = [b"one", b"two", b"three"]
    async with raw_client(folder, "good") as good:
        tasks = {"op": "tasks", "job": "good", "block": Block.of(0, values).pack(), "refs": []}
        fetch = {"op": "fetch", "job": "good", "ranges": [[0, 3]]}
        await good.say(good.spec("good"), tasks, {"op": "seal", "job": "good"}, fetch)
        results = await good.hear("results", job="good")
        assert [bytes(one) for one in Block.unpack(results["block"]).items()] == values
    assert (await asyncio.to_thread(ask, folder, "GET", "/v1/status"))[0] == 200


@pytest.mark.parametrize(
    ("role", "talks"),
    [(Role.CLIENT, CLIENT_SAYS), (Role.AGENT, NODE_SAYS)],
    ids=["client", "agent"],
)
def test_frames_that_come_to_the_head(
    fuzz: Fuzz, tmp_path: Path, caplog: pytest.LogCaptureFixture, role: Role, talks: list[list[Any]]
) -> None:
    async def main() -> None:
        async with real_head(tmp_path) as head:
            address = json.loads((tmp_path / "head.json").read_text())["scheduler"]
            port = int(address.rpartition(":")[2])
            context = client_context(tmp_path / "credentials", role)
            await asyncio.to_thread(shout_all, fuzz, port, context, talks)
            await good_work(tmp_path)
            assert not head.is_ending
            assert not head.dispatcher.nodes

    with no_trace(caplog):
        asyncio.run(asyncio.wait_for(main(), 300))


@asynccontextmanager
async def agent_worker(folder: Path) -> AsyncIterator[AgentWorker]:
    """A node's own port, with a head behind it."""
    address = json.loads((folder / "head.json").read_text())["scheduler"]
    security = dask_security(folder / "credentials", Role.AGENT)
    worker = AgentWorker(
        address,
        name="node",
        security=security,
        local_directory=str(folder / "dask-worker"),
        host="127.0.0.1",
        extensions={},
    )

    async def read(name: str, offset: int, size: int) -> bytes:
        raise FileNotFoundError(name)

    worker.offer("jc-read", read)
    await worker
    try:
        yield worker
    finally:
        await worker.close(nanny=False)


def test_frames_that_come_to_an_agent(
    fuzz: Fuzz, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async def main() -> None:
        async with real_head(tmp_path), agent_worker(tmp_path) as worker:
            port = int(worker.address.rpartition(":")[2])
            context = client_context(tmp_path / "credentials", Role.HEAD)
            await asyncio.to_thread(shout_all, fuzz, port, context, HEAD_SAYS)
            security = dask_security(tmp_path / "credentials", Role.HEAD)
            comm = await connect(worker.address, **security.get_connection_args("scheduler"))
            await comm.write({"op": "identity", "reply": True})
            assert (await comm.read())["id"] == worker.id
            await comm.close()

    with no_trace(caplog):
        asyncio.run(asyncio.wait_for(main(), 300))
