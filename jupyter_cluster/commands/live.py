"""The panel's form for a terminal: the status, changed in place until Ctrl-C or the end."""

from __future__ import annotations

import threading
import time

from jupyter_cluster.client.registry import Entry
from jupyter_cluster.client.watch import Contact, View, Watch
from jupyter_cluster.commands.tables import as_text
from jupyter_cluster.commands.views import clock, status_parts
from jupyter_cluster.formats import as_sentence, format_seconds, printable

SHOWN_EVENTS = 8


def follow(place: Entry) -> None:
    """Show a cluster until it ends, or until somebody presses Ctrl-C."""
    from rich.console import Console
    from rich.live import Live
    from rich.text import Text

    ended = threading.Event()
    with Live(console=Console(), auto_refresh=False) as live:

        def on_change(view: View) -> None:
            live.update(Text(panel_text(view, place.name)), refresh=True)
            if view.contact is Contact.ENDED:
                ended.set()

        watch = Watch(place, on_change)
        watch.start()
        try:
            while not ended.wait(0.5):
                pass
        except KeyboardInterrupt:
            pass  # the way to end looking
        finally:
            watch.close()


def panel_text(view: View, name: str) -> str:
    """The cluster at a glance, with the newest lines of its diary."""
    if not view.status:
        return printable(f"Cluster {name!r}: {view.problem or 'connecting'}")
    parts = [part if isinstance(part, str) else as_text(part) for part in status_parts(view.status)]
    if view.contact is Contact.LOST:
        ago = format_seconds(time.time() - view.since)
        parts.insert(0, f"Lost contact {ago} ago ({view.problem}); trying again, work goes on")
    elif view.contact is Contact.ENDED:
        parts.insert(0, f"{as_sentence(view.problem)} This is its last state.")
    events = list(view.events)[-SHOWN_EVENTS:]
    lines = [f"{clock(e['time'])}  {e['kind']:<10}  {e['text']}" for e in events]
    return printable("\n".join([*parts, *lines]))
