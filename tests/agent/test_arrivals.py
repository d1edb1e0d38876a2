"""Code and files that come to a node: written beside the loop, and gone when nobody needs them."""

from __future__ import annotations

import asyncio
import errno
import hashlib
import logging
import threading
import zipfile
from collections.abc import Callable, Coroutine
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest

from jupyter_cluster.agent import arrivals as module
from jupyter_cluster.agent.arrivals import Arrivals
from jupyter_cluster.agent.code import Code

pytestmark = pytest.mark.unit


def run(test: Callable[[], Coroutine[Any, Any, None]]) -> None:
    asyncio.run(asyncio.wait_for(test(), 60))


async def done(arrivals: Arrivals) -> None:
    """Until the thread has done what it was told, and the loop has heard of it."""
    await asyncio.wrap_future(arrivals._thread.submit(lambda: None))
    await asyncio.sleep(0)


def zipped(text: str) -> tuple[str, bytes]:
    """The digest of modules, and how they travel."""
    buffer = BytesIO()
    with zipfile.ZipFile(buffer, "w") as file:
        file.writestr("beside.py", text)
    return hashlib.sha256(buffer.getvalue()).hexdigest(), buffer.getvalue()


def test_code_that_no_job_needs_goes_once_nothing_on_the_node_does(tmp_path: Path) -> None:
    async def main() -> None:
        arrivals = Arrivals(lambda: None)
        digest, archive = zipped("a = 1")
        used = {"f", digest}
        code = Code(tmp_path / "code", arrivals, lambda: used)
        for name in ("f", "g"):
            code.add_function(name, name.encode())
        code.add_modules(digest, archive)
        code.drop(["f", "g", digest])
        await done(arrivals)
        assert code.function("f") == b"f"
        with pytest.raises(KeyError):
            code.function("g")
        assert (code.path(digest) / "beside.py").read_text() == "a = 1"
        used.clear()
        code.add_function("f", b"f")  # the next job of the same function has come meanwhile
        code.tidy()
        await done(arrivals)
        assert code.function("f") == b"f"
        assert not code.path(digest).exists()
        for _ in range(2):  # removed and made again, in this order
            code.drop_all()
            code.add_modules(digest, archive)
        await done(arrivals)
        assert code.path(digest).is_dir()
        code.drop_all()
        await done(arrivals)
        assert not list((tmp_path / "code").iterdir())
        assert not code._functions
        arrivals.close()

    run(main)


def test_files_are_written_beside_the_loop_and_work_waits_for_them(tmp_path: Path) -> None:
    gate, threads = threading.Event(), set()

    def slow(partial: Path) -> None:
        threads.add(threading.get_ident())
        gate.wait(60)
        partial.write_text("a value")

    async def main() -> None:
        came = asyncio.Event()
        arrivals, path = Arrivals(came.set), tmp_path / "value"
        arrivals.add(path, slow)  # the loop is here while the disk hangs
        assert arrivals.lacks([path])
        gate.set()
        await came.wait()
        assert not arrivals.lacks([path])
        assert path.read_text() == "a value"
        arrivals.add(path, slow)
        arrivals.forget(path)
        await done(arrivals)
        assert not arrivals.lacks([path])
        assert not path.exists()
        arrivals.close()

    run(main)
    assert threads
    assert threading.get_ident() not in threads


def test_what_the_disk_refuses_is_tried_again_and_what_is_damaged_is_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(module, "RETRY_SECONDS", 0.01)
    tries: list[int] = []

    def refuse(partial: Path) -> None:
        tries.append(1)
        if len(tries) < 3:
            raise OSError("No space left on device")
        partial.touch()

    async def main() -> None:
        came = asyncio.Event()
        arrivals = Arrivals(came.set)
        arrivals.add(tmp_path / "value", refuse)
        await came.wait()
        assert (tmp_path / "value").exists()
        came.clear()
        code = Code(tmp_path / "code", arrivals, set)
        code.add_modules("0" * 64, b"damaged")
        assert arrivals.lacks([code.path("0" * 64)])
        await came.wait()
        assert not arrivals.lacks([code.path("0" * 64)])
        arrivals.close()

    with caplog.at_level(logging.WARNING):
        run(main)
    refused, again, damaged = (record.getMessage() for record in caplog.records)
    assert "it is tried again" in refused
    assert refused == again
    assert "modules arrived damaged" in damaged


def test_what_the_disk_refuses_is_told_until_all_of_it_is_written_or_forgotten(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "RETRY_SECONDS", 0.01)
    full = threading.Event()
    full.set()

    def write(partial: Path) -> None:
        if full.is_set():
            raise OSError(errno.ENOSPC, "No space left on device")
        partial.touch()

    async def main() -> None:
        told: asyncio.Queue[str] = asyncio.Queue()
        arrivals = Arrivals(lambda: None, told.put_nowait)
        first, second, third = (tmp_path / name for name in ("first", "second", "third"))
        arrivals.add(first, write)
        arrivals.add(second, write)
        assert not arrivals.refuses([first])  # nobody knows yet
        while not arrivals.refuses([first]) or not arrivals.refuses([second]):
            assert await told.get() == "No space left on device"
        assert not arrivals.refuses([third])
        arrivals.forget(first)
        assert arrivals.pressure
        full.clear()
        while await told.get():
            pass
        assert not arrivals.pressure
        assert not arrivals.lacks([second])
        arrivals.close()

    run(main)
