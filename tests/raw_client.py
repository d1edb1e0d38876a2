"""A client's end of the stream to a real head, by hand: what it says, and what it is told."""

from __future__ import annotations

import json
import platform
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from distributed.comm import connect

from jupyter_cluster.trust import Role, dask_security
from jupyter_cluster.wire import PROTOCOL

Message = dict[str, Any]


class RawClient:
    """One connection to a head."""

    def __init__(self, comm: Any, client: str) -> None:
        self.client = client
        self.told: list[Message] = []
        self.comm = comm

    async def say(self, *messages: Any) -> None:
        """Send messages, as one batch."""
        await self.comm.write(list(messages), serializers=("msgpack",))

    async def hear(self, operation: str, **about: Any) -> Message:
        """The first message of a kind and about something, that has come or comes."""
        at = 0
        while True:
            for message in self.told[at:]:
                if message["op"] == operation and about.items() <= message.items():
                    return message
            at = len(self.told)
            self.told += await self.comm.read(deserializers=("msgpack",))

    def spec(self, job: str, **fields: Any) -> Message:
        """What submits a job of values."""
        spec = {"id": job, "client": self.client, "kind": "put", "name": "values", **fields}
        return {"op": "job", "spec": spec}


@asynccontextmanager
async def raw_client(folder: Path, client: str = "raw", **more: str) -> AsyncIterator[RawClient]:
    """Connect to the head in a folder."""
    address = json.loads((folder / "head.json").read_text())["scheduler"]
    security = dask_security(folder / "credentials", Role.CLIENT)
    comm = await connect(address, timeout=20, **security.get_connection_args("client"))
    hello = {"op": "jc-session", "reply": False, "client": client, "protocol": PROTOCOL}
    await comm.write(
        {**hello, "python": platform.python_version(), **more}, serializers=("msgpack",)
    )
    try:
        yield RawClient(comm, client)
    finally:
        comm.abort()
