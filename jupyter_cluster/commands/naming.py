"""Which cluster a line means."""

from __future__ import annotations

import argparse

from jupyter_cluster.client.endpoint import Endpoint
from jupyter_cluster.client.registry import NAME, Entry, entries, entry, find


def named(text: str | None) -> str | None:
    """A cluster's name, from itself or from the cluster YAML that has it.

    Raises
    ------
    ConfigError
        The file cannot be read, or has problems.
    """
    if text is None or NAME.fullmatch(text):
        return text
    # What cannot be a name is a file: names have neither dots nor slashes.
    from jupyter_cluster.config import load

    return load(text).cluster_name


def running(options: argparse.Namespace) -> Entry:
    """The running cluster that is meant; where none is named, the only one.

    Raises
    ------
    RegistryError
        There is none, or several and none is named.
    """
    return find(named(options.cluster))


def known(options: argparse.Namespace) -> Entry:
    """The cluster that is meant, running or stopped; where none is named, the only one."""
    name = named(options.cluster)
    if name is None:
        there = entries()
        return there[0] if len(there) == 1 else find()
    place = entry(name)
    return place if place.exists else find(name)


def endpoint(options: argparse.Namespace) -> Endpoint:
    """The head of the running cluster that is meant."""
    return Endpoint(running(options))
