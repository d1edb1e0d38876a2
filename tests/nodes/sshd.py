"""A real SSH server on the loopback, whose users' shells are as noisy as those of real hosts."""

from __future__ import annotations

import getpass
import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from helpers import free_port

from jupyter_cluster.nodes.ssh import Login

_CONFIG = """
ListenAddress 127.0.0.1
Port {port}
HostKey {folder}/host.key
PidFile none
AuthorizedKeysFile {folder}/authorized_keys
StrictModes no
PasswordAuthentication no
KbdInteractiveAuthentication no
MaxSessions 100
MaxStartups 100
PermitRootLogin prohibit-password
ForceCommand {folder}/login
"""
# What people have in their .bashrc, and cloud images in theirs.
_LOGIN = """#!/bin/bash
echo "Welcome to this host!"
echo "bash: warning: setlocale: cannot change locale" >&2
export HOME={folder}/home
cd
[ -n "$SSH_ORIGINAL_COMMAND" ] && exec bash -c "$SSH_ORIGINAL_COMMAND"
exec bash -i
"""


@contextmanager
def serving(folder: Path) -> Iterator[Login]:
    """Such a server; the home folder of its user is ``home`` in the folder."""
    program = shutil.which("sshd", path=f"{os.environ['PATH']}:/usr/sbin")
    if program is None:
        if "JUPYTER_CLUSTER_REQUIRE_ALL" in os.environ:
            pytest.fail("there is no sshd")
        pytest.skip("there is no sshd here")
    port = free_port()
    (folder / "home").mkdir()
    _key(folder / "host.key")
    public = _key(folder / "user.key")
    (folder / "authorized_keys").write_text(public)
    (folder / "config").write_text(_CONFIG.format(folder=folder, port=port))
    (folder / "login").write_text(_LOGIN.format(folder=folder))
    (folder / "login").chmod(0o755)
    if os.geteuid() == 0:
        Path("/run/sshd").mkdir(exist_ok=True)
    log = folder / "sshd.log"
    words = [program, "-D", "-E", str(log), "-f", str(folder / "config")]
    with subprocess.Popen(words) as server:
        try:
            yield Login(getpass.getuser(), folder / "user.key", port)
        finally:
            server.terminate()


def _key(path: Path) -> str:
    made = Ed25519PrivateKey.generate()
    path.write_bytes(
        made.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.OpenSSH,
            serialization.NoEncryption(),
        )
    )
    path.chmod(0o600)
    public = made.public_key().public_bytes(
        serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH
    )
    return public.decode()
