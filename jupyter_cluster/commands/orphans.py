"""What lost clusters have left in an account: found by its tags, in whatever state it is."""

from __future__ import annotations

import argparse
import time
from typing import TYPE_CHECKING

from jupyter_cluster.client import launch
from jupyter_cluster.client.registry import NAME, entries, find
from jupyter_cluster.commands.console import Console
from jupyter_cluster.commands.tables import Table
from jupyter_cluster.config import ClusterConfig, load
from jupyter_cluster.errors import ProviderError, RegistryError
from jupyter_cluster.formats import counted, format_seconds

if TYPE_CHECKING:
    from jupyter_cluster.client.launch import Leavings


def gc(options: argparse.Namespace, console: Console) -> None:
    """Show clusters that nobody looks after, and end those that are the caller's to end."""
    mine = {one.read("cluster.json").get("id"): one.name for one in entries()}
    with console.step("looking for what clusters have left") as step:
        found = launch.leavings(options.region, options.all_regions, console.notice)
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
            launch.end_leavings(one, step.update)
            step.update("nothing of it is left")


def end_by_tags(name: str, options: argparse.Namespace, console: Console) -> None:
    """End a cluster on AWS that this machine does not know: what carries its name and owner.

    Raises
    ------
    RegistryError
        There is none of the caller's.
    """
    config = None if NAME.fullmatch(options.cluster) else load(options.cluster)
    if config is not None and config.provider.type != "aws":
        find(name)  # which says that there is none
    of_file = [str(getattr(config.provider, "region", ""))] if config else []
    regions = options.region or of_file or launch.known_regions()
    if not regions:
        _say_unknown(name)
    with console.step(f"cluster {name!r}, which this machine does not know") as step:
        step.update(f"looking in {', '.join(regions)}")
        found = _looked_for(name, regions, config, console)
        step.update(f"it is in {', '.join(one.region for one in found)}")
    for one in found:
        console.show(f"Cluster {one.name!r} ({one.id}) in {one.region}: {', '.join(one.things)}.")
    if not (options.yes or console.ask("End it with all that is there and all it has kept?")):
        console.show("Nothing was ended.")
        return
    for one in found:
        with console.step(f"cluster {one.name!r}") as step:
            launch.end_leavings(one, step.update, config)
            step.update("it has ended, nothing of it is left")


def _say_unknown(name: str) -> None:
    try:
        find(name)
    except RegistryError as error:
        raise RegistryError(
            f"{error}; one on AWS that another machine has started: `down {name} --region REGION`"
        ) from None


def _looked_for(
    name: str, regions: list[str], config: ClusterConfig | None, console: Console
) -> list[Leavings]:
    """The caller's clusters of a name.

    Raises
    ------
    RegistryError
        There is none.
    """
    unknown = f"this machine knows no cluster {name!r} there"
    try:
        found = launch.leavings(regions, tell=console.notice, config=config)
    except ProviderError as error:
        raise RegistryError(f"{unknown}, and AWS cannot be asked for one: {error}") from error
    of_name = [one for one in found if one.name == name]
    own = [one for one in of_name if one.is_own]
    if own:
        return own
    others = ", ".join(sorted({one.owner for one in of_name}))
    but = f"; that of {others} is not yours to end" if others else ""
    raise RegistryError(
        f"{unknown}, and none of yours in {', '.join(regions)}{but}; `--region` names other regions"
    )


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
    headings = ("cluster", "id", "owner", "region", "what there is", "nobody since", "left alone")
    rows = [
        (o.name, o.id, o.owner, o.region, ", ".join(o.things), _since(o.expires), spared[o.id])
        for o in orphans
    ]
    return Table("orphans", headings, rows, ())


def _since(expires: float) -> str:
    return format_seconds(max(0.0, time.time() - expires)) if expires else "unknown"
