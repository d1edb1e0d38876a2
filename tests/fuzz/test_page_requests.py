"""What comes to the port of the page, mutated: an answer below 500 or a closed connection."""

from __future__ import annotations

import asyncio
import random
import socket
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import pytest
from fuzz.conftest import Fuzz
from fuzz.test_head_doors import no_trace

from jupyter_cluster.server.alone import HOST, _serve

pytestmark = pytest.mark.fuzz

TOKEN = "the-token-of-this-page"
PATHS = ["", "x/", "x/stream", "page.js", "x/page.css", "..%2f", "%00", "\u202e", "x" * 300, "%ff/"]
ODD = ["", "\x00", "\r\n", "é", "%", "%ff", "\ud800", ";", '"', "a=b=c", "9" * 400, "-1", TOKEN]


def request(chance: random.Random, port: int) -> bytes:
    """One that a browser would hardly make; some with the token, and some for the right host."""
    method = chance.choice(["GET", "GET", "GET", "POST", "HEAD", "PUT", "DELETE", "OPTIONS", "ODD"])
    path = "/" + chance.choice(PATHS)
    for name in chance.sample(["token", "since", ""], chance.randrange(3)):
        path += f"{'&' if '?' in path else '?'}{name}={chance.choice(ODD)}"
    lines = [
        f"{method} {path} HTTP/1.1",
        f"Host: {chance.choice([f'{HOST}:{port}'] * 4 + ['x', ''])}",
    ]
    lines.append("Connection: close")
    if chance.random() < 0.3:
        lines.append(f"Cookie: jupyter-cluster-{port}={TOKEN}")
    names = ["Cookie", "Content-Length", "Transfer-Encoding", "Upgrade", "X"]
    for name in chance.sample(names, chance.randrange(3)):
        lines.append(f"{name}: {chance.choice(ODD)}")
    data = bytearray("\r\n".join([*lines, "", ""]).encode(errors="surrogatepass"))
    for _ in range(chance.choice((0, 0, 1, 3))):
        at = chance.randrange(len(data) + 1)
        if chance.random() < 0.2:
            del data[at:]
        else:
            data[at : at + chance.randrange(3)] = chance.randbytes(chance.randrange(9))
    return bytes(data)


def ask(port: int, data: bytes, says_end: bool = True) -> bytes:
    """All that is answered until the connection is closed; a hang is a TimeoutError.

    A caller that says that it has said all is taken by Tornado for one that may have gone: what
    it would be answered may be dropped.
    """
    answer = b""
    with socket.create_connection((HOST, port), 20) as caller, suppress(ConnectionError):
        caller.sendall(data)
        if says_end:
            caller.shutdown(socket.SHUT_WR)
        while more := caller.recv(1 << 16):
            answer += more
    return answer


def test_requests_to_the_page(
    fuzz: Fuzz, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("JUPYTER_CLUSTER_HOME", str(tmp_path))
    listener = socket.create_server((HOST, 0))
    listener.setblocking(False)
    port = listener.getsockname()[1]

    def ask_all() -> list[int]:
        with ThreadPoolExecutor(8) as threads:
            asked = [request(chance, port) for chance in fuzz.rounds(1000)]
            answers = list(threads.map(lambda data: ask(port, data), asked))
        return [int(answer.split()[1]) for answer in answers if answer]

    async def main() -> None:
        serving = asyncio.create_task(_serve(listener, port, TOKEN))
        codes = await asyncio.to_thread(ask_all)
        assert {200, 302, 403, 404} <= set(codes)
        assert max(codes) < 500
        good = f"GET / HTTP/1.1\r\nHost: {HOST}:{port}\r\nConnection: close\r\n"
        cookie = f"Cookie: jupyter-cluster-{port}={TOKEN}\r\n\r\n"
        answer = await asyncio.to_thread(ask, port, (good + cookie).encode(), False)
        assert answer.startswith(b"HTTP/1.1 200")
        serving.cancel()

    with no_trace(caplog):
        asyncio.run(asyncio.wait_for(main(), 300))
