"""Frames between an agent and its slots, mutated in each direction, with good work beside them."""

from __future__ import annotations

import asyncio
import contextlib
import os
import pickle
import random
import socket
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from fuzz.conftest import Fuzz
from fuzz.mutation import mutated

from jupyter_cluster.agent import slot, zygote
from jupyter_cluster.agent.bundle import Bundle
from jupyter_cluster.agent.frames import (
    FROM_SLOT_BYTES,
    TO_SLOT_BYTES,
    ProtocolError,
    Reader,
    pack,
    receive,
)
from jupyter_cluster.agent.pool import Pool
from jupyter_cluster.agent.reports import Report, read_report
from jupyter_cluster.agent.runner import _read_blocks
from jupyter_cluster.codec import dumps
from jupyter_cluster.errors import ClusterError
from jupyter_cluster.resources import Resources
from jupyter_cluster.wire import Block, Status

pytestmark = pytest.mark.fuzz

BLOCK = Block.of(3, [pickle.dumps(x) for x in range(3)]).pack()
SLOT_SAYS: list[dict[str, Any]] = [
    {"finished": False, "job": "j", "statuses": b"\0\1\3", "block": BLOCK, "seconds": 0.1},
    {"finished": True},
    {"finished": False, "output": b"[]"},
]
AGENT_SAYS: list[dict[str, Any]] = [
    {"kind": "map", "job": "j", "fn": "f", "refs": {"k": "/f"}, "blocks": [BLOCK], "code": b"x"},
    {"kind": "cell", "job": "j", "fn": "", "refs": {}, "blocks": [BLOCK], "environment": {}},
]


def frame_of(random: random.Random, good: list[dict[str, Any]]) -> bytes:
    """A frame with an odd message, or bytes that are hardly a frame."""
    if random.random() < 0.5:
        return pack(mutated(random, random.choice(good)))
    frame = bytearray(pack(random.choice(good)))
    for _ in range(random.choice((1, 1, 3, 8))):
        at = random.randrange(len(frame))
        how = random.random()
        if how < 0.5:
            frame[at] = random.randrange(256)
        elif how < 0.75:
            del frame[at : at + random.randrange(1, 9)]
        else:
            frame[at:at] = random.randbytes(random.randrange(1, 9))
        if not frame:
            break
    return bytes(frame)


def test_what_a_slot_says_is_a_report_or_is_refused(fuzz: Fuzz) -> None:
    read = refused = 0
    for source in fuzz.rounds(1000):
        reader, data = Reader(FROM_SLOT_BYTES), frame_of(source, SLOT_SAYS)
        cut = source.randrange(len(data) + 1)
        try:
            for message in reader.feed(data[:cut]) + reader.feed(data[cut:]):
                assert isinstance(read_report(message), Report)
                read += 1
        except ProtocolError:
            refused += 1
    assert read
    assert refused > read


def test_what_an_agent_says_is_a_bundle_or_is_refused(fuzz: Fuzz) -> None:
    read = refused = 0
    for source in fuzz.rounds(1000):
        ours, theirs = socket.socketpair()
        with ours:
            with theirs:
                theirs.sendall(frame_of(source, AGENT_SAYS))
            # A length that is only just allowed must not make it ask for so much memory.
            with contextlib.suppress(MemoryError):
                try:
                    message = receive(ours, min(TO_SLOT_BYTES, 1_000_000))
                    if message is not None:
                        assert all(isinstance(block, Block) for block in _read_blocks(message))
                        read += 1
                except ProtocolError:
                    refused += 1
    assert read
    assert refused > read


class Results:
    """Notes which tasks have ended how."""

    def __init__(self) -> None:
        self.statuses: dict[tuple[str, int], Status] = {}
        self.ended: set[str] = set()

    def on_results(self, bundle: Bundle, statuses: bytes, block: Block, seconds: float) -> None:
        for i, status in enumerate(statuses):
            self.statuses[bundle.job, block.start + i] = Status(status)

    def on_ended(self, bundle: Bundle) -> None:
        self.ended.add(bundle.job)

    def on_line(self, job: str, slot: int, stream: str, text: str) -> None:
        assert "Traceback" not in text

    def on_values(self, job: str, statuses: bytes, block: Block) -> None: ...

    def on_output(self, bundle: Bundle, data: bytes) -> None: ...

    def on_session_end(self, session: str, why: str, was_busy: bool) -> None: ...

    def on_usage(self, cpu: float, memory: int) -> None: ...

    def on_fatal(self, error: ClusterError) -> None:
        raise error


def scribbling(frame: bytes) -> Callable[[int], int]:
    """A task that writes this to whatever leads out of its slot."""

    def work(x: int) -> int:
        if x == 2:
            for name in os.listdir("/proc/self/fd"):
                if int(name) > 2:
                    with contextlib.suppress(OSError):
                        os.write(int(name), frame)
        return x

    return work


@pytest.mark.skipif(sys.platform != "linux", reason="finds descriptors in /proc")
def test_other_slots_and_other_tasks_go_on(
    fuzz: Fuzz,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(slot, "REST_SECONDS", 0.1)  # of a frame that was begun, no more comes
    for name in ("results", "values"):
        (tmp_path / name).mkdir()
    one, node = Resources.of({"CPU": 1}), Resources.of({"CPU": 2})
    items = [pickle.dumps(x) for x in range(5)]

    async def main() -> None:
        connection, process = zygote.start(tmp_path)
        codes: dict[str, bytes] = {"good": dumps(abs, "abs")}
        results = Results()
        pool = Pool(node, tmp_path, connection, results, codes.__getitem__)
        try:
            for number, source in enumerate(fuzz.rounds(40)):
                await play(pool, results, codes, number, source)
        finally:
            pool.close()
            zygote.wait_for(process)

    async def play(
        pool: Pool, results: Results, codes: dict[str, bytes], number: int, source: random.Random
    ) -> None:
        bad, good = f"bad-{number}", f"good-{number}"
        # Cut: a task that speaks as its slot can say what it likes, of itself.
        frame = frame_of(source, SLOT_SAYS)[: source.randrange(1, 40)]
        codes[bad] = dumps(scribbling(frame), "work")
        for job, fn in ((bad, bad), (good, "good")):
            pool.submit([Bundle(job, 0, 5, 0, "map", fn, one, [Block.of(0, items)])])
        async with asyncio.timeout(60):
            while not {bad, good} <= results.ended:
                await asyncio.sleep(0.005)
        for job in (bad, good):
            pool.end_job(job)
        failed = {at for (job, at), s in results.statuses.items() if job == bad and s}
        assert failed <= {2}
        assert all(results.statuses[good, x] is Status.OK for x in range(5))

    asyncio.run(main())
    assert not [record for record in caplog.records if record.exc_info]
