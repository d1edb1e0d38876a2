"""A spool loses nothing, keeps the order, and lets the agent's loop go on."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest

from jupyter_cluster.agent import spool as module
from jupyter_cluster.agent.spool import Spool

pytestmark = pytest.mark.unit

FULL = Path("/dev/full")  # every write to it fails for lack of room


async def written(spool: Spool) -> None:
    """Until the thread has done what it was told, and the loop has heard of it."""
    await asyncio.wrap_future(spool._thread.submit(lambda: None))
    await asyncio.sleep(0)


async def all_of(spool: Spool) -> list[dict[str, Any]]:
    return [message async for message in spool.unacknowledged()]


def run(test: Callable[[], Coroutine[Any, Any, None]]) -> None:
    asyncio.run(asyncio.wait_for(test(), 60))


def test_what_is_not_acknowledged_is_kept_in_memory_and_on_disk(tmp_path: Path) -> None:
    async def main() -> None:
        spool = Spool(tmp_path, memory_bytes=100)
        small = spool.add({"data": b"a"}, 60)
        large = spool.add({"data": b"b" * 1000}, 1000)
        assert await all_of(spool) == [small, large]
        await written(spool)
        assert await all_of(spool) == [small, large]
        assert [path.name for path in tmp_path.iterdir()] == ["2"]
        spool.acknowledge([2])
        await written(spool)
        assert not list(tmp_path.iterdir())
        spool.acknowledge([1, 99])
        assert len(spool) == 0
        spool.add({"data": b"c"}, 100)  # the room is free again
        await written(spool)
        assert not list(tmp_path.iterdir())
        spool.close()

    run(main)


@pytest.mark.skipif(not FULL.exists(), reason="a full disk as a device is of Linux")
def test_what_a_full_disk_does_not_take_stays_in_memory(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async def main() -> None:
        spool = Spool(tmp_path, memory_bytes=1000)
        for number in (2, 3):
            (tmp_path / str(number)).symlink_to(FULL)
        added = [spool.add({"data": bytes(size)}, size) for size in (900, 5000, 5000, 5000)]
        await written(spool)
        assert await all_of(spool) == added
        assert [path.name for path in tmp_path.iterdir()] == ["4"]  # by then there was room again
        spool.acknowledge([1, 2, 3, 4])
        spool.add({"data": b""}, 1000)  # all the memory is free again
        await written(spool)
        assert not list(tmp_path.iterdir())
        spool.close()

    with caplog.at_level(logging.WARNING):
        run(main)
    assert len(caplog.records) == 1
    assert "No space left on device" in caplog.records[0].getMessage()


def test_files_are_written_and_read_beside_the_loop_and_come_in_their_order(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate, threads = threading.Event(), set()

    def slow(do: Callable[..., Any]) -> Callable[..., Any]:
        def wait(*words: Any) -> Any:
            threads.add(threading.get_ident())
            gate.wait(60)
            return do(*words)

        return wait

    monkeypatch.setattr(module, "_write", slow(module._write))
    monkeypatch.setattr(module, "_read", slow(module._read))

    async def main() -> None:
        spool = Spool(tmp_path, memory_bytes=0)
        spool.add({"data": b"acknowledged before it is written"}, 10)
        first = spool.add({"data": b"one"}, 10)  # the loop is here while the disk hangs
        spool.acknowledge([1])
        gate.set()
        await written(spool)
        assert await all_of(spool) == [first]
        assert [path.name for path in tmp_path.iterdir()] == ["2"]
        gate.clear()
        reading = spool.unacknowledged()
        waiting = asyncio.ensure_future(anext(reading))
        await asyncio.sleep(0)
        second = spool.add({"data": b"two"}, 10)  # comes while older ones are sent again
        gate.set()
        found = [await waiting]
        found += [message async for message in reading]
        assert found == [first, second]
        spool.close()

    run(main)
    assert threads
    assert threading.get_ident() not in threads


def test_results_come_no_faster_than_a_slow_disk_takes_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "WRITING_BYTES", 100)

    async def main() -> None:
        spool = Spool(tmp_path, memory_bytes=0)
        for number in range(1, 20):
            spool.add({"data": bytes(60)}, 60)
            assert number == 1 or (tmp_path / str(number)).exists()
        spool.close()

    run(main)
