"""Bundles in real slots."""

from __future__ import annotations

import asyncio
import pickle
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from jupyter_cluster.agent import slot, zygote
from jupyter_cluster.agent.bundle import Bundle
from jupyter_cluster.agent.pool import Pool
from jupyter_cluster.codec import dumps
from jupyter_cluster.errors import ClusterError
from jupyter_cluster.resources import Resources
from jupyter_cluster.wire import Block, Status

pytestmark = pytest.mark.local


class Record:
    """Notes what the pool says."""

    def __init__(self) -> None:
        self.ended = asyncio.Event()
        self.statuses: dict[int, Status] = {}

    def on_results(self, bundle: Bundle, statuses: bytes, block: Block, seconds: float) -> None:
        self.statuses |= {block.start + i: Status(s) for i, s in enumerate(statuses)}

    def on_ended(self, bundle: Bundle) -> None:
        self.ended.set()

    def on_line(self, job: str, slot: int, stream: str, text: str) -> None: ...

    def on_usage(self, cpu: float, memory: int) -> None: ...

    def on_fatal(self, error: ClusterError) -> None:
        raise error


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not condition():
            await asyncio.sleep(0.01)


@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_the_task_after_a_cancelled_one_is_left_alone(tmp_path: Path) -> None:
    for name in ("results", "values"):
        (tmp_path / name).mkdir()
    connection = zygote.start(0o077)

    def work(seconds: float) -> None:
        Path(tmp_path, f"began-{seconds}").touch()
        time.sleep(seconds)

    async def main() -> dict[int, Status]:
        record, code = Record(), dumps(work, "work")
        one = Resources.of({"CPU": 1})
        pool = Pool(one, tmp_path, connection, record, lambda _fn: code)
        durations = (60.0, 2 * slot.GRACE_SECONDS, 0.0)
        block = Block.of(0, [pickle.dumps(seconds) for seconds in durations])
        pool.submit([Bundle("job", 0, 3, 0, "map", "fn", one, [block])])
        await until(Path(tmp_path, "began-60.0").exists)
        pool.cancel("job", [(0, 1)])
        async with asyncio.timeout(20):
            await record.ended.wait()
        pool.close()
        return record.statuses

    statuses = asyncio.run(main())
    assert (statuses[1], statuses[2]) == (Status.OK, Status.OK)
