"""Commands on a host, over a real SSH server: what they print, how they end, whom they leave."""

from __future__ import annotations

import contextlib
import itertools
import re
import shlex
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import paramiko
import pytest
from helpers import eventually, running
from nodes.sshd import serving
from paramiko.common import MSG_CHANNEL_EOF, byte_chr

from jupyter_cluster.errors import SetupError
from jupyter_cluster.nodes.command import LINE_BYTES, TAIL_BYTES
from jupyter_cluster.nodes.node import Node, open_node
from jupyter_cluster.nodes.session import OVERDUE, CommandError
from jupyter_cluster.nodes.ssh import HostKeys, Login, wait_for

pytestmark = pytest.mark.local


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Login]:
    with serving(tmp_path_factory.mktemp("sshd")) as login:
        yield login


@pytest.fixture
def node(server: Login, tmp_path: Path) -> Iterator[Node]:
    keys = HostKeys(tmp_path / "known_hosts")
    ssh = wait_for("127.0.0.1", server, "here", keys, time.monotonic() + 20)
    made = open_node(ssh, tmp_path.name, lambda line: lines.append(line))
    lines.clear()
    made.put({"a/b": b"x"})
    yield made
    ssh.close()


lines: list[str] = []


def test_answers_are_told_from_what_a_shell_says_at_its_start(node: Node) -> None:
    assert node.ask("echo out; echo noise >&2") == "out\n"
    assert node.ask_inside("cat", [b"in"]) == "in"
    assert b"".join(node.read_inside("printf ab; echo noise >&2")) == b"ab"
    assert node.read("a/b") == "x"
    assert node.home.endswith("/home")
    node.host("echo one; echo two >&2")
    assert sorted(lines) == ["bash: warning: setlocale: cannot change locale", "one", "two"]
    with pytest.raises(CommandError, match=r"^'exit 3' ended with code 3"):
        node.host("exit 3")


def test_a_shell_that_runs_nothing_is_named(node: Node, server: Login) -> None:
    login = server.key.parent / "login"
    before = login.read_text()
    login.write_text("#!/bin/sh\necho conda is broken\n")
    try:
        with pytest.raises(SetupError, match=r"does not run commands: .*conda is broken"):
            node.ask("echo out")
    finally:
        login.write_text(before)


def test_a_command_that_keeps_printing_has_an_end(node: Node) -> None:
    node.deadline = time.monotonic() + 1
    with pytest.raises(CommandError, match=r"did not end in time:\n.*tick") as caught:
        node.user_command(f"while :; do echo tick {node.folder}; sleep 0.05; done")
    assert caught.value.code == OVERDUE
    eventually(lambda: not running(f"tick {node.folder}"))  # it is ended over there too


@pytest.mark.parametrize("outputs", ["", ">/dev/null 2>&1"])
def test_what_a_command_leaves_in_the_background_holds_nobody(node: Node, outputs: str) -> None:
    node.deadline = time.monotonic() + 100
    node.user_command(f"sleep 98.7654 {outputs} & echo begun")
    assert time.monotonic() < node.deadline - 50
    assert "begun" in lines  # not always last: the two outputs come in any order
    for process in running("sleep 98.7654"):
        process.kill()


def test_a_command_that_is_overdue_is_told_from_one_with_its_code(node: Node) -> None:
    for run in (node.host, node.user_command):
        with pytest.raises(CommandError, match=r"^'exit 124' ended with code 124"):
            run("exit 124")
        node.deadline = time.monotonic() - 1  # before it has begun
        with pytest.raises(CommandError, match=r"^'sleep 1' did not end in time"):
            run("sleep 1")
        node.deadline = None


def test_a_command_that_closes_its_outputs_has_an_end(node: Node) -> None:
    node.deadline = time.monotonic() + 1
    with pytest.raises(CommandError, match="did not end in time"):
        node.user_command("exec >/dev/null 2>&1 </dev/null; sleep 97.6543")
    eventually(lambda: not running("sleep 97.6543"))


def test_output_without_end_is_bounded(node: Node) -> None:
    node.user_command(
        f"{shlex.quote(sys.executable)} -c \"print('x' * 5_000_000 + 'y'); print('a\\rb\\rc')\""
    )
    assert max(map(len, lines)) == LINE_BYTES
    assert sum(map(len, lines[:-1])) >= 5_000_000
    assert lines[-1] == "c"
    with pytest.raises(CommandError) as caught:
        node.user_command("yes | head -c 3000000; exit 3")
    assert caught.value.code == 3
    assert len(str(caught.value)) < TAIL_BYTES


def test_a_source_that_fails_ends_the_command_with_its_words(node: Node) -> None:
    def source() -> Iterator[bytes]:
        yield b"some"
        raise SetupError("the file is gone")

    with pytest.raises(SetupError, match="the file is gone"):
        node.ask("cat >/dev/null", source())


def test_the_profile_is_read_and_not_run(node: Node, tmp_path: Path) -> None:
    from jupyter_cluster.nodes import node as module

    profile = tmp_path / "environment"
    profile.write_text(
        "# settings\nPIP_INDEX_URL=http://a/?b=c d\n  export A='one two' \nB=\"\"\n"
        f"rm -f {profile}; echo noise\nbad-name=1\nPATH=/opt:$PATH\nLAST=no newline"
    )
    script = module.profile(str(profile)) + 'echo "$PIP_INDEX_URL|$A|$B|$LAST"; test -n "$PATH"'
    assert node.ask(script) == "http://a/?b=c d|one two||no newline\n"
    assert profile.exists()


# -- reaching a host ------------------------------------------------------------------------------


def test_a_first_handshake_without_an_answer_is_tried_again(
    server: Login, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from jupyter_cluster.nodes import ssh as module

    monkeypatch.setattr(module, "CONNECT_SECONDS", 1.0)
    with relayed(server.port, lambda number: number > 0) as port:
        login = Login(server.user, server.key, port)
        keys = HostKeys(tmp_path / "known_hosts")
        ssh = wait_for("127.0.0.1", login, "here", keys, time.monotonic() + 60)
        assert ssh.ask("echo jupyter_cluster-answers:; echo out") == "out\n"
        ssh.close()


def test_a_host_whose_every_handshake_is_slow_gets_more_time(
    server: Login, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from jupyter_cluster.nodes import ssh as module

    monkeypatch.setattr(module, "CONNECT_SECONDS", 2.0)

    def late(_number: int) -> bool:
        time.sleep(3)  # longer than the first try waits
        return True

    with relayed(server.port, late) as port:
        login = Login(server.user, server.key, port)
        keys = HostKeys(tmp_path / "known_hosts")
        ssh = wait_for("127.0.0.1", login, "here", keys, time.monotonic() + 60)
        assert ssh.ask("echo jupyter_cluster-answers:; echo out") == "out\n"
        ssh.close()


@contextlib.contextmanager
def relayed(port: int, answers: Callable[[int], bool]) -> Iterator[int]:
    """A port before this one; a connection to it is carried on where `answers` says so of its
    number, from 0, and is silent else."""
    front = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        with contextlib.ExitStack() as made, contextlib.suppress(OSError):  # closed: it is over
            for number in itertools.count():
                one = made.enter_context(front.accept()[0])
                threading.Thread(target=carry, args=(one, number), daemon=True).start()

    def carry(one: socket.socket, number: int) -> None:
        if answers(number):
            with contextlib.suppress(OSError):  # who has waited too long has hung up
                relay(one, port)

    threading.Thread(target=serve, daemon=True).start()
    with front:
        yield front.getsockname()[1]
        front.shutdown(socket.SHUT_RDWR)


def relay(one: socket.socket, port: int) -> None:
    with one, socket.create_connection(("127.0.0.1", port)) as other:

        def back() -> None:
            with contextlib.suppress(OSError):
                while data := other.recv(65536):
                    one.sendall(data)

        threading.Thread(target=back, daemon=True).start()
        while data := one.recv(65536):
            other.sendall(data)


PROXY = """
import os, socket, sys, threading
there = socket.create_connection((sys.argv[1], int(sys.argv[2])))
def away():
    while data := os.read(0, 65536):
        there.sendall(data)
    there.shutdown(socket.SHUT_WR)
threading.Thread(target=away, daemon=True).start()
while data := there.recv(65536):
    os.write(1, data)
"""


def test_a_proxy_that_hangs_at_first_and_one_that_fails(server: Login, tmp_path: Path) -> None:
    (tmp_path / "proxy.py").write_text(PROXY)
    flag = tmp_path / "flag"
    script = tmp_path / "proxy"
    script.write_text(
        f"#!/bin/sh\n[ -e {flag} ] || {{ touch {flag}; exec sleep 96.5432; }}\n"
        f"exec {sys.executable} {tmp_path}/proxy.py $1 $2\n"
    )
    script.chmod(0o755)
    keys = HostKeys(tmp_path / "known_hosts")
    login = Login(server.user, server.key, server.port, f"{script} %h %p")
    ssh = wait_for("127.0.0.1", login, "here", keys, time.monotonic() + 60)
    assert ssh.ask("echo jupyter_cluster-answers:; echo out") == "out\n"
    ssh.close()
    assert not running("sleep 96.5432")
    eventually(lambda: not running(f"{tmp_path}/proxy.py"))
    login = Login(server.user, server.key, server.port, "echo no way through >&2; exit 1;")
    with pytest.raises(SetupError, match=r"ssh_proxy_command says: no way through"):
        wait_for("127.0.0.1", login, "here", keys, time.monotonic() + 0.1)


@pytest.mark.parametrize("content", [b"no key", b"-----BEGIN OPENSSH PRIVATE KEY-----\n"])
def test_a_key_that_is_none_is_named(server: Login, tmp_path: Path, content: bytes) -> None:
    (tmp_path / "key").write_bytes(content)
    login = Login(server.user, tmp_path / "key", server.port)
    keys = HostKeys(tmp_path / "known_hosts")
    with pytest.raises(SetupError, match=re.escape(f"{tmp_path}/key cannot be used")):
        wait_for("127.0.0.1", login, "here", keys, time.monotonic() + 5, patience=0)


def test_what_a_channel_sends_after_its_end_ends_no_connection(node: Node) -> None:
    """As when one thread writes while another one closes (paramiko's issues 1115 and 1705)."""
    ssh = node.ssh
    for _ in range(3):  # the server uses the channel's number again
        channel = ssh.open()
        channel.exec_command("true")
        end_of_file = paramiko.Message()
        end_of_file.add_byte(byte_chr(MSG_CHANNEL_EOF))
        end_of_file.add_int(channel.remote_chanid)  # type: ignore[attr-defined]
        channel.close()
        transport = channel.transport
        eventually(lambda: channel.chanid not in transport._channels._map)  # noqa: B023
        transport._send_user_message(end_of_file)
        assert node.ask("echo still here") == "still here\n"
    assert ssh.is_open
