"""The verbs of `jupyter-cluster …` and `%cluster …`: one parser, one function for each verb.

A verb is a function over the parsed options and a `Console`, so that it knows neither terminal
nor notebook. Its module is imported when it is run: a line of help costs no import of the engine.
"""

from __future__ import annotations

import argparse
from importlib import import_module
from typing import TYPE_CHECKING, Any

from jupyter_cluster.commands.parser import TextRequested, overview, parse, verb

if TYPE_CHECKING:
    from jupyter_cluster.commands.console import Console

__all__ = ["TextRequested", "overview", "parse", "run"]


def run(options: argparse.Namespace, console: Console) -> Any:
    """Do what a parsed line asks for.

    Returns
    -------
    Entry, int or None
        ``up`` and ``connect`` return the cluster's registry entry, ``demo``, ``exec`` and
        ``submit`` an exit code.

    Raises
    ------
    ClusterError
        What went wrong, as a sentence for a person.
    """
    home = import_module(f"jupyter_cluster.commands.{verb(options.verb).module}")
    return getattr(home, options.verb.replace("-", "_"))(options, console)
