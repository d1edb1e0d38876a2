"""The event log of a cluster as it is shown."""

from __future__ import annotations

from jupyter_cluster.client.watch import View
from jupyter_cluster.formats import clock
from jupyter_cluster.viewmodel.figures import Told
from jupyter_cluster.viewmodel.model import Decision, Meaning

SHOWN_EVENTS = 40
# One character and the meaning of each kind.
KINDS: dict[str, tuple[str, Meaning]] = {
    "scale-up": ("▲", "good"),
    "scale-down": ("▼", "off"),
    "node": ("●", ""),
    "job": ("■", ""),
    "warning": ("!", "warn"),
    "error": ("✕", "bad"),
}


def events(view: View) -> list[Decision]:
    """The newest, newest first."""
    return [decision(event) for event in list(view.events)[-SHOWN_EVENTS:][::-1]]


def decision(event: Told) -> Decision:
    """An event of a head's as it is shown; one of a kind that is not known is a dot."""
    symbol, meaning = KINDS.get(event["kind"], ("·", ""))
    number, moment, kind, text = (event[name] for name in ("number", "time", "kind", "text"))
    return Decision(number, moment, clock(moment), kind, symbol, text, meaning)
