"""The panel as a whole: it follows a cluster, draws what it is told, does what is clicked."""

from __future__ import annotations

import contextlib
import logging
import queue
import threading
import time
import uuid
from typing import Any

from IPython.display import publish_display_data

from jupyter_cluster.client import actions, launch
from jupyter_cluster.client.registry import Entry
from jupyter_cluster.client.watch import Contact, View, Watch
from jupyter_cluster.commands.live import panel_text
from jupyter_cluster.errors import ClusterError
from jupyter_cluster.notebook.panel.widget import Sections, on_click
from jupyter_cluster.notebook.reprs import HTML, TEXT
from jupyter_cluster.panel import style
from jupyter_cluster.panel.sections import sections
from jupyter_cluster.viewmodel import cluster_view

log = logging.getLogger(__name__)

WIDGET = "application/vnd.jupyter.widget-view+json"
# How long the static form waits for a first look at the cluster.
LOOK_SECONDS = 5.0
# How long the end of a cluster waits for its panel; the watch looks at least every five seconds.
SETTLE_SECONDS = 6.0

Action = dict[str, Any]


class Panel:
    """A live view of one cluster; displays the same widgets wherever it is shown."""

    def __init__(self, entry: Entry) -> None:
        self.name = entry.name
        self._entry = entry
        self._widget = Sections()
        self._displays: list[str] = []
        self._actions: queue.SimpleQueue[Action | None] = queue.SimpleQueue()
        self._looked = threading.Event()
        self._settled = threading.Event()
        on_click(self._widget, self._actions.put)
        self._watch = Watch(entry, self._on_view)
        self._watch.start()
        threading.Thread(target=self._act, name=f"panel of {entry.name}", daemon=True).start()

    @property
    def is_over(self) -> bool:
        """Whether its cluster has ended."""
        return self._watch.is_closed

    @property
    def has_cluster(self) -> bool:
        """Whether its cluster runs."""
        return self._entry.is_alive

    # -- drawing ------------------------------------------------------------------------------

    def _on_view(self, view: View) -> None:
        try:
            self._draw(view)
        except Exception as error:  # the panel must go on, and say what it cannot show
            self._widget.notice = f"The panel could not be drawn: {error!r}"
        self._looked.set()
        if view.contact is Contact.ENDED:
            self._actions.put(None)
            self._leave_static()
            self._settled.set()

    def _draw(self, view: View) -> None:
        for section, html in sections(cluster_view(view, self.name, time.time())).items():
            setattr(self._widget, section, html)

    # -- what is clicked ----------------------------------------------------------------------

    def _act(self) -> None:
        while (action := self._actions.get()) is not None:
            try:
                self._widget.notice = self._do(action)
            except ClusterError as error:
                self._widget.notice = f"That did not work: {error}"
            except Exception as error:  # the next click must be heard, too
                log.exception("panel of %s: %s", self.name, action)
                self._widget.notice = f"That did not work: {error!r}"

    def _do(self, action: Action) -> str:
        if action["do"] == "cancel":
            return actions.cancel(self._entry, str(action["job"]))
        if action["do"] == "scale":
            limits = action["limits"]
            return actions.scale(self._entry, limits.get("max_workers"), limits.get("min_workers"))
        if action["do"] == "down":
            self._widget.notice = "ending the cluster …"
            self.look()
            launch.end(self._entry)
            return "The cluster has ended; nothing of it is left."
        return ""

    # -- showing ------------------------------------------------------------------------------

    def _ipython_display_(self) -> None:
        self._looked.wait(LOOK_SECONDS)
        display_id = uuid.uuid4().hex
        self._displays.append(display_id)
        view = {"version_major": 2, "version_minor": 0, "model_id": self._widget.model_id}
        bundle = {**static_bundle(self._watch.view, self.name), WIDGET: view}
        publish_display_data(bundle, transient={"display_id": display_id})

    def _leave_static(self) -> None:
        """What stays in the notebook when nothing moves any more."""
        bundle = static_bundle(self._watch.view, self.name)
        for display_id in self._displays:
            publish_display_data(bundle, transient={"display_id": display_id}, update=True)

    def look(self) -> None:
        """Show the cluster as it is now, if it answers."""
        if self.has_cluster:
            with contextlib.suppress(ClusterError):
                self._watch.look()

    def settle(self, seconds: float = SETTLE_SECONDS) -> None:
        """Wait until a cluster that has just ended is shown as such, in what stays of the panel."""
        self._settled.wait(seconds)


def static_bundle(view: View, name: str) -> dict[str, Any]:
    """The panel at this moment, as HTML that stands alone and as text."""
    shown = cluster_view(view, name, time.time())
    parts = "".join(f'<div class="jc-{of}">{html}</div>' for of, html in sections(shown).items())
    html = f'<style>{style()}</style><div class="jc-panel jc-static">{parts}</div>'
    return {TEXT: panel_text(shown), HTML: html}


_panels: dict[str, Panel] = {}


def panel_of(entry: Entry) -> Panel:
    """The panel of a cluster; one that is there already is shown once more."""
    known = _panels.get(entry.name)
    if known is None or known.is_over:
        known = _panels[entry.name] = Panel(entry)
    return known


def look_again() -> None:
    """Have all panels up to date, before a cluster is ended: what they show then stays."""
    for panel in _panels.values():
        panel.look()


def settle_ended() -> None:
    """Have the panels of clusters that have just ended leave their last state."""
    for name, panel in list(_panels.items()):
        if not panel.has_cluster:
            del _panels[name]
            panel.settle()
