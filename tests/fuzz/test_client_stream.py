"""The stream between a client and the head, mutated in each direction, with good work beside it."""

from __future__ import annotations

import asyncio
import contextlib
import json
import pickle
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from distributed.comm import CommClosedError, connect, listen
from fuzz.conftest import Fuzz
from fuzz.mutation import mutated
from raw_client import raw_client
from real_head import real_head

import jupyter_cluster as jc
from jupyter_cluster.client.registry import Entry
from jupyter_cluster.errors import ClusterError
from jupyter_cluster.trust import Role, dask_security
from jupyter_cluster.wire import Block

pytestmark = pytest.mark.fuzz

ROUNDS = 1000
# Good work is looked at each time after so many mutations.
TOGETHER = 50
CODE = "a" * 64
SPEC = {
    "id": "fuzz",
    "client": "raw",
    "kind": "map",
    "fn": CODE,
    "name": "fuzz",
    "unit": "task",
    "shape": [["CPU", 10_000]],
    "environment": {"folder": "/"},
    "timeout": 1.5,
    "max_retries": 3,
    "retry_exceptions": False,
    "retry_timeouts": False,
    "nodes": [],
    "session": "",
    "values": "",
    "outs": [],
}
VALUES = [pickle.dumps(value) for value in (1, "two", [3])]
SAID: list[dict[str, Any]] = [
    {"op": "code", "fn": CODE, "code": b"no pickle"},
    {"op": "modules", "digest": CODE, "archive": b"no zip"},
    {"op": "job", "spec": SPEC},
    {"op": "job", "spec": {"id": "victim", "client": "raw", "kind": "put", "name": "values"}},
    {
        "op": "tasks",
        "job": "fuzz",
        "block": Block.of(0, VALUES).pack(),
        "refs": [[0, ["victim:0"]]],
    },
    {"op": "tasks", "job": "victim", "block": Block.of(0, VALUES).pack(), "refs": []},
    {"op": "seal", "job": "fuzz"},
    {"op": "follow", "job": "fuzz", "outputs": 0},
    {"op": "credit", "size": 1000},
    {"op": "cancel", "job": "fuzz", "ranges": [[0, 1]]},
    {"op": "release", "job": "victim", "ranges": [[0, 1], [2, 3]]},
    {"op": "fetch", "job": "victim", "ranges": [[0, 3]]},
    {"op": "fetch_stored", "job": "victim", "index": 0},
    {"op": "delete", "job": "fuzz"},
    {"op": "leave"},
]
INFO = {
    "id": "victim",
    "name": "victim",
    "unit": "task",
    "state": "running",
    "total": 3,
    "queued": 3,
    "running": 0,
    "done": 0,
    "failed": 0,
    "cancelled": 0,
    "sealed": False,
    "submitted": 1.0,
    "finished": None,
    "shape": {"CPU": 1},
    "mean_seconds": None,
    "note": "",
}
TOLD: list[dict[str, Any]] = [
    {"op": "taken", "job": "victim", "stop": 2},
    {
        "op": "results",
        "job": "victim",
        "node": "n",
        "statuses": bytes(3),
        "block": Block.of(0, VALUES).pack(),
    },
    {"op": "ended", "job": "victim", "start": 0, "states": b"\x02\x03"},
    {"op": "output", "job": "victim", "position": 0, "index": 0, "data": b"[]"},
    {"op": "job", "info": INFO},
    {"op": "part", "job": "victim", "index": 0, "size": 10, "offset": 0, "data": b"12345"},
    {"op": "gone", "job": "victim", "index": 0, "again": True},
    {"op": "problem", "job": "victim", "text": "it cannot be"},
    {"op": "deleted", "job": "victim"},
]


def no_traceback(caplog: pytest.LogCaptureFixture) -> None:
    """Nothing of ours, nor of Dask's, has said what no person should see."""
    raised = [record for record in caplog.records if record.exc_info or "Traceback" in record.msg]
    assert not [record.getMessage() for record in raised]


async def attack(folder: Path, rounds: list[random.Random]) -> None:
    """Say one mutated message for each round, on a new connection where the head has cut it."""
    at = 0
    while at < len(rounds):
        async with raw_client(folder, "raw") as raw:
            try:
                for one in rounds[at:]:
                    at += 1
                    message = mutated(one, one.choice(SAID))
                    if one.random() < 0.01:
                        await raw.comm.write(message, serializers=("msgpack",))  # no batch
                    else:
                        await raw.say(message)
                await raw.say({"op": "the last"})
                await raw.hear("problem", text="the head knows no message of kind 'the last'")
            except CommClosedError:
                pass


def test_what_a_client_says_costs_the_head_nothing(
    fuzz: Fuzz, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async def main() -> None:
        async with real_head(tmp_path) as head, raw_client(tmp_path, "good") as good:
            rounds = list(fuzz.rounds(ROUNDS))
            for at in range(0, len(rounds), TOGETHER):
                await attack(tmp_path, rounds[at : at + TOGETHER])
                about = {"job": f"good-{at}"}
                tasks = {"op": "tasks", **about, "block": Block.of(0, VALUES).pack(), "refs": []}
                fetch = {"op": "fetch", **about, "ranges": [[0, 3]]}
                await good.say(good.spec(about["job"]), tasks, {"op": "seal", **about}, fetch)
                results = await good.hear("results", **about)
                assert [bytes(one) for one in Block.unpack(results["block"]).items()] == VALUES
                good.told.clear()
            assert not head.is_ending

    asyncio.run(asyncio.wait_for(main(), 300))
    no_traceback(caplog)


class Between:
    """Stands between a client and its head, and says what the head never would."""

    def __init__(self, head: Path) -> None:
        self._head = head
        self._clients: list[Any] = []

    @asynccontextmanager
    async def listening(self, folder: Path) -> AsyncIterator[None]:
        """A client that goes by this folder comes here."""
        security = dask_security(self._head / "credentials", Role.HEAD)
        told = json.loads((self._head / "head.json").read_text())
        serving = listen("tls://127.0.0.1:0", self._serve, **security.get_listen_args("scheduler"))
        async with serving as listener:
            (folder / "credentials").symlink_to(self._head / "credentials")
            told = {**told, "scheduler": listener.contact_address}
            (folder / "head.json").write_text(json.dumps(told))
            yield

    async def _serve(self, client: Any) -> None:
        security = dask_security(self._head / "credentials", Role.CLIENT)
        address = json.loads((self._head / "head.json").read_text())["scheduler"]
        head = await connect(address, **security.get_connection_args("client"))
        self._clients.append(client)
        ways = [asyncio.create_task(self._pass(*way)) for way in ((client, head), (head, client))]
        await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        for way in ways:
            way.cancel()
        await asyncio.gather(*ways, return_exceptions=True)
        client.abort()
        head.abort()

    async def _pass(self, source: Any, target: Any) -> None:
        while True:
            await target.write(await source.read(), serializers=("msgpack",))

    async def tell(self, message: Any) -> None:
        """Say this to the client, as the head."""
        await self._clients[-1].write(message, serializers=("msgpack",))


def test_what_the_head_says_costs_a_client_its_own_jobs_at_most(
    fuzz: Fuzz,
    tmp_path: Path,
    tmp_path_factory: pytest.TempPathFactory,
    caplog: pytest.LogCaptureFixture,
) -> None:
    folder = tmp_path_factory.mktemp("between")
    (folder / "lock").touch()

    async def main() -> None:
        between = Between(tmp_path)
        async with real_head(tmp_path), between.listening(folder):
            cluster = jc.Cluster(Entry("real", folder))
            victims = []
            for number, one in enumerate(fuzz.rounds(ROUNDS)):
                if number % TOGETHER == 0:
                    await asyncio.to_thread(good_work, cluster, number)
                    victims.append(await asyncio.to_thread(begin, cluster))
                message = mutated(one, about(one.choice(TOLD), victims[-1].job))
                await between.tell(message if one.random() < 0.02 else [message])
            await asyncio.to_thread(good_work, cluster, -1)
            for victim in victims:
                await asyncio.to_thread(read, victim)
            assert cluster.connection.connections == 1, "nothing has cut the connection"
            await asyncio.to_thread(cluster.disconnect)

    asyncio.run(asyncio.wait_for(main(), 300))
    no_traceback(caplog)


def begin(cluster: jc.Cluster) -> jc.Ref:
    """A job of which nothing but mutations will come."""
    channel = cluster._open_raw({"kind": "put", "name": "victim"}, [])
    return jc.Ref(cluster.connection, channel.job, 0, "victim")


def about(message: dict[str, Any], job: str) -> dict[str, Any]:
    """The same message, of this job."""
    if "info" in message:
        return {**message, "info": {**message["info"], "id": job}}
    return {**message, "job": job}


def good_work(cluster: jc.Cluster, number: int) -> None:
    """A value goes to the head and comes back."""
    ref = cluster.put(number)
    jc.wait([ref], timeout=60)
    assert jc.get(ref, timeout=60) == number


def read(victim: jc.Ref) -> None:
    """Whatever has come of it: a value, or a sentence."""
    jc.wait([victim], timeout=0)
    with contextlib.suppress(ClusterError):
        jc.get(victim, timeout=0)
    repr(victim)
