"""The guard of threads, tasks and callbacks."""

from __future__ import annotations

import asyncio
import gc
import logging

import pytest

from jupyter_cluster.background import Guard, describe, start_task, start_thread

pytestmark = pytest.mark.unit


class Mute(Exception):
    """An exception that cannot even be shown."""

    def __str__(self) -> str:
        raise ValueError("no words")


def test_a_loop_goes_on_after_a_step_that_fails(caplog: pytest.LogCaptureFixture) -> None:
    told: list[BaseException] = []
    guard, done = Guard("counting", told.append), []
    for number in range(4):
        with guard:
            if number in (1, 2):
                raise RuntimeError("no number")
            done.append(number)
    assert done == [0, 3]
    assert [str(error) for error in told] == ["no number"], "the same failure is told once"
    assert "counting failed: RuntimeError: no number" in caplog.text
    assert guard.problem == ""
    with guard:
        raise RuntimeError("no number")
    assert len(told) == 2, "it had succeeded in between"


def test_what_ends_a_program_or_a_task_passes_a_guard() -> None:
    for error in (KeyboardInterrupt, SystemExit, asyncio.CancelledError):
        with pytest.raises(error), Guard("stopping"):
            raise error


@pytest.mark.parametrize("error", [TypeError("odd"), SystemExit(3), Mute()])
def test_a_thread_that_ends_tells_who_waits(
    error: BaseException, caplog: pytest.LogCaptureFixture
) -> None:
    def work() -> None:
        raise error

    told: list[BaseException] = []
    start_thread("reading", work, told.append).join()
    assert told == [error]
    assert f"reading failed: {describe(error)}" in caplog.text


def test_a_task_is_kept_and_tells_who_waits(caplog: pytest.LogCaptureFixture) -> None:
    told: list[BaseException] = []

    async def work() -> None:
        await asyncio.sleep(0)
        gc.collect()
        raise LookupError("gone")

    async def main() -> None:
        start_task("asking", work(), told.append)
        while not told:
            await asyncio.sleep(0)

    asyncio.run(main())
    assert [type(error) for error in told] == [LookupError]
    assert "asking failed: LookupError: gone" in caplog.text


def test_a_task_that_is_cancelled_is_no_failure(caplog: pytest.LogCaptureFixture) -> None:
    async def main() -> None:
        for rounds in range(3):  # 0: before it has begun
            task = start_task("waiting", asyncio.sleep(60))
            for _ in range(rounds):
                await asyncio.sleep(0)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task

    with caplog.at_level(logging.ERROR):
        asyncio.run(main())
    assert not caplog.records


def test_who_cannot_be_told_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    def tell(_error: BaseException) -> None:
        raise RuntimeError("nobody listens")

    with Guard("calling", tell):
        raise ValueError("wrong")
    assert "telling that calling failed" in caplog.text
