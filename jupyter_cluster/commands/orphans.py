"""What lost clusters have left in an account: found by its tags, in whatever state it is."""

from __future__ import annotations

import argparse
import time

from jupyter_cluster.client import launch
from jupyter_cluster.client.registry import entries
from jupyter_cluster.commands.console import Console
from jupyter_cluster.commands.tables import Table
from jupyter_cluster.commands.views import counted
from jupyter_cluster.formats import format_seconds


def gc(options: argparse.Namespace, console: Console) -> None:
    """Show clusters that nobody looks after, and end them when told to."""
    mine = {entry.identity()["id"] for entry in entries()}
    with console.step("looking for what clusters have left") as step:
        found = launch.leavings(options.region)
        orphans = [one for one in found if one.id not in mine and one.is_expired(time.time())]
        step.update(f"{counted(len(found), 'cluster')} in the account, {len(orphans)} of nobody")
    if options.json:
        console.json([one.as_dict() for one in orphans])
    elif orphans:
        headings = ("cluster", "id", "owner", "what there is", "nobody since")
        rows = [(o.name, o.id, o.owner, ", ".join(o.things), _since(o.expires)) for o in orphans]
        console.show(Table("orphans", headings, rows, ()))
    if not orphans or (options.json and not options.yes):
        return
    question = f"End {counted(len(orphans), 'cluster')} with all that is left?"
    if not (options.yes or console.ask(question)):
        console.show("Nothing was ended.")
        return
    for one in orphans:
        with console.step(f"cluster {one.name!r}") as step:
            launch.end_leavings(one, options.region, step.update)
            step.update("nothing of it is left")


def _since(expires: float) -> str:
    return format_seconds(max(0.0, time.time() - expires)) if expires else "unknown"
