"""The verb that checks and explains a cluster YAML."""

from __future__ import annotations

import argparse
from dataclasses import asdict

from jupyter_cluster.commands.console import Console
from jupyter_cluster.commands.tables import Table
from jupyter_cluster.config import ClusterConfig, explain, load, schema
from jupyter_cluster.errors import ConfigError, UsageError

# What is told of a problem as JSON.
_PROBLEM = ("source", "line", "key", "message")


def config(options: argparse.Namespace, console: Console) -> None:
    """Do what the line's second word says."""
    if options.what == "schema":
        console.json(schema())
        return
    if options.file is None:
        raise UsageError(
            f"config {options.what} needs a file: {console.program} config {options.what} FILE"
        )
    if options.what == "check":
        _check(options, console)
    else:
        _explain(load(options.file), options, console)


def _check(options: argparse.Namespace, console: Console) -> None:
    try:
        checked = load(options.file)
    except ConfigError as error:
        if options.json:
            problems = [{key: getattr(one, key) for key in _PROBLEM} for one in error.problems]
            console.json({"valid": False, "problems": problems, "notices": []})
        raise
    if options.json:
        console.json({"valid": True, "problems": [], "notices": checked.notices})
    else:
        console.show(f"{options.file} is valid.", *checked.notices)


def _explain(loaded: ClusterConfig, options: argparse.Namespace, console: Console) -> None:
    found = explain(loaded)
    if options.json:
        console.json([asdict(one) for one in found])
        return
    rows = [(one.key, _shown(one.value), one.origin) for one in found]
    console.show(Table("explained", ("key", "value", "from"), rows))


def _shown(value: object) -> str:
    if isinstance(value, list | tuple):
        return ", ".join(map(str, value)) or "none"
    return "none" if value in (None, "", {}) else str(value)
