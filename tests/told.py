"""What a head might tell, for tests of what is shown of it."""

from __future__ import annotations

from collections import deque
from typing import Any

from jupyter_cluster.client.watch import Contact, View

NOW = 1_790_000_100.0


def job(**given: Any) -> dict[str, Any]:
    """A job of 40 images, of which 10 are done."""
    told: dict[str, Any] = {
        "id": "j1",
        "name": "posters",
        "unit": "image",
        "kind": "map",
        "state": "running",
        "total": 40,
        "queued": 28,
        "running": 2,
        "done": 10,
        "failed": 0,
        "cancelled": 0,
        "sealed": True,
        "submitted": NOW - 20,
        "finished": None,
        "rate": 5.0,
        "note": "",
    }
    return told | given


def node(**given: Any) -> dict[str, Any]:
    """A node that works."""
    told: dict[str, Any] = {
        "id": "local-1",
        "type": "local",
        "state": "ready",
        "resources": {"CPU": 2, "memory": 4_000_000_000},
        "slots": 2,
        "slots_busy": 2,
        "tasks_finished": 10,
        "age": 30.0,
        "idle_seconds": None,
        "cpu": 1.9,
        "memory": 300_000_000,
        "cost": 0.01,
        "price": 0.2,
        "why": "",
    }
    return told | given


def view(contact: Contact = Contact.CONNECTED, why: str = "", **given: Any) -> View:
    """A view of a cluster with one job and two nodes; what is given replaces that of its status."""
    status: dict[str, Any] = {
        "cluster": "mine",
        "provider": "local",
        "state": "running",
        "started": NOW - 60,
        "max_workers": 4,
        "node_types": [{"name": "local", "min_workers": 1, "boot_seconds": 20.0}],
        "nodes": [node(), node(id="local-2", state="booting", slots=None, slots_busy=0, age=5.0)],
        "jobs": [job()],
        "cost": {"so_far": 0.5, "per_hour": 1.25, "price_known": True},
        "infeasible": [],
        "problem": "",
    }
    samples = [
        {"time": NOW - 20 + t, "rate": t / 4, "ready": 1 + t // 10, "pending": int(t < 10)}
        for t in range(20)
    ]
    events = [
        {"number": 1, "time": NOW - 20, "kind": "scale-up", "text": "2 nodes for 40 tasks"},
        {"number": 2, "time": NOW - 10, "kind": "node", "text": "local-1 is ready"},
    ]
    return View(
        contact=contact,
        since=NOW - 7,
        problem=why,
        status=status | given,
        samples=deque(samples),
        events=deque(events),
    )
