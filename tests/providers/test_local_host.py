"""This machine as a host: a head that dies is started again, and no request of it ends the host."""

from __future__ import annotations

import fcntl
import json
import os
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from jupyter_cluster.errors import ProviderError
from jupyter_cluster.model import NodeType
from jupyter_cluster.providers import local_host
from jupyter_cluster.providers.local import LocalProvider
from jupyter_cluster.providers.local_host import LONGEST_PAUSE, LocalHost
from jupyter_cluster.resources import Resources

pytestmark = pytest.mark.unit


@pytest.fixture
def host(tmp_path: Path) -> Iterator[LocalHost]:
    """One that has not started anything, and lets go of all it holds."""
    made = LocalHost(tmp_path)
    yield made
    made._lock.close()
    made._close_head_socket()
    made._end_zygote()
    for pipe in (made._lifeline, made._lifeline_end, made._woken, made._wake):
        os.close(pipe)


def pauses(host: LocalHost, times: int) -> list[float]:
    """After how long a head is started again that dies as soon as it has started."""
    found = []
    for _ in range(times):
        host._started = now = time.monotonic()
        host._start_at = None
        host._on_head_end("ended with -9")
        assert host._start_at is not None
        found.append(round(host._start_at - now, 1))
    return found


def test_a_head_that_was_up_is_started_again_for_ever_after_longer_pauses(
    host: LocalHost, tmp_path: Path
) -> None:
    (tmp_path / "head.json").touch()
    assert pauses(host, 12) == [0, 0, 0.5, 1, 2, 4, 8, 16, *[LONGEST_PAUSE] * 4]
    host._started = time.monotonic() - 100  # it has lived for a while
    host._on_head_end("ended with -9")
    assert pauses(host, 2) == [0, 0.5]
    assert not host._ending


def test_a_head_that_never_comes_up_is_given_up(host: LocalHost) -> None:
    pauses(host, 5)
    host._on_head_end("ended with 1")
    assert host._ending


def test_no_request_of_a_head_ends_the_host(
    host: LocalHost, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    host._head_socket, head = socket.socketpair()
    for line in (b"\xff", b"[]", b"{}", b'{"do": "start"}'):
        head.sendall(line + b"\n")
        host._serve_head()
        assert "error" in json.loads(head.recv(10_000))

    def fork() -> int:
        raise BlockingIOError(11, "Resource temporarily unavailable")

    monkeypatch.setattr(os, "fork", fork)
    provider = LocalProvider(tmp_path, head, {"local": NodeType("local", Resources())}, "tls://x:1")
    line = json.dumps({"do": "start", "name": "local-1", "module": "x", "argv": []})
    head.sendall(line.encode() + b"\n")
    host._serve_head()
    with pytest.raises(ProviderError, match="could not do it: BlockingIOError"):
        provider._answer()
    provider.close()
    host._start_head()
    assert host._start_at is not None
    assert not host._ending


def test_a_head_that_has_died_all_night_is_started_again_and_none_while_all_ends(
    host: LocalHost, tmp_path: Path
) -> None:
    (tmp_path / "head.json").touch()
    host._deaths = 5000
    assert pauses(host, 1) == [LONGEST_PAUSE]
    host._end_all()
    assert host._start_at is None


def test_who_looks_whether_a_host_is_alive_does_not_keep_it_from_starting(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "lock"
    looking = path.open("w")
    fcntl.flock(looking, fcntl.LOCK_SH)
    threading.Timer(0.05, looking.close).start()
    held = local_host._locked(path)
    monkeypatch.setattr(local_host, "LOCK_SECONDS", 0.0)
    with pytest.raises(BlockingIOError):
        local_host._locked(path)
    held.close()
