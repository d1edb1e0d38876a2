"""Questions to a head on connections that are kept; what follows it says why there is no news."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from helpers import eventually
from real_head import real_head

from jupyter_cluster.client.connection_pool import MAX_IDLE, pool
from jupyter_cluster.client.endpoint import Endpoint
from jupyter_cluster.client.history import of_cluster
from jupyter_cluster.client.registry import Entry
from jupyter_cluster.client.watch import Contact, View, Watch
from jupyter_cluster.errors import ClusterError, ConnectionLostError
from jupyter_cluster.head.job import JobSpec
from jupyter_cluster.trust import Role, make_certificates, server_context

pytestmark = pytest.mark.unit

ODD_ANSWERS = [
    (500, b'{"error": "the disk is full"}', "the disk is full"),
    (500, b"<html>no</html>", ""),
    (404, b"[]", ""),
    (500, b"null", ""),
    (503, b'{"error": null}', ""),
    (500, b"", ""),
]
ODD_NEWS = [b"[]\n", b"5\n", b"no\n", b'{"status": 5, "events": [], "samples": []}\n', b"\xff\n"]
ODD_NEWS += [b'{"status": {}, "events": [{}], "samples": []}\n', b'{"status": {}}\n', b""]
NEWS = b'{"status": {"name": "odd"}, "events": [], "samples": []}\n'


@contextmanager
def answering(folder: Path, status: int, body: bytes) -> Iterator[ThreadingHTTPServer]:
    """What holds a head's certificate and answers everything like this."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            status, body = self.server.answer  # type: ignore[attr-defined]
            self.send_response(status)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_args: Any) -> None:
            pass

    make_certificates(folder / "credentials", "odd")
    (folder / "lock").touch()
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.answer = status, body  # type: ignore[attr-defined]
        server.handle_error = lambda *_args: None  # type: ignore[assignment]
        context = server_context(folder / "credentials", Role.HEAD)
        server.socket = context.wrap_socket(server.socket, server_side=True)
        address = f"https://127.0.0.1:{server.server_address[1]}"
        (folder / "head.json").write_text(json.dumps({"endpoint": address}))
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture
def alive(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody holds the lock of these heads, which are no cluster's."""
    monkeypatch.setattr(Entry, "is_alive", True)


@pytest.mark.parametrize(("status", "body", "said"), ODD_ANSWERS)
def test_an_error_body_is_a_sentence(
    tmp_path: Path, alive: None, status: int, body: bytes, said: str
) -> None:
    with answering(tmp_path, status, body):
        with pytest.raises(ClusterError) as caught:
            Endpoint(Entry("odd", tmp_path)).get("status")
        assert said in str(caught.value)
        views: list[View] = []
        watching = Watch(Entry("odd", tmp_path), views.append)
        watching.start()
        eventually(lambda: views)
        assert watching.view.contact is Contact.LOST
        assert f"refuses to be followed ({status}): {said}" in watching.view.problem
        watching.close()


@pytest.mark.parametrize("line", ODD_NEWS)
def test_news_that_cannot_be_read_are_said_and_followed_by_others(
    tmp_path: Path, alive: None, line: bytes
) -> None:
    with answering(tmp_path, 200, line) as server:
        watching = Watch(Entry("odd", tmp_path), lambda _view: None)
        watching.start()
        eventually(lambda: watching.view.contact is Contact.LOST)
        assert watching.view.problem
        server.answer = 200, NEWS  # type: ignore[attr-defined]
        eventually(lambda: watching.view.status == {"name": "odd"})
        watching.close()


def test_who_draws_a_view_cannot_end_the_watch(tmp_path: Path, alive: None) -> None:
    drawn = []

    def draw(view: View) -> None:
        drawn.append(view.contact)
        raise RuntimeError("no room to draw")

    with answering(tmp_path, 200, NEWS * 3):
        watching = Watch(Entry("odd", tmp_path), draw)
        watching.start()
        eventually(lambda: drawn.count(Contact.CONNECTED) >= 3 and Contact.LOST in drawn)
        watching.close()


def test_questions_take_over_a_connection_and_survive_its_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = []
    connected = Endpoint._connected
    monkeypatch.setattr(
        Endpoint, "_connected", lambda self, to: made.append(to) or connected(self, to)
    )

    def idle() -> list[Any]:
        return [connection for kept in pool._idle.values() for _since, connection in kept]

    async def main() -> None:
        async with real_head(tmp_path) as head:
            pool.close()
            asked = Endpoint(Entry("real", tmp_path))
            for _ in range(5):
                await asyncio.to_thread(asked.get, "status")
            assert len(made) == 1
            made.clear()
            await asyncio.gather(*(asyncio.to_thread(asked.get, "jobs") for _ in range(9)))
            assert len(idle()) <= MAX_IDLE
            made.clear()
            for job in range(20):
                spec = {"id": f"j{job}", "client": "c", "kind": "put", "name": "x"}
                head.jobs.submit(JobSpec(**spec))
            await asyncio.to_thread(of_cluster, asked, "real")
            assert len(made) <= 1
            # Whoever asks next goes on with them, and of those that have died none is missed.
            await asyncio.to_thread(Endpoint(Entry("real", tmp_path)).get, "status")
            assert len(made) <= 1
            for connection in idle():
                connection.sock.close()
            await asyncio.to_thread(asked.get, "status")
            pool.close()
            assert not idle()
        with pytest.raises(ConnectionLostError, match="does not answer"):
            await asyncio.to_thread(Endpoint(Entry("real", tmp_path)).get, "status")

    asyncio.run(main())


def test_a_head_that_ends_under_a_question_has_not_answered_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def ended(*_arguments: Any) -> None:
        task = asyncio.current_task()
        assert task is not None
        task.cancel()
        await asyncio.sleep(0)

    async def main() -> None:
        async with real_head(tmp_path) as head:
            monkeypatch.setattr(head.diary, "wait", ended)
            asked = Endpoint(Entry("real", tmp_path))
            with pytest.raises(ConnectionLostError, match="is ending"):
                await asyncio.to_thread(asked.get, "events", since=0, wait=1)

    asyncio.run(main())
