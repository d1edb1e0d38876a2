"""Views of clusters as the server sends them, for the tests of the labextension.

python tests/shown.py    # writes them anew
"""

from __future__ import annotations

import json
import os
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

from told import NOW, job, node, view

from jupyter_cluster.client.watch import Contact, View
from jupyter_cluster.viewmodel import cluster_view

FILE = Path(__file__).parents[1] / "labextension" / "src" / "__tests__" / "fixtures" / "views.json"
MARKUP = '<b onclick="x">&'


def shown() -> dict[str, Any]:
    """A view for each way in which a cluster may stand; the words' clock is UTC."""
    os.environ["TZ"] = "UTC"
    time.tzset()
    told = {
        "running": _busy(),
        "lost": view(Contact.LOST, "no route to host"),
        "ended": view(Contact.ENDED, "it was ended", nodes=[]),
        "stuck": view(nodes=[], jobs=[], infeasible=["no type has a GPU"], problem="no capacity"),
        "unknown": View(),
        "markup": _named(MARKUP),
    }
    return {name: asdict(cluster_view(one, "mine", NOW)) for name, one in told.items()}


def _busy() -> View:
    """Jobs in all states, nodes in many, and decisions of each kind."""
    told = view(
        jobs=[
            job(failed=3, cancelled=1, note="waits for a node"),
            job(id="j0", name="old", state="finished", finished=NOW - 50, done=40),
            job(id="j2", name="none yet", total=0, queued=0, running=0, done=0, rate=None),
        ],
        nodes=[
            node(),
            node(id="local-2", state="booting", slots=None, slots_busy=0, age=5.0),
            node(id="local-3", state="draining", idle_seconds=61.0, why="no work for it"),
        ],
    )
    kinds = ("scale-up", "scale-up", "scale-down", "warning", "error", "job")
    for at, kind in enumerate(kinds):
        moment = NOW - 15 + 2 * at
        told.events.append({"number": 3 + at, "time": moment, "kind": kind, "text": f"why {at}"})
    return told


def _named(name: str) -> View:
    told = view(
        problem=name,
        infeasible=[name],
        jobs=[job(id=name, name=name, unit=name, note=name)],
        nodes=[node(id=name, type=name, why=name, state=name)],
        node_types=[{"name": name, "min_workers": 0, "boot_seconds": 1.0}],
    )
    for event in told.events:
        event["text"] = name
    return told


def as_text() -> str:
    """What the file has."""
    return json.dumps(shown(), indent=1, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    FILE.parent.mkdir(parents=True, exist_ok=True)
    FILE.write_text(as_text())
