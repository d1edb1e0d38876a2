"""The verbs that go to the hosts of a cluster."""

from __future__ import annotations

import argparse
import shlex
from pathlib import Path

from jupyter_cluster.client import copying, hosts
from jupyter_cluster.commands.console import Console
from jupyter_cluster.commands.naming import running
from jupyter_cluster.errors import UsageError
from jupyter_cluster.formats import counted


def attach(options: argparse.Namespace, console: Console) -> int:
    """An interactive shell where tasks run."""
    from jupyter_cluster.client.program import interact, is_terminal

    if not is_terminal():
        raise UsageError(
            f"an interactive shell needs a terminal; `{console.program} exec` runs one command"
        )
    with hosts.node_of(running(options), options.node) as node:
        return interact(node, node.shell())


def exec(options: argparse.Namespace, console: Console) -> int:
    """Run a command as if it ran here: its input, its outputs, its exit code and Ctrl-C are ours.

    With a terminal on both sides it has one, too.
    """
    from jupyter_cluster.client.program import run

    with hosts.node_of(running(options), options.node, console.notice) as node:
        return run(node, options.command)


def submit(options: argparse.Namespace, console: Console) -> int:
    """Bring a script to the head and run it there, as `exec` does."""
    from jupyter_cluster.client.program import run

    script = Path(options.script)
    if not script.is_file():
        raise UsageError(f"there is no script {script} here")
    with hosts.node_of(running(options), on_line=console.notice) as node:
        name = f"scripts/{script.name}"
        node.put({name: script.read_bytes()})
        words = ["python", "-u", f"{node.folder}/{name}", *options.arguments]
        return run(node, " ".join(map(shlex.quote, words)))


def rsync_up(options: argparse.Namespace, console: Console) -> None:
    """Copy files from here to a node."""
    with hosts.node_of(running(options), options.node) as node:
        count = copying.send(node, Path(options.source).expanduser(), options.target)
    console.notice(f"{counted(count, 'file')} copied to {options.node}:{options.target}")


def rsync_down(options: argparse.Namespace, console: Console) -> None:
    """Copy files from a node to here."""
    with hosts.node_of(running(options), options.node) as node:
        target = Path(options.target).expanduser()
        count = copying.receive(node, options.source, target, console.notice)
    console.notice(f"{counted(count, 'file')} copied to {options.target}")
