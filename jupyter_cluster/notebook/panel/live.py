"""The panel as a whole: it follows a cluster, draws what it is told, does what is clicked."""

from __future__ import annotations

import contextlib
import queue
import threading
import time
import uuid
from importlib.resources import files
from typing import Any

from IPython.display import publish_display_data
from ipywidgets import VBox

from jupyter_cluster.client import launch
from jupyter_cluster.client.endpoint import Endpoint
from jupyter_cluster.client.registry import Entry
from jupyter_cluster.client.watch import Contact, View, Watch
from jupyter_cluster.commands.tables import as_text
from jupyter_cluster.commands.views import status_parts
from jupyter_cluster.errors import ClusterError
from jupyter_cluster.notebook.panel.chart import LiveChart
from jupyter_cluster.notebook.panel.widget import Sections, on_click
from jupyter_cluster.notebook.reprs import HTML, TEXT
from jupyter_cluster.panel import sections
from jupyter_cluster.panel.course import course, svg

WIDGET = "application/vnd.jupyter.widget-view+json"
_CSS = (files("jupyter_cluster.panel") / "panel.css").read_text()
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
        self._top = Sections(sections=["header", "controls", "notice"])
        self._bottom = Sections(sections=["jobs", "nodes", "events"])
        self._box = VBox([self._top, self._bottom])
        self._box.layout.overflow = "hidden"
        self._chart: LiveChart | None = None
        self._displays: list[str] = []
        self._actions: queue.SimpleQueue[Action | None] = queue.SimpleQueue()
        self._looked = threading.Event()
        self._settled = threading.Event()
        self._lock = threading.Lock()
        for part in (self._top, self._bottom):
            on_click(part, self._actions.put)
        self._watch = Watch(entry, self._on_view)
        self._watch.start()
        for work in (self._act, self._make_chart):
            threading.Thread(target=work, name=f"panel of {entry.name}", daemon=True).start()

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
            with self._lock:
                self._draw(view)
        except Exception as error:  # the panel must go on, and say what it cannot show
            self._top.notice = f"The panel could not be drawn: {error!r}"
        self._looked.set()
        if view.contact is Contact.ENDED:
            self._actions.put(None)
            self._leave_static()
            self._settled.set()

    def _draw(self, view: View) -> None:
        now = time.time()
        self._top.header = sections.header(view, self.name, now)
        self._top.controls = sections.controls(view.status)
        self._bottom.jobs = sections.jobs_table(view, now)
        self._bottom.nodes = sections.nodes_table(view)
        self._bottom.events = sections.events_list(view)
        if self._chart is not None:
            self._chart.draw(course(view))

    def _make_chart(self) -> None:
        """In the background, since importing plotly takes a while: the figures come first."""
        self._top.notice = "the chart is being prepared …"
        try:
            chart = LiveChart()
        except ImportError as error:
            self._top.notice = f"There is no chart: {error}"
            return
        with self._lock:
            self._chart = chart
            chart.draw(course(self._watch.view))
            self._box.children = (self._top, chart.figure, self._bottom)
        self._top.notice = ""

    # -- what is clicked ----------------------------------------------------------------------

    def _act(self) -> None:
        while (action := self._actions.get()) is not None:
            try:
                self._top.notice = self._do(action)
            except ClusterError as error:
                self._top.notice = f"That did not work: {error}"

    def _do(self, action: Action) -> str:
        head = Endpoint(self._entry)
        if action["do"] == "cancel":
            job = head.post(head.job(str(action["job"]), "cancel"))
            return f"Job {job['name']} was cancelled: {job['done']:,} of its tasks are done."
        if action["do"] == "scale":
            limits = action["limits"]
            head.post("scale", {key: value for key, value in limits.items() if value is not None})
            return f"From now on at most {limits['max_workers']} nodes."
        if action["do"] == "down":
            self._top.notice = "ending the cluster …"
            self.look()
            launch.end(self._entry)
            return "The cluster has ended; nothing of it is left."
        return ""

    # -- showing ------------------------------------------------------------------------------

    def _ipython_display_(self) -> None:
        self._looked.wait(LOOK_SECONDS)
        display_id = uuid.uuid4().hex
        self._displays.append(display_id)
        view = {"version_major": 2, "version_minor": 0, "model_id": self._box.model_id}
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
    now = time.time()
    parts = (
        f'<div class="jc-header">{sections.header(view, name, now)}</div>',
        svg(course(view)),
        sections.jobs_table(view, now),
        sections.nodes_table(view),
        sections.events_list(view),
    )
    html = f'<style>{_CSS}</style><div class="jc-panel jc-static">{"".join(parts)}</div>'
    return {TEXT: static_text(view, name), HTML: html}


def static_text(view: View, name: str) -> str:
    """The panel at this moment, as text."""
    if not view.status:
        return f"Cluster {name!r}: {view.problem or 'no figures yet'}"
    parts = status_parts(view.status)
    return "\n".join(part if isinstance(part, str) else as_text(part) for part in parts)


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
