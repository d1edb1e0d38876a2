"""Bundles in real slots."""

from __future__ import annotations

import asyncio
import contextlib
import os
import pickle
import resource
import threading
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import psutil
import pytest

from jupyter_cluster.agent import slot, zygote
from jupyter_cluster.agent.bundle import Bundle
from jupyter_cluster.agent.frames import pack
from jupyter_cluster.agent.pool import Pool
from jupyter_cluster.codec import dumps
from jupyter_cluster.errors import ClusterError
from jupyter_cluster.resources import Resources
from jupyter_cluster.wire import Block, Status

pytestmark = pytest.mark.local

ONE = Resources.of({"CPU": 1})


class Record:
    """Notes what the pool says."""

    def __init__(self) -> None:
        self.ended = asyncio.Event()
        self.statuses: dict[int, Status] = {}
        self.data: dict[int, bytes] = {}
        self.lines: list[str] = []
        self.jobs: dict[str, str] = {}  # of lines
        self.count = 0

    def on_results(self, bundle: Bundle, statuses: bytes, block: Block, seconds: float) -> None:
        self.statuses |= {block.start + i: Status(s) for i, s in enumerate(statuses)}
        self.data |= {block.start + i: bytes(d) for i, d in enumerate(block.items())}

    def on_ended(self, bundle: Bundle) -> None:
        self.ended.set()
        self.count += 1

    def on_line(self, job: str, slot: int, stream: str, text: str) -> None:
        self.lines.append(text)
        self.jobs[text] = job

    def on_values(self, job: str, statuses: bytes, block: Block) -> None: ...

    def on_output(self, bundle: Bundle, data: bytes) -> None: ...

    def on_session_end(self, session: str, why: str, was_busy: bool) -> None: ...

    def on_usage(self, cpu: float, memory: int) -> None: ...

    def on_fatal(self, error: ClusterError) -> None:
        raise error


class Node:
    """A pool of one CPU with a zygote of its own."""

    def __init__(self, folder: Path) -> None:
        for name in ("results", "values"):
            (folder / name).mkdir()
        connection, self.zygote = zygote.start(folder)
        self.record = Record()
        self.codes: dict[str, bytes] = {}
        self.pool = Pool(ONE, folder, connection, self.record, self.codes.__getitem__)

    def begin(self, function: Callable[[Any], Any], items: list[Any], job: str = "job") -> None:
        self.codes[job] = dumps(function, "function")
        self.record.ended.clear()
        block = Block.of(0, [pickle.dumps(item) for item in items])
        self.pool.submit([Bundle(job, 0, len(items), 0, "map", job, ONE, [block])])

    async def end(self) -> dict[int, Status]:
        async with asyncio.timeout(30):
            await self.record.ended.wait()
        return self.record.statuses

    def value(self, index: int) -> Any:
        return pickle.loads(self.record.data[index])


@contextlib.asynccontextmanager
async def node_in(folder: Path) -> AsyncIterator[Node]:
    node = Node(folder)
    try:
        yield node
    finally:
        node.pool.close()
        zygote.wait_for(node.zygote)


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not condition():
            await asyncio.sleep(0.01)


def test_the_task_after_a_cancelled_one_is_left_alone(tmp_path: Path) -> None:
    def work(seconds: float) -> int:
        Path(tmp_path, f"began-{seconds}").touch()
        time.sleep(seconds)
        return os.getpid()

    async def main() -> None:
        async with node_in(tmp_path) as node:
            node.begin(work, [60.0, 2 * slot.GRACE_SECONDS, 0.0])
            await until(Path(tmp_path, "began-60.0").exists)
            node.pool.cancel("job", [(0, 1)])
            statuses = await node.end()
            assert (statuses[1], statuses[2]) == (Status.OK, Status.OK)

    asyncio.run(main())


@pytest.mark.parametrize(
    "stray",
    [
        b"hello, I am a stray print\n",
        (1 << 62).to_bytes(8, "little") + b"garbage",
        pack({"finished": True}),
        pack({"finished": True, "job": "nope", "statuses": b"\0", "block": [0, 0, b"", b""]}),
        pack([1, 2]) + pack(None),
        pack({"finished": 1})[:-1],
    ],
)
def test_bytes_that_a_task_writes_to_the_slots_connection_harm_that_task_alone(
    tmp_path: Path, stray: bytes
) -> None:
    def work(x: int) -> int:
        if x == 5:
            for name in os.listdir("/proc/self/fd"):
                if int(name) > 2:
                    with contextlib.suppress(OSError):
                        os.write(int(name), stray)
        return x

    async def main() -> None:
        async with node_in(tmp_path) as node:
            node.begin(work, list(range(10)))
            statuses = await node.end()
            assert {x for x, status in statuses.items() if status is not Status.OK} <= {5}
            assert [node.value(x) for x in range(10) if x != 5] == [*range(5), *range(6, 10)]
            node.begin(abs, [-1], job="next")
            await node.end()
            assert node.value(0) == 1

    asyncio.run(main())


def test_a_task_that_closes_all_descriptors_is_blamed_and_none_of_those_before_it(
    tmp_path: Path,
) -> None:
    def work(x: int) -> int:
        if x == 25:
            os.closerange(0, 5000)
        return x

    async def main() -> None:
        async with node_in(tmp_path) as node:
            node.begin(work, list(range(40)))
            statuses = await node.end()
            assert {x for x, status in statuses.items() if status is not Status.OK} == {25}
            assert statuses[25] is Status.CRASHED
            assert b"its connection to the agent was closed" in node.record.data[25]

    asyncio.run(main())


@pytest.mark.parametrize("raises", [False, True])
def test_a_child_that_a_task_forks_does_not_answer_for_it(tmp_path: Path, raises: bool) -> None:
    def work(x: int) -> Any:
        if x == 3:
            child = os.fork()
            if child == 0:
                print("in the child", end="")  # without the end of the line: a buffer stays
                if raises:
                    raise ValueError("in the child")
                return "child"
            return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        return x

    async def main() -> None:
        async with node_in(tmp_path) as node:
            node.begin(work, list(range(10)))
            await node.end()
            expected = [0, 1, 2, int(raises), *range(4, 10)]
            assert [node.value(x) for x in range(10)] == expected

    asyncio.run(main())


def daemon(marker: Path) -> None:
    """Fork twice, into a session of its own, without an environment to be known by."""
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            marker.write_text(str(os.getpid()))
            os.execve("/bin/sleep", ["sleep", "600"], {})
        os._exit(0)


@pytest.mark.parametrize("end", ["job", "cancel", "crash", "node"])
def test_what_a_task_has_started_ends_with_its_job(tmp_path: Path, end: str) -> None:
    def work(folder: Path) -> None:
        daemon(folder / "pid")
        while end != "job" and not (folder / "pid").exists():
            time.sleep(0.01)
        if end == "crash":
            os._exit(3)
        if end == "cancel":
            time.sleep(60)

    async def main() -> None:
        async with node_in(tmp_path) as node:
            node.begin(work, [tmp_path])
            pid = tmp_path / "pid"
            await until(lambda: pid.exists() and pid.read_text() != "")
            daemon_pid = int(pid.read_text())
            if end == "cancel":
                node.pool.cancel("job", [(0, 1)])
            await node.end()
            if end == "job":
                assert psutil.pid_exists(daemon_pid)
                node.pool.end_job("job")
            if end == "node":
                node.pool.close()
            await until(lambda: not psutil.pid_exists(daemon_pid))

    asyncio.run(main())


def test_a_line_that_comes_after_its_task_has_ended_is_its_jobs(tmp_path: Path) -> None:
    def work(go_on: Path) -> None:
        def late() -> None:
            while not go_on.exists():
                time.sleep(0.01)
            print("late", flush=True)

        threading.Thread(target=late, daemon=True).start()
        print("in time", flush=True)

    async def main() -> None:
        async with node_in(tmp_path) as node:
            node.begin(work, [tmp_path / "go-on"])
            await node.end()
            (tmp_path / "go-on").touch()
            await until(lambda: "late" in node.record.lines)
            assert node.record.jobs == {"in time": "job", "late": "job"}

    asyncio.run(main())


def test_a_process_that_cannot_be_started_is_started_later(tmp_path: Path) -> None:
    async def main() -> None:
        async with node_in(tmp_path) as node:
            node.begin(abs, [-1], job="first")
            await node.end()
            running = psutil.Process(node.zygote.pid)
            before = running.rlimit(resource.RLIMIT_NOFILE)
            running.rlimit(resource.RLIMIT_NOFILE, (8, before[1]))
            node.begin(abs, [-3], job="second")  # has, as a rule, a process forked in advance
            node.begin(abs, [-2], job="third")
            await until(lambda: any("cannot be started" in line for line in node.record.lines))
            running.rlimit(resource.RLIMIT_NOFILE, before)
            await until(lambda: node.record.count == 3)
            assert node.value(0) in (2, 3)

    asyncio.run(main())


def test_a_job_gets_a_process_that_no_other_job_has_had(tmp_path: Path) -> None:
    async def main() -> None:
        async with node_in(tmp_path) as node:
            seen = set()
            for job in ("a", "b", "a"):
                node.begin(lambda _x: os.getpid(), [0, 1], job=job)
                await node.end()
                assert node.value(0) == node.value(1)
                seen.add((job, node.value(0)))
            assert len({pid for _job, pid in seen}) >= 2

    asyncio.run(main())
