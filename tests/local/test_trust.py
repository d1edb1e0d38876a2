"""Nobody gets in: mutual TLS with roles at every door, secrets that only their owner reads."""

from __future__ import annotations

import asyncio
import contextlib
import http.client
import os
import pickle
import platform
import socket
import ssl
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psutil
import pytest
from helpers import eventually

import jupyter_cluster as jc
from jupyter_cluster.client import registry
from jupyter_cluster.trust import Role, client_context, dask_security, make_certificates, role_of
from jupyter_cluster.wire import PROTOCOL

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


def processes(cluster: jc.Cluster) -> dict[str, int]:
    """The processes of the cluster by name: host, head and one for each node."""
    return {str(n): int(p) for n, p in registry.entry(cluster.name).read("processes.json").items()}


def ports_of(pid: int) -> list[tuple[str, int]]:
    """Every address on which a process listens."""
    connections = psutil.Process(pid).net_connections(kind="inet")
    return [(c.laddr.ip, c.laddr.port) for c in connections if c.status == psutil.CONN_LISTEN]


def listening(cluster: jc.Cluster) -> list[tuple[str, int]]:
    """Every address on which a process of the cluster listens."""
    return [address for pid in processes(cluster).values() for address in ports_of(pid)]


def agent_address(cluster: jc.Cluster) -> str:
    """The port of the Dask Worker of one of the nodes."""
    cluster.map(abs, [1]).results()  # now there is one
    agents = [pid for name, pid in processes(cluster).items() if name not in ("host", "head")]
    ((ip, port),) = ports_of(agents[0])
    return f"tls://{ip}:{port}"


async def ask(address: str, credentials: Path, role: Role, message: dict[str, Any]) -> Any:
    """Say something to a Dask server, with a certificate of this role."""
    from distributed.comm import connect

    security = dask_security(credentials, role)
    comm = await connect(address, timeout=30, **security.get_connection_args("client"))
    try:
        await comm.write(message)
        return await comm.read()
    finally:
        comm.abort()


class Touch:
    """Makes a folder where it is unpickled."""

    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.marker),)


def pickled(marker: Path) -> dict[str, Any]:
    """Every way in which Dask puts a pickle into a message."""
    from distributed.protocol.serialize import Pickled, Serialized, ToPickle, to_serialize

    data = pickle.dumps(Touch(marker))
    typed = {"serializer": "dask", "type-serialized": data, "sub-header": {}, "type": "array"}
    return {
        "to-pickle": ToPickle(Touch(marker)),
        "pickled": Pickled({"pickled-obj": data, "compression": ()}, []),
        "serialize": to_serialize(Touch(marker)),
        "type of a serialized": Serialized({**typed, "compression": (None,)}, [b"x"]),
    }


async def send(address: str, credentials: Path, role: Role, *parts: Any) -> None:
    """One message for each part, after a handshake; returns when the last was dealt with."""
    from distributed.comm import connect

    arguments = dask_security(credentials, role).get_connection_args("client")
    comm = await connect(address, timeout=30, deserialize=False, **arguments)
    try:
        for part in parts:
            await comm.write(part)
        await asyncio.wait_for(comm.read(), 5)
    except OSError:
        pass  # the server has closed the connection
    finally:
        comm.abort()


async def shake_hands(address: str, credentials: Path, role: Role, part: Any) -> None:
    """Connect with something more in the handshake; returns when it was dealt with."""
    from distributed.comm import connect

    arguments = dask_security(credentials, role).get_connection_args("client")
    with contextlib.suppress(OSError):
        more = {"part": part}
        comm = await connect(address, 5, False, handshake_overrides=more, **arguments)
        with contextlib.closing(comm.stream):
            await comm.write({"op": "nothing"})
            await asyncio.wait_for(comm.read(), 2)


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
            socket.create_connection((address, port), timeout=30) as plain,
            context.wrap_socket(plain) as secure,
        ):
            secure.sendall(b"GET /v1/status HTTP/1.0\r\n\r\n")
            return secure.recv(1)
    except OSError:
        return b""


def answers_in_plain(address: str, port: int) -> bytes:
    """What a server says to somebody who speaks HTTP without TLS."""
    try:
        with socket.create_connection((address, port), timeout=30) as plain:
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


@pytest.mark.parametrize("port", [head_address, agent_address])
@pytest.mark.parametrize("role", list(Role))
def test_neither_head_nor_agent_loads_a_pickle_of_any_role(
    cluster: jc.Cluster, tmp_path: Path, role: Role, port: Callable[[jc.Cluster], str]
) -> None:
    address, credentials = port(cluster), folder(cluster) / "credentials"
    asyncio.run(ask(address, credentials, role, {"op": "nothing"}))  # it listens to this role
    for way, part in pickled(tmp_path / "marker").items():
        asyncio.run(send(address, credentials, role, {"op": "nothing", "part": part}))
        asyncio.run(shake_hands(address, credentials, role, part))
        assert cluster.map(abs, [-1]).results() == [1]
        assert not (tmp_path / "marker").exists(), way


def test_a_clients_session_loads_no_pickle(cluster: jc.Cluster, tmp_path: Path) -> None:
    session = {
        "op": "jc-session",
        "client": "x",
        "protocol": PROTOCOL,
        "python": platform.python_version(),
    }
    address, credentials = head_address(cluster), folder(cluster) / "credentials"
    for way, part in pickled(tmp_path / "marker").items():
        batch = [{"op": "delete", "job": part}]
        asyncio.run(send(address, credentials, Role.CLIENT, session, batch, {"op": "nothing"}))
        assert cluster.map(abs, [-1]).results() == [1]
        assert not (tmp_path / "marker").exists(), way


def test_the_endpoint_asks_for_a_clients_role(cluster: jc.Cluster) -> None:
    address = registry.entry(cluster.name).read("head.json")["endpoint"]
    for role, status in ((Role.CLIENT, 200), (Role.AGENT, 403)):
        context = client_context(folder(cluster) / "credentials", role)
        place = urlsplit(address)
        connection = http.client.HTTPSConnection(place.netloc, context=context, timeout=30)
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


def test_what_head_and_agents_write_is_for_its_owner_alone(cluster: jc.Cluster) -> None:
    def work(_x: int) -> bytes:
        print("a line for the log")
        return bytes(5_000_000)

    job = cluster.map(work, [1]).wait()
    place = folder(cluster)
    eventually((place / "logs" / "tasks.log").is_file)
    found = list(place.rglob("*"))
    wanted = {"journal.sqlite", "head.json", "tasks.log", "lock", "processes.json", f"{job.id}-0"}
    assert wanted <= {path.name for path in found}
    assert not [str(path) for path in found if path.lstat().st_mode & 0o077]


def test_files_of_tasks_have_the_users_umask(cluster: jc.Cluster, tmp_path: Path) -> None:
    def write(path: str) -> None:
        with open(path, "w") as file:
            file.write("mine")

    path = tmp_path / "written"
    cluster.map(write, [str(path)]).results()
    umask = os.umask(0)
    os.umask(umask)
    assert umask != 0o077  # otherwise this test says nothing
    assert stat.S_IMODE(path.stat().st_mode) == 0o666 & ~umask


def test_a_role_is_read_from_the_certificate_and_nothing_else() -> None:
    assert role_of({"subject": ((("commonName", "head"),),)}) is Role.HEAD
    assert role_of({"subject": ((("commonName", "admin"),),)}) is None
    assert role_of({}) is None
    assert role_of(None) is None
