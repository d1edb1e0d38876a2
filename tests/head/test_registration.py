"""An agent that registers, or gives a sign of life, with a message that is not whole."""

from __future__ import annotations

import asyncio
import json
import logging
from pathlib import Path
from typing import Any

import pytest
from distributed.comm import connect
from raw_agent import METRICS, NODE, REGISTRATION
from real_head import real_head

from jupyter_cluster.trust import Role, dask_security

pytestmark = pytest.mark.unit

HEARTBEAT = {"op": "heartbeat_worker", "address": NODE, "now": 2.0, "reply": True}
ODD: list[tuple[str, Any]] = [
    ("metrics", {}),
    ("metrics", {**METRICS, "bandwidth": {"total": 1, "workers": {"a": [1, 0]}, "types": {}}}),
    ("metrics", {**METRICS, "memory": "much"}),
    ("nthreads", "many"),
    ("memory_limit", "8 GB"),
    ("status", "asleep"),
    ("name", ["node"]),
    ("resources", {"GPU": "x"}),
    ("extensions", {"shuffle": {}}),
]


async def ask(comm: Any, message: dict[str, Any]) -> Any:
    await comm.write(message, serializers=("msgpack",))
    return await comm.read()


def talk(folder: Path, *messages: dict[str, Any]) -> tuple[list[Any], list[int]]:
    """What a head answers to each on a connection of its own, and how many agents it then has."""
    answers, counts = [], []

    async def main() -> None:
        async with real_head(folder) as head:
            address = json.loads((folder / "head.json").read_text())["scheduler"]
            words = dask_security(folder / "credentials", Role.AGENT).get_connection_args("worker")
            comms = []
            for message in messages:
                comms.append(await connect(address, timeout=20, deserialize=False, **words))
                answers.append(await ask(comms[-1], message))
                counts.append(len(head._scheduler.workers))
            for comm in comms:
                comm.abort()

    asyncio.run(main())
    return answers, counts


@pytest.mark.parametrize(("field", "value"), ODD)
def test_who_registers_with_an_odd_message_is_refused_and_is_not_half_in(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, field: str, value: Any
) -> None:
    caplog.set_level(logging.INFO)
    odd = {**REGISTRATION, field: value}
    (refused, taken), counts = talk(tmp_path, odd, REGISTRATION)
    assert refused["status"] == "error"
    assert refused["message"].startswith(field)
    assert f"was not let in as an agent: {field}" in caplog.text
    assert taken["status"] == "OK"
    assert counts == [0, 1]
    assert not [record for record in caplog.records if record.exc_info]


def test_a_heartbeat_that_is_not_whole_is_refused_and_a_whole_one_taken(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    whole = {**HEARTBEAT, "metrics": METRICS}
    answers, _ = talk(tmp_path, REGISTRATION, whole, {**HEARTBEAT, "metrics": {}}, whole)
    assert [answer["status"] for answer in answers] == ["OK", "OK", "uncaught-error", "OK"]
    assert not [record for record in caplog.records if record.exc_info]
