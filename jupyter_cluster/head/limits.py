"""Limits and requested capacity: changed while the cluster runs, kept until the cluster ends."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from jupyter_cluster.config import ClusterConfig
from jupyter_cluster.errors import ClusterError
from jupyter_cluster.head.asked import Scale
from jupyter_cluster.head.fleet import Fleet
from jupyter_cluster.head.journal import Journal
from jupyter_cluster.head.scaling import Targets
from jupyter_cluster.model import NodeType
from jupyter_cluster.resources import Resources

_NAME = "limits"


class Control:
    """Changes what the scaling loop holds to: all of a change, or nothing of it.

    Changes are in the journal, so that a head that was started again goes on with them. They end
    with the cluster, and with another cluster YAML: that one's numbers then count.
    """

    def __init__(
        self,
        journal: Journal,
        config: ClusterConfig,
        fleet: Fleet,
        targets: Targets,
        log: Callable[[str, str], None],
    ) -> None:
        self._journal, self._config = journal, config
        self._fleet, self._targets, self._log = fleet, targets, log
        self._configured = {
            name: [one.min_workers, one.max_workers] for name, one in config.node_types().items()
        } | {"": [config.max_workers]}

    def restore(self) -> None:
        """Take up what a head before this one was told."""
        for (text,) in self._journal.read("SELECT value FROM settings WHERE name = ?", _NAME):
            left = json.loads(text)
            if left.pop("configured") == self._configured:
                self._apply(self._checked(Scale.model_validate_json(json.dumps(left))))

    def forget(self) -> None:
        """The cluster ends: the next one of its name begins as its YAML says."""
        self._journal.execute("DELETE FROM settings WHERE name = ?", _NAME)

    def change(self, wanted: Scale) -> dict[str, Any]:
        """Change what is wanted of it; returns how it is then.

        Raises
        ------
        ClusterError
            There is no such node type, or the numbers do not fit; then nothing has changed.
        """
        checked = self._checked(wanted)
        self._apply(checked)
        if wanted.max_workers is not None:
            self._log("node", f"max_workers is {wanted.max_workers} from now on{self._kept()}")
        for name, count in wanted.min_workers.items():
            self._log("node", f"min_workers of {name} is {count} from now on")
        now = self._now()
        kept = json.dumps({**now, "configured": self._configured})
        self._journal.execute("INSERT OR REPLACE INTO settings VALUES (?, ?)", _NAME, kept)
        return now

    def _checked(
        self, wanted: Scale
    ) -> tuple[int, Mapping[str, NodeType], tuple[tuple[Resources, int], ...]]:
        """How limits, node types and requests are after a change."""
        most = self._targets.limits.max_workers
        most = most if wanted.max_workers is None else wanted.max_workers
        own = self._config.node_types(most)
        types = {
            name: replace(one, max_workers=own[name].max_workers if name in own else most)
            for name, one in self._fleet.node_types.items()
        }
        for name, least in wanted.min_workers.items():
            if name not in types:
                known = ", ".join(types)
                raise ClusterError(f"there is no node type {name!r}; there are: {known}")
            if least > types[name].max_workers:
                raise ClusterError(
                    f"min_workers of {name} would be {least}, and its max_workers is"
                    f" {types[name].max_workers}"
                )
            types[name] = replace(types[name], min_workers=least)
        requests = self._targets.requests
        if wanted.request is not None:
            try:
                requests = tuple((Resources.of(shape), count) for shape, count in wanted.request)
            except ValueError as error:
                raise ClusterError(f"request: {error}") from None
        return most, types, requests

    def _apply(
        self,
        checked: tuple[int, Mapping[str, NodeType], tuple[tuple[Resources, int], ...]],
    ) -> None:
        most, types, requests = checked
        self._targets.limits = replace(self._targets.limits, max_workers=most)
        self._fleet.node_types.update(types)
        self._targets.requests = requests

    def _kept(self) -> str:
        """Which types the cluster's limit does not lift."""
        most = self._targets.limits.max_workers
        lower = [
            f"{one.name} keeps its own, {one.max_workers}"
            for one in self._fleet.node_types.values()
            if one.max_workers < most
        ]
        return f"; {', '.join(lower)}" if lower else ""

    def _now(self) -> dict[str, Any]:
        return {
            "max_workers": self._targets.limits.max_workers,
            "min_workers": {name: one.min_workers for name, one in self._fleet.node_types.items()},
            "request": [[shape.as_dict(), count] for shape, count in self._targets.requests],
        }
