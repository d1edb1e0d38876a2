"""Strangers at a listener cost neither its callers their way in nor the log more than a line."""

from __future__ import annotations

import asyncio
import json
import logging
import socket
import ssl
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from distributed.comm import connect
from real_head import ask, real_head, until

from jupyter_cluster import doors
from jupyter_cluster.nodes.remote import share
from jupyter_cluster.trust import Role, client_context, dask_security, make_certificates

pytestmark = pytest.mark.unit

FEW, SOON = 5, 0.5


@pytest.fixture(autouse=True)
def small_doors(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doors.Door.__init__, "__defaults__", (FEW, SOON))


def ports(folder: Path) -> list[int]:
    """Of a head's scheduler and endpoint."""
    places = json.loads((folder / "head.json").read_text())
    return [int(places[name].rpartition(":")[2]) for name in ("scheduler", "endpoint")]


def strangers(port: int, count: int, stack: ExitStack) -> list[socket.socket]:
    """Who connect; half say the beginning of a handshake, and nothing more."""
    made = []
    for number in range(count):
        stranger = stack.enter_context(socket.create_connection(("127.0.0.1", port), 5))
        if number % 2:
            stranger.sendall(b"\x16\x03\x01")
        made.append(stranger)
    return made


def is_closed(stranger: socket.socket) -> bool:
    stranger.settimeout(10)
    try:
        return not stranger.recv(100) or is_closed(stranger)
    except ConnectionError:
        return True


def test_strangers_are_turned_away_and_callers_get_in(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async def main() -> None:
        async with real_head(tmp_path):
            with ExitStack() as stack:
                for port in ports(tmp_path):
                    waiting = await asyncio.to_thread(strangers, port, 3 * FEW, stack)
                    status, _ = await asyncio.to_thread(ask, tmp_path, "GET", "/v1/status")
                    assert status == 200
                    for stranger in waiting:  # those beyond the most at once, the others soon
                        assert await asyncio.to_thread(is_closed, stranger)

    asyncio.run(main())
    refused = [r.getMessage() for r in caplog.records if "refused a caller" in r.getMessage()]
    assert len(refused) == 2, "one line a minute for each listener"
    assert not [record for record in caplog.records if record.exc_info]


def test_an_idle_connection_ends_with_its_head(tmp_path: Path) -> None:
    def asked() -> ssl.SSLSocket:
        context = client_context(tmp_path / "credentials", Role.CLIENT)
        idle = context.wrap_socket(socket.create_connection(("127.0.0.1", ports(tmp_path)[1]), 10))
        idle.sendall(b"GET /v1/status HTTP/1.1\r\nHost: head\r\n\r\n")
        assert idle.recv(100).startswith(b"HTTP/1.1 200")
        return idle

    async def main() -> ssl.SSLSocket:
        async with real_head(tmp_path):
            return await asyncio.to_thread(asked)

    with asyncio.run(main()) as idle:
        assert is_closed(idle)


def test_a_caller_that_hangs_up_before_it_is_answered_costs_no_traceback(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    met = []

    async def answer(comm: Any) -> None:
        """What any handler may meet: that the caller has gone is seen before it is answered."""
        await until(comm.closed)
        met.append(comm)
        await comm.write("too late")

    async def main() -> None:
        async with real_head(tmp_path) as head:
            head._scheduler.handlers.offer("late", answer, Role.CLIENT)
            address = json.loads((tmp_path / "head.json").read_text())["scheduler"]
            security = dask_security(tmp_path / "credentials", Role.CLIENT)
            comm = await connect(address, timeout=20, **security.get_connection_args("client"))
            await comm.write({"op": "late"}, serializers=("msgpack",))
            comm.abort()
            await until(lambda: met and not head._scheduler._comms)

    caplog.set_level(logging.DEBUG, "jupyter_cluster")
    asyncio.run(main())
    assert "hung up during 'late'" in caplog.text
    assert not [record.getMessage() for record in caplog.records if record.exc_info]


def test_who_is_turned_away_before_its_handshake_begins_is_waited_for_by_nobody() -> None:
    class Stream:
        def __init__(self) -> None:
            self.is_closed = False

        def closed(self) -> bool:
            return self.is_closed

        def close(self) -> None:
            self.is_closed = True

        def wait_for_handshake(self) -> asyncio.Future[None]:
            return asyncio.Future()  # as Tornado's, whose stream is closed already

    async def main() -> None:
        door = doors.Door("the endpoint", most=1)
        first, second = Stream(), Stream()
        admitted = [door.admit(stream) for stream in (first, second)]  # type: ignore[arg-type]
        assert not await asyncio.wait_for(admitted[0], 5)
        waiting = asyncio.create_task(admitted[1])
        await asyncio.sleep(0)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        assert second.is_closed

    asyncio.run(main())


@pytest.fixture
def shared(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[], int]]:
    """The server that gives packs to other nodes, on a thread."""
    import threading

    make_certificates(tmp_path / "credentials", "shared")
    (tmp_path / "abc.tar").write_bytes(b"a pack")
    monkeypatch.setattr(share.Handler, "store", str(tmp_path))
    monkeypatch.setattr(share, "MOST_WAITING", FEW)
    monkeypatch.setattr(share, "HANDSHAKE_SECONDS", SOON)
    context = share.context(str(tmp_path / "credentials"), ssl.Purpose.CLIENT_AUTH)
    server = share.Server(("127.0.0.1", 0), share.Handler, context)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield lambda: server.server_port
    server.shutdown()
    thread.join()
    server.server_close()


def test_the_packs_are_given_while_strangers_wait(
    shared: Callable[[], int], tmp_path: Path
) -> None:
    with ExitStack() as stack:
        waiting = strangers(shared(), 3 * FEW, stack)
        context = client_context(tmp_path / "credentials", Role.AGENT)
        with (
            socket.create_connection(("127.0.0.1", shared()), 10) as plain,
            context.wrap_socket(plain) as secure,
        ):
            secure.sendall(b"GET /abc HTTP/1.0\r\n\r\n")
            answer = b""
            while part := secure.recv(1000):
                answer += part
        assert answer.endswith(b"a pack")
        assert all(is_closed(stranger) for stranger in waiting)


def test_the_page_keeps_few_who_do_not_show_its_token() -> None:
    from tornado.netutil import bind_sockets
    from tornado.web import Application

    async def main() -> None:
        server = doors.OpenServer(Application([]), door=doors.Door("the page"))
        (listener,) = bind_sockets(0, "127.0.0.1")
        server.add_socket(listener)
        with ExitStack() as stack:
            waiting = await asyncio.to_thread(strangers, listener.getsockname()[1], 3 * FEW, stack)
            for stranger in waiting:
                assert await asyncio.to_thread(is_closed, stranger)
        server.stop()

    asyncio.run(main())


def test_one_line_a_minute(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [1000.0]
    monkeypatch.setattr(doors.time, "monotonic", lambda: now[0])
    door = doors.Door("the endpoint")
    with caplog.at_level(logging.WARNING):
        for second in range(130):
            now[0] = 1000.0 + second
            door.note("its handshake failed")
    assert [record.getMessage() for record in caplog.records] == [
        "the endpoint has refused a caller: its handshake failed",
        "the endpoint has refused a caller, 60 since the last such line: its handshake failed",
        "the endpoint has refused a caller, 60 since the last such line: its handshake failed",
    ]
