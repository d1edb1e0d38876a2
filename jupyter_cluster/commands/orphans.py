"""What lost clusters have left in an account: found by its tags, in whatever state it is."""

from __future__ import annotations

import argparse
import time
from typing import TYPE_CHECKING

from jupyter_cluster.client import launch
from jupyter_cluster.client.registry import entries
from jupyter_cluster.commands.console import Console
from jupyter_cluster.commands.tables import Table
from jupyter_cluster.commands.views import counted
from jupyter_cluster.formats import format_seconds

if TYPE_CHECKING:
    from jupyter_cluster.client.launch import Leavings


def gc(options: argparse.Namespace, console: Console) -> None:
    """Show clusters that nobody looks after, and end those that are the caller's to end."""
    mine = {entry.identity()["id"]: entry.name for entry in entries()}
    with console.step("looking for what clusters have left") as step:
        found = launch.leavings(options.region)
        orphans = [one for one in found if one.is_expired(time.time())]
        step.update(f"{counted(len(found), 'cluster')} in the account, {len(orphans)} of nobody")
    spared = {
        one.id: why_spared(one, options.stopped, options.all_owners, mine.get(one.id, ""))
        for one in orphans
    }
    if options.json:
        console.json([{**one.as_dict(), "spared": spared[one.id]} for one in orphans])
    elif orphans:
        console.show(_table(orphans, spared))
    ending = [one for one in orphans if not spared[one.id]]
    if not ending or (options.json and not options.yes):
        return
    question = f"End {counted(len(ending), 'cluster')} with all that is left?"
    if not (options.yes or console.ask(question)):
        console.show("Nothing was ended.")
        return
    for one in ending:
        with console.step(f"cluster {one.name!r}") as step:
            launch.end_leavings(one, options.region, step.update)
            step.update("nothing of it is left")


def why_spared(one: Leavings, stopped: bool, all_owners: bool, known_as: str = "") -> str:
    """Why an orphan is shown only; empty where it is to be ended. Pure.

    Parameters
    ----------
    stopped
        Whether clusters are ended whose stopped head may keep results.
    all_owners
        Whether those of other owners are ended.
    known_as
        Its name in the registry of this machine, which `down` takes with it; empty for none.
    """
    if known_as:
        return f"known here: down {known_as}"
    if not (one.is_own or all_owners):
        return "another owner's: --all-owners"
    if one.is_kept and not stopped:
        return "a stopped head or a disk may keep data: --stopped"
    return ""


def _table(orphans: list[Leavings], spared: dict[str, str]) -> Table:
    headings = ("cluster", "id", "owner", "what there is", "nobody since", "left alone")
    rows = [
        (o.name, o.id, o.owner, ", ".join(o.things), _since(o.expires), spared[o.id])
        for o in orphans
    ]
    return Table("orphans", headings, rows, ())


def _since(expires: float) -> str:
    return format_seconds(max(0.0, time.time() - expires)) if expires else "unknown"
