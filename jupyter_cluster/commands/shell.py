"""A terminal at the other end of an SSH connection."""

from __future__ import annotations

import os
import select
import shutil
import signal
import sys
from typing import Any

from jupyter_cluster.commands.console import Console
from jupyter_cluster.errors import UsageError


def require_terminal(console: Console) -> None:
    """An interactive shell needs somebody at a keyboard.

    Raises
    ------
    UsageError
        There is nobody.
    """
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise UsageError(
            f"an interactive shell needs a terminal; `{console.program} exec` runs one command"
        )


def interact(ssh: Any, command: str) -> int:
    """Run a command with this terminal as its own; returns its exit code."""
    import termios
    import tty

    columns, lines = shutil.get_terminal_size()
    channel = ssh.session()
    channel.get_pty(os.environ.get("TERM", "xterm"), columns, lines)
    channel.exec_command(command)

    def resize(_number: int, _frame: object) -> None:
        width, height = shutil.get_terminal_size()
        channel.resize_pty(width, height)

    before = signal.signal(signal.SIGWINCH, resize)
    settings = termios.tcgetattr(sys.stdin)
    try:
        tty.setraw(sys.stdin.fileno())
        _carry(channel, sys.stdin.fileno(), sys.stdout.fileno())
    finally:
        termios.tcsetattr(sys.stdin, termios.TCSADRAIN, settings)
        signal.signal(signal.SIGWINCH, before)
    return int(channel.recv_exit_status())


def _carry(channel: Any, source: int, target: int) -> None:
    """Keys there, output here, until the other end has no more to say."""
    watched = [channel, source]
    while True:
        ready, _, _ = select.select(watched, [], [])
        if channel in ready:
            data = channel.recv(2**15)
            if not data:
                return
            os.write(target, data)
        if source in ready:
            keys = os.read(source, 1024)
            if keys:
                channel.sendall(keys)
            else:
                watched.remove(source)
                channel.shutdown_write()
