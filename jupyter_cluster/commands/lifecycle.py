"""The verbs that start, take and end clusters."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from jupyter_cluster.client import launch
from jupyter_cluster.client.connection import settle
from jupyter_cluster.client.endpoint import Endpoint
from jupyter_cluster.client.registry import NAME, Entry, entry
from jupyter_cluster.commands.console import Console, Step
from jupyter_cluster.commands.naming import known, named, running
from jupyter_cluster.commands.orphans import end_by_tags
from jupyter_cluster.commands.plan import plan_parts
from jupyter_cluster.commands.simulate import forecast_line
from jupyter_cluster.commands.views import headline, status_parts
from jupyter_cluster.config import ClusterConfig, load, local_config
from jupyter_cluster.errors import ConnectionLostError, NoClusterError, RegistryError, UsageError
from jupyter_cluster.formats import counted
from jupyter_cluster.model import JobState, NodeState, NodeType

# How long the head lets one request wait for news before we look again.
_NEWS_SECONDS = 5.0
# How long it may take until the head has all that was submitted.
_SETTLE_SECONDS = 10.0


def up(options: argparse.Namespace, console: Console) -> Entry | None:
    """Show the plan, start the cluster, and say what one does next."""
    config = _configuration(options)
    for notice in config.notices:
        console.notice(notice)
    place = entry(config.cluster_name)
    if not (
        _may_move(place, config, options, console) and _may_be_second(config, options, console)
    ):
        console.show("Nothing was started.")
        return None
    if launch.is_up(place):
        if options.tasks:
            console.notice("It is running already: --tasks is for a cluster that is to be started.")
        try:
            return _brought_up(place, config, options, console, is_new=False)
        except NoClusterError:
            console.notice("It has ended meanwhile.")
    if not _agreed(config, options, console):
        console.show("Nothing was started.")
        return None
    return _brought_up(place, config, options, console, is_new=True)


def _may_move(
    place: Entry, config: ClusterConfig, options: argparse.Namespace, console: Console
) -> bool:
    """Whether a cluster is where the file says: if not, it is ended there if one agrees.

    Raises
    ------
    RegistryError
        It is elsewhere, and nobody can be asked or it cannot be ended from here.
    """
    moved = launch.difference(place, config)
    if not moved:
        return True
    if not launch.can_be_ended(place):
        raise RegistryError(moved)
    lost = "" if options.yes else f" {_would_be_lost(place)}".rstrip()
    question = f"{moved}.{lost} End it where it is, with all it has kept, and go on here?"
    if not _asked(question, RegistryError(moved), options, console):
        return False
    with console.step(f"cluster {place.name!r} as it was") as step:
        launch.end(place, step.update)
        step.update("it has ended, nothing of it is left")
    return True


def _may_be_second(config: ClusterConfig, options: argparse.Namespace, console: Console) -> bool:
    """Whether a file may start a cluster while one runs that it has started by another name."""
    former = launch.former_of_file(config)
    if not former:
        return True
    question = f"{former}. Go on with a second one, {config.cluster_name!r}?"
    return _asked(question, launch.no_second(former), options, console)


def _asked(
    question: str, refusal: RegistryError, options: argparse.Namespace, console: Console
) -> bool:
    """The answer to what -y does not answer: it was said of what stands in the file."""
    if options.yes:
        raise refusal
    try:
        return console.ask(question)
    except UsageError:
        raise refusal from None


def _brought_up(
    place: Entry,
    config: ClusterConfig,
    options: argparse.Namespace,
    console: Console,
    is_new: bool,
) -> Entry:
    with console.step(f"cluster {config.cluster_name!r}") as step:
        restart = True if options.restart_only else False if options.no_restart else None
        launch.start(
            config,
            step.update,
            lambda line: None if line.startswith("== ") else console.notice(f"  {line}"),
            restart=restart,
            setup=not options.restart_only,
            may_launch=is_new,
        )
        problem = _await_nodes(Endpoint(place), config, step) if is_new else ""
        status = Endpoint(place).get("status")
        step.update(problem or ("it is up" if is_new else "it was running already"))
    console.show(headline(status), *_next_lines(place, console))
    return place


def _configuration(options: argparse.Namespace) -> ClusterConfig:
    given = {"cluster_name": options.name, "cpus": options.cpus}
    given = {**given, "max_workers": options.max_workers}
    sizes = {key: value for key, value in given.items() if value is not None}
    if options.file is None:
        return local_config(**sizes)
    if sizes:
        raise UsageError(
            "--name, --cpus and --max-workers are for a cluster without a file; write them into"
            f" {options.file}"
        )
    return configuration_of(options.file)


def configuration_of(text: str) -> ClusterConfig:
    """That of a file, or that of a cluster here, by its name, as it was last started.

    Raises
    ------
    ConfigError
        It cannot be read, or has problems.
    """
    if NAME.fullmatch(text) and not Path(text).exists() and entry(text).exists:
        return entry(text).configuration()
    return load(text)


def _agreed(config: ClusterConfig, options: argparse.Namespace, console: Console) -> bool:
    launch.check_place(entry(config.cluster_name), config)
    types, notices = _surveyed(config, console)
    console.show(*plan_parts(config, types))
    for notice in notices:
        console.notice(notice)
    if options.tasks:
        console.show(forecast_line(config, options.tasks, types))
    is_free = config.provider.type == "local"
    return is_free or options.yes or console.ask(f"Start cluster {config.cluster_name!r}?")


def _surveyed(config: ClusterConfig, console: Console) -> tuple[dict[str, NodeType], list[str]]:
    if config.provider.type == "local":
        return launch.survey(config)
    with console.step(f"asking {config.provider.type}") as step:
        found = launch.survey(config)
        step.update("it can be launched")
    return found


def _await_nodes(endpoint: Endpoint, config: ClusterConfig, step: Step) -> str:
    """Wait for the nodes that are always kept; returns what prevents them, if something does."""
    wanted = sum(node_type.min_workers for node_type in config.node_types().values())
    since = 0
    while wanted:
        ready = sum(node["state"] == NodeState.READY for node in endpoint.get("nodes"))
        step.update("nodes", ready, wanted)
        if ready >= wanted:
            break
        events = endpoint.get("events", since=since, wait=_NEWS_SECONDS)
        since = events[-1]["number"] if events else since
        problems = [event["text"] for event in events if event["kind"] in ("warning", "error")]
        if problems:
            return str(problems[-1])
    return ""


def _next_lines(place: Entry, console: Console) -> list[str]:
    lines = {
        "use it": f'import jupyter_cluster as jc; cluster = jc.connect("{place.name}")',
        "watch it": f"{console.program} panel {place.name}",
        "end it": f"{console.program} down {place.name}",
    }
    return [f"  {what:<9} {line}" for what, line in lines.items()]


def down(options: argparse.Namespace, console: Console) -> None:
    """End a cluster, running or stopped, with all it has kept."""
    name = named(options.cluster)
    is_whole = not (options.workers_only or options.keep_min_workers)
    if is_whole and name is not None and not launch.is_in(entry(name), options.region):
        end_by_tags(name, options, console)
        return
    place = known(options)
    if options.workers_only or options.keep_min_workers:
        _end_workers(place, options, console)
        return
    lost = "" if options.yes else _would_be_lost(place)
    if lost and not console.ask(f"{lost} End it all the same?"):
        console.show("Nothing was ended.")
        return
    with console.step(f"cluster {place.name!r}") as step:
        launch.end(place, step.update)
        step.update("it has ended, nothing of it is left")


def _end_workers(place: Entry, options: argparse.Namespace, console: Console) -> None:
    if not options.workers_only:
        raise UsageError("--keep-min-workers goes with --workers-only: a head needs no workers")
    ended = Endpoint(place).post("end-workers", {"keep_min": options.keep_min_workers})["ended"]
    console.show(f"{counted(len(ended), 'worker')} of cluster {place.name!r} drain and end.")


def _would_be_lost(place: Entry) -> str:
    """Work that ends with a cluster, as a sentence; empty where there is none."""
    if not place.is_alive:
        return f"Cluster {place.name!r} has stopped and keeps its results until it is taken down."
    settle(place, _SETTLE_SECONDS)  # what this very cell has submitted counts too
    try:
        jobs = Endpoint(place).get("jobs")
    except ConnectionLostError:
        return f"The head of cluster {place.name!r} does not say whether it works."
    open_jobs = [job["name"] for job in jobs if _is_working(job)]
    if not open_jobs:
        return ""
    jobs_text = counted(len(open_jobs), "job")
    return f"Cluster {place.name!r} works on {jobs_text}: {', '.join(open_jobs)}."


def _is_working(job: dict[str, Any]) -> bool:
    """Whether tasks are to be run: a job of calls stays open when all of its calls have ended."""
    has_tasks = job["kind"] == "map" or job["queued"] or job["running"]
    return job["state"] == JobState.RUNNING and bool(has_tasks)


def connect(options: argparse.Namespace, console: Console) -> Entry:
    """Make sure that a cluster answers; in a notebook it becomes the cluster at hand."""
    place = running(options)
    if place.is_hosted:
        with console.step(f"cluster {place.name!r}") as step:
            launch.reach(place, step.update)
            step.update("its head answers")
    console.show(*status_parts(Endpoint(place).get("status")))
    console.show(*_next_lines(place, console))
    return place
