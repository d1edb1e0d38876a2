"""The panel's form for a terminal: the status, changed in place until Ctrl-C or the end."""

from __future__ import annotations

import threading
import time

from jupyter_cluster.client.registry import Entry
from jupyter_cluster.client.watch import Contact, View, Watch
from jupyter_cluster.commands.tables import Table, as_text
from jupyter_cluster.formats import printable
from jupyter_cluster.viewmodel import ClusterView, cluster_view
from jupyter_cluster.viewmodel.model import Cell
from jupyter_cluster.viewmodel.model import Table as Model

SHOWN_EVENTS = 8
# Of a bar.
BLOCKS = 10


def follow(place: Entry) -> None:
    """Show a cluster until it ends, or until somebody presses Ctrl-C."""
    from rich.console import Console
    from rich.live import Live
    from rich.text import Text

    ended = threading.Event()
    with Live(console=Console(), auto_refresh=False) as live:

        def on_change(view: View) -> None:
            shown = cluster_view(view, place.name, time.time())
            live.update(Text(panel_text(shown)), refresh=True)
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


def panel_text(view: ClusterView) -> str:
    """The cluster at a glance, with the newest lines of its event log."""
    place = f" {view.place}" if view.place else ""
    hint = f" ({view.state.hint})" if view.state.hint else ""
    figures = " · ".join(f"{tile.label} {tile.value}, {tile.below}" for tile in view.tiles)
    lines = [f"Cluster {view.name!r}{place}: {view.state.text}{hint}"]
    lines += [line for line in (view.blank, figures, *view.problems) if line]
    lines += [_table(table) for table in (view.nodes, view.jobs)]
    lines += [f"{e.clock} {e.symbol} {e.text}" for e in view.events[:SHOWN_EVENTS][::-1]]
    return printable("\n".join(lines))


def _table(table: Model) -> str:
    """A table as text, without the columns that hold buttons only."""
    if table.blank:
        return table.blank
    kept = [n for n, column in enumerate(table.columns) if column.title]
    columns = [table.columns[n] for n in kept]
    rows = [tuple(_words(row.cells[n]) for n in kept) for row in table.rows]
    numbers = tuple(column.title for column in columns if column.is_number)
    made = Table(table.title, tuple(column.title for column in columns), rows, numbers)
    return "\n".join([as_text(made), *([table.more] if table.more else [])])


def _words(cell: Cell) -> str:
    """What stands in a cell; a bar as its share of ten blocks."""
    if cell.bar is None:
        return cell.words.text
    ended = round(BLOCKS * sum(part.share for part in cell.bar.shares))
    return "█" * ended + "░" * (BLOCKS - ended)
