"""`exec` and `submit`: a command over there as if it ran here, over a real SSH server."""

from __future__ import annotations

import fcntl
import os
import pty
import select
import signal
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Iterator

import pytest
from helpers import eventually, running
from nodes.sshd import serving

pytestmark = pytest.mark.local

# What the verb does once it has found the cluster's node.
PROGRAM = """
import sys, time
from pathlib import Path
from jupyter_cluster.client.program import run
from jupyter_cluster.nodes.node import open_node
from jupyter_cluster.nodes.ssh import HostKeys, Login, wait_for

user, key, port, command = sys.argv[1:]
login = Login(user, Path(key), int(port))
ssh = wait_for("127.0.0.1", login, "here", HostKeys(Path(key + ".hosts")), time.monotonic() + 20)
node = open_node(ssh, "test", print)
code = run(node, command)
ssh.close()
sys.exit(code)
"""


@pytest.fixture(scope="module")
def words(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[str]]:
    with serving(tmp_path_factory.mktemp("sshd")) as login:
        yield [sys.executable, "-c", PROGRAM, login.user, str(login.key), str(login.port)]


def started(words: list[str], command: str, **options: object) -> subprocess.Popen[bytes]:
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    return subprocess.Popen([*words, command], **{**pipes, **options})  # type: ignore[call-overload]


def test_pipes_and_the_exit_code_are_those_of_the_command(words: list[str]) -> None:
    command = "tr a-z A-Z; printf '\\377\\r1 of 2'; echo problem >&2; exit 7"
    with started(words, command) as process:
        out, err = process.communicate(b"piped\n", timeout=60)
    assert (process.returncode, out) == (7, b"PIPED\n\xff\r1 of 2")
    assert err.endswith(b"problem\n")
    with started(words, "yes", stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.read(10)
        process.stdout.close()  # as `head` does
        assert process.wait(60) == 141
        assert process.stderr is not None
        assert b"Traceback" not in process.stderr.read()
    with started(words, "kill -KILL $$") as process:
        process.communicate(b"", timeout=60)
    assert process.returncode == 137


def test_a_progress_bar_comes_while_it_moves(words: list[str]) -> None:
    # It goes on only when it is told to: what it has written must have come before.
    command = "for i in 1 2 3; do printf '\\r%d of 3' $i; read answer; done"
    with started(words, command) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        for number in (1, 2, 3):
            assert process.stdout.read(7) == b"\r%d of 3" % number
            process.stdin.write(b"on\n")
            process.stdin.flush()
        assert process.wait(60) == 0


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("deaf", ["", "trap '' INT TERM; "])
def test_the_end_here_is_the_end_there(words: list[str], how: int, deaf: str) -> None:
    mark = f"{time.monotonic_ns() % 10**9}.5"
    command = f"{deaf}sh -c 'sleep {mark}; true' & echo begun; sleep {mark}; true"
    with started(words, command, preexec_fn=os.setpgrp) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"begun\n"
        process.send_signal(how)
        code = process.wait(60)
    assert code == 128 + how
    eventually(lambda: not running(f"sleep {mark}"))


def test_with_a_terminal_it_has_one(words: list[str]) -> None:
    master, slave = pty.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 33, 99, 0, 0))
    environment = {k: v for k, v in os.environ.items() if k not in ("COLUMNS", "LINES")}
    command = "trap 'echo hurt; exit 5' INT; stty size;"
    command += " test -t 0 && test -t 1 && echo ter''minal; sleep 95.4321"
    options = {"stdin": slave, "stdout": slave, "stderr": slave, "env": environment}
    with started(words, command, start_new_session=True, **options) as process:
        os.close(slave)
        text = until(master, b"terminal")
        assert b"33 99" in text
        os.write(master, b"\x03")
        until(master, b"hurt")
        assert process.wait(60) == 5
    os.close(master)
    eventually(lambda: not running("sleep 95.4321"))


def until(terminal: int, wanted: bytes) -> bytes:
    """What comes until this has come."""
    text, deadline = b"", time.monotonic() + 60
    while wanted not in text:
        assert time.monotonic() < deadline, text
        if select.select([terminal], [], [], 0.5)[0]:
            text += os.read(terminal, 4096)
    return text
