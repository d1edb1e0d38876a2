"""What may stand at the end of a line: verbs, options, and names that only a cluster knows."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from jupyter_cluster.client.endpoint import Endpoint
from jupyter_cluster.client.registry import entries, find
from jupyter_cluster.commands.naming import named
from jupyter_cluster.commands.parser import parser_of
from jupyter_cluster.commands.verbs import VERBS
from jupyter_cluster.errors import ClusterError

# A head that is away must not keep somebody who types.
PATIENCE_SECONDS = 2.0


def completions(line: str, cluster: str | None = None) -> list[str]:
    """What may stand at the end of a line of `%cluster`, of which the first word is its name.

    Parameters
    ----------
    cluster
        The cluster at hand, which the line means where it names none.
    """
    before = words_before(line)
    if not before:
        return [verb.name for verb in VERBS]
    if before[0] not in {verb.name for verb in VERBS}:
        return []
    actions = parser_of(before[0], "%cluster")._actions
    place = _place(actions, before[1:], line)
    if place is None:
        return options(actions)
    chosen = next((w for w in before[1:] if w in _clusters(None)), None) or cluster
    return values(place, chosen) + ([] if place.option_strings else options(actions))


def words_before(line: str) -> list[str]:
    """The words of a line after the first, without the one that is being written."""
    before = line.split()[1:]
    if line[-1:].strip() and before:
        del before[-1]
    return before


def options(actions: Sequence[argparse.Action]) -> list[str]:
    """The long options."""
    named = (name for action in actions for name in action.option_strings)
    return sorted(name for name in named if name.startswith("--"))


def taking(actions: Sequence[argparse.Action], word: str) -> argparse.Action | None:
    """The option of this name, where the next word is its value."""
    return next((a for a in actions if word in a.option_strings and a.nargs != 0), None)


def values(action: argparse.Action, cluster: str | None) -> list[str]:
    """What an argument may be; empty where nobody can say."""
    if action.choices is not None:
        return [str(choice) for choice in action.choices]
    look = _VALUES.get(action.dest)
    try:
        return look(cluster) if look else []
    except ClusterError:
        return []  # nobody wants to read a message while typing


def _place(
    actions: Sequence[argparse.Action], before: Sequence[str], line: str
) -> argparse.Action | None:
    """The argument that is being written; None for an option itself."""
    if before and (option := taking(actions, before[-1])):
        return option
    if line[-1:].strip() and line.split()[-1].startswith("-"):
        return None
    given = 0
    for at, word in enumerate(before):
        is_value = at > 0 and taking(actions, before[at - 1])
        given += not word.startswith("-") and not is_value
    positional = [action for action in actions if not action.option_strings]
    return positional[given] if given < len(positional) else None


# -- names ----------------------------------------------------------------------------------------


def _clusters(_cluster: str | None) -> list[str]:
    return [entry.name for entry in entries()]


def _head(cluster: str | None) -> Endpoint:
    return Endpoint(find(named(cluster)), timeout=PATIENCE_SECONDS)


def _jobs(cluster: str | None) -> list[str]:
    return sorted({job["name"] for job in _head(cluster).get("jobs")})


def _sessions(cluster: str | None) -> list[str]:
    return [session["name"] for session in _head(cluster).get("sessions")]


def _nodes(cluster: str | None) -> list[str]:
    return [node["id"] for node in _head(cluster).get("nodes")]


def _node_types(cluster: str | None) -> list[str]:
    return [row["name"] for row in _head(cluster).get("status")["node_types"]]


def _limits(cluster: str | None) -> list[str]:
    return [f"{name}=" for name in _node_types(cluster)]


def _files(_cluster: str | None) -> list[str]:
    return sorted(str(path) for ending in ("yaml", "yml") for path in Path().glob(f"*.{ending}"))


_VALUES: Mapping[str, Callable[[str | None], list[str]]] = {
    "cluster": _clusters,
    "job": _jobs,
    "cancel": _jobs,
    "delete": _jobs,
    "session": _sessions,
    "end": _sessions,
    "node": _nodes,
    "on": _node_types,
    "min_workers": _limits,
    "file": _files,
}
