"""Nobody gets in: mutual TLS with roles at every door, secrets that only their owner reads."""

from __future__ import annotations

import asyncio
import http.client
import socket
import ssl
import stat
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psutil
import pytest

import jupyter_cluster as jc
from jupyter_cluster.client import registry
from jupyter_cluster.trust import Role, client_context, dask_security, make_certificates, role_of

pytestmark = pytest.mark.local

# What Dask lets every caller do by itself.
DASK_OPERATIONS = [
    "run_function",
    "feed",
    "register_scheduler_plugin",
    "broadcast",
    "proxy",
    "terminate",
    "register-client",
    "gather",
    "scatter",
    "restart",
    "get_logs",
    "identity",
]


def folder(cluster: jc.Cluster) -> Path:
    return registry.entry(cluster.name).folder


def head_address(cluster: jc.Cluster) -> str:
    return str(registry.entry(cluster.name).read("head.json")["scheduler"])


def listening(cluster: jc.Cluster) -> list[tuple[str, int]]:
    """Every address on which a process of the cluster listens."""
    found = []
    for pid in registry.entry(cluster.name).read("processes.json").values():
        for connection in psutil.Process(pid).net_connections(kind="inet"):
            if connection.status == psutil.CONN_LISTEN:
                found.append((connection.laddr.ip, connection.laddr.port))
    return found


async def ask(address: str, credentials: Path, role: Role, message: dict[str, Any]) -> Any:
    """Say something to a Dask server, with a certificate of this role."""
    from distributed.comm import connect

    security = dask_security(credentials, role)
    comm = await connect(address, timeout=5, **security.get_connection_args("client"))
    try:
        await comm.write(message)
        return await comm.read()
    finally:
        comm.abort()


def is_refused(address: str, credentials: Path, role: Role, message: dict[str, Any]) -> bool:
    """Whether a Dask server closes the connection, knows no such thing, or refuses."""
    try:
        answer = asyncio.run(asyncio.wait_for(ask(address, credentials, role, message), 5))
    except OSError:
        return True
    return answer is None or answer.get("status") == "uncaught-error"


def answers_without_certificate(address: str, port: int) -> bytes:
    """What a server says to a TLS caller that has no certificate."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    try:
        with (
            socket.create_connection((address, port), timeout=5) as plain,
            context.wrap_socket(plain) as secure,
        ):
            secure.sendall(b"GET /v1/status HTTP/1.0\r\n\r\n")
            return secure.recv(1)
    except OSError:
        return b""


def answers_in_plain(address: str, port: int) -> bytes:
    """What a server says to somebody who speaks HTTP without TLS."""
    try:
        with socket.create_connection((address, port), timeout=5) as plain:
            plain.sendall(b"GET /info/main/workers.html HTTP/1.0\r\n\r\n")
            return plain.recv(1)
    except OSError:
        return b""


def test_every_port_is_on_loopback_and_asks_for_a_certificate(cluster: jc.Cluster) -> None:
    cluster.map(lambda x: x, range(10)).results()
    ports = listening(cluster)
    assert len(ports) >= 3  # the head's two and each node's one
    for address, port in ports:
        assert address == "127.0.0.1"
        assert answers_without_certificate(address, port) == b""
        assert answers_in_plain(address, port) in (b"", b"\x15")  # a TLS alert


def test_a_certificate_of_another_cluster_is_refused(cluster: jc.Cluster, tmp_path: Path) -> None:
    make_certificates(tmp_path, "stranger")
    assert is_refused(head_address(cluster), tmp_path, Role.CLIENT, {"op": "identity"})


@pytest.mark.parametrize("operation", DASK_OPERATIONS)
@pytest.mark.parametrize("role", list(Role))
def test_the_schedulers_own_handlers_are_closed_to_every_role(
    cluster: jc.Cluster, role: Role, operation: str
) -> None:
    credentials = folder(cluster) / "credentials"
    assert is_refused(head_address(cluster), credentials, role, {"op": operation, "reply": True})


def test_an_agent_cannot_be_a_client_nor_a_client_an_agent(cluster: jc.Cluster) -> None:
    credentials = folder(cluster) / "credentials"
    session = {"op": "jc-session", "client": "x", "protocol": 1, "python": "3.11.0"}
    answer = asyncio.run(ask(head_address(cluster), credentials, Role.AGENT, session))
    assert "the caller's role is agent" in answer["exception_text"]
    joining = {"op": "register-worker", "address": "tls://127.0.0.1:1"}
    answer = asyncio.run(ask(head_address(cluster), credentials, Role.CLIENT, joining))
    assert "the caller's role is client" in answer["exception_text"]


def test_the_endpoint_asks_for_a_clients_role(cluster: jc.Cluster) -> None:
    address = registry.entry(cluster.name).read("head.json")["endpoint"]
    for role, status in ((Role.CLIENT, 200), (Role.AGENT, 403)):
        context = client_context(folder(cluster) / "credentials", role)
        place = urlsplit(address)
        connection = http.client.HTTPSConnection(place.netloc, context=context, timeout=5)
        connection.request("GET", "/v1/status")
        answer = connection.getresponse()
        answer.read()
        assert answer.status == status
        connection.close()


def test_secrets_are_for_their_owner_alone(cluster: jc.Cluster) -> None:
    place = folder(cluster)
    for path in [place, *place.rglob("*")]:
        mode = stat.S_IMODE(path.stat().st_mode)
        if path.suffix == ".key" or path.name in ("cluster.json", "config.json"):
            assert mode == 0o600
    assert stat.S_IMODE(place.stat().st_mode) == 0o700
    assert stat.S_IMODE((place / "credentials").stat().st_mode) == 0o700


def test_a_role_is_read_from_the_certificate_and_nothing_else() -> None:
    assert role_of({"subject": ((("commonName", "head"),),)}) is Role.HEAD
    assert role_of({"subject": ((("commonName", "admin"),),)}) is None
    assert role_of({}) is None
    assert role_of(None) is None
