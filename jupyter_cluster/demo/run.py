"""The demo: palettes of hundreds of posters on an autoscaling cluster of this machine."""

from __future__ import annotations

import shlex
import time
from argparse import Namespace
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TextIO

from rich.console import Console
from rich.markup import escape
from rich.progress import track

from jupyter_cluster.client.cluster import Cluster
from jupyter_cluster.client.job import Job, Outcome
from jupyter_cluster.config import ClusterConfig, local_config
from jupyter_cluster.demo.display import LiveView, palette_table
from jupyter_cluster.demo.images import (
    images_by_id,
    images_of,
    make_missing_posters,
    measure_one_process,
    readable,
    spread,
)
from jupyter_cluster.demo.options import COUNT
from jupyter_cluster.demo.output import Output
from jupyter_cluster.demo.own_cluster import claimed, ended_by_signals, own_cluster
from jupyter_cluster.demo.palettes import Palette, get_palette
from jupyter_cluster.demo.report import Report, summarise
from jupyter_cluster.errors import ClusterError, UsageError
from jupyter_cluster.formats import printable_line

NAME = "demo"
SHOWN = 4  # palettes in the terminal
PICTURED = 12  # palettes in the report
NAMED = 5  # failures in the terminal
INTERRUPTED = 130  # the exit code of a shell's command after SIGINT
# The head samples a job once a second, and once more after its end.
SAMPLE_SECONDS = 3.0


@dataclass
class Progress:
    """How far the job has come.

    Attributes
    ----------
    todo : dict
        Images by id, in the order of the job's tasks.
    earlier : dict
        Palettes of earlier runs.
    note : str
        A sentence for the report.
    """

    todo: dict[str, Path]
    earlier: dict[str, Palette]
    note: str = ""
    made: dict[str, Palette] = field(default_factory=dict)
    failed: list[tuple[str, str]] = field(default_factory=list)
    interrupted: bool = False
    seconds: float = 0.0
    series: Sequence[Mapping[str, Any]] = ()
    events: Sequence[Mapping[str, Any]] = ()

    @property
    def palettes(self) -> dict[str, Palette]:
        """Those of this run and of earlier ones."""
        return {**self.earlier, **self.made}

    def add(self, name: str, outcome: Outcome) -> None:
        """Take the end of one image's task."""
        if outcome.error is None:
            self.made[name] = outcome.result
        else:
            self.failed.append((readable(self.todo[name].name), _sentence(outcome.error)))


def main(options: Namespace) -> int:
    """Run the demo.

    Parameters
    ----------
    options
        As `jupyter_cluster.demo.options.add_arguments` describes them.

    Returns
    -------
    int
        The exit code: 0 where the job has ended, whether or not single images failed; 130 where
        it was interrupted.

    Raises
    ------
    UsageError
        There are no images, the output cannot be written, or the cluster's name is in use.
    ClusterError
        The cluster failed; what was done until then is saved.
    """
    console = Console(highlight=False)
    with ended_by_signals():
        try:
            with claimed(NAME) as note:
                return _run(options, console, note)
        except KeyboardInterrupt:
            console.print("\nInterrupted.", _how_to_resume(options), soft_wrap=True)
            return INTERRUPTED


def _run(options: Namespace, console: Console, note: TextIO) -> int:
    config = local_config(NAME)
    cores = _cores(config)
    output = Output(options.out)
    images = _images(options, output, cores, console)
    earlier = output.read_palettes() if options.resume else {}
    todo = {name: path for name, path in images.items() if name not in earlier}
    if not todo:
        console.print(f"All {len(images):,} palettes are in {output.palettes} already.")
        return 0
    if earlier:
        console.print(_kept(images, todo))
    one_process_rate = _measure(list(todo.values()), console)
    progress = Progress(todo, earlier, note=_kept(images, todo) if earlier else "")
    try:
        _work(own_cluster(config, note), progress, output, console)
    except ClusterError:
        console.print(_how_to_resume(options), soft_wrap=True)
        raise
    report = _report(progress, one_process_rate, cores)
    output.write_throughput(progress.series)
    output.write_report(report)
    _tell(progress, report, output, console)
    if progress.interrupted:
        console.print(_how_to_resume(options), soft_wrap=True)
    return INTERRUPTED if progress.interrupted else 0


def _kept(images: Mapping[str, Path], todo: Mapping[str, Path]) -> str:
    return f"Palettes kept from earlier runs: {len(images) - len(todo):,}."


def _cores(config: ClusterConfig) -> int:
    node_type = config.node_types()["local"]
    return int(node_type.resources.get("CPU")) * config.max_workers


def _images(
    options: Namespace, output: Output, processes: int, console: Console
) -> dict[str, Path]:
    if options.images is None:
        paths = _posters(options.count, output, processes, console)
    elif options.images.resolve() == output.folder.resolve():
        raise UsageError(
            f"--out {output.folder}: its files would be taken for images; name another"
        )
    else:
        paths = images_of(options.images)
    return images_by_id(paths)


def _posters(count: int, output: Output, processes: int, console: Console) -> list[Path]:
    folder = output.posters.absolute()
    making = make_missing_posters(folder, count, processes)
    title = f"Making {count:,} posters"
    try:
        return sorted(
            track(
                making,
                title,
                count,
                console=console,
                transient=True,
                disable=not console.is_terminal,
            )
        )
    except OSError as error:
        raise UsageError(f"{folder}: no posters can be written there ({error.strerror})") from None


def _measure(paths: Sequence[Path], console: Console) -> float | None:
    with console.status("Measuring one process"):
        measured = measure_one_process(paths)
    if measured is None:
        console.print("One process could not be measured: none of the first images can be read.")
        return None
    done, seconds = measured
    console.print(f"One process: {done / seconds:.1f} images/s ({done} images, {seconds:.1f} s)")
    return done / seconds


def _work(
    started: AbstractContextManager[Cluster], progress: Progress, output: Output, console: Console
) -> None:
    """Run the job on a cluster of its own; fills in the progress."""
    output.save_palettes(progress.palettes)
    try:
        with started as cluster:
            job = cluster.map(
                get_palette, list(progress.todo.values()), unit="image", name="palettes"
            )
            try:
                _collect(job, cluster, progress, output, console)
            except KeyboardInterrupt:
                progress.interrupted = True
                console.print("Interrupted: ending the cluster and keeping what is done.")
            _look_back(job, cluster, progress)
    finally:
        output.save_palettes(progress.palettes)


def _collect(
    job: Job, cluster: Cluster, progress: Progress, output: Output, console: Console
) -> None:
    names = list(progress.todo)
    with LiveView(console, cluster, job.id):
        for outcome in job.as_completed():
            progress.add(names[outcome.index], outcome)
            output.save_palettes_if_due(progress.palettes)


def _look_back(job: Job, cluster: Cluster, progress: Progress) -> None:
    """Ask for what the report tells of the job, while there is a cluster to ask."""
    info = job.info
    progress.seconds = (info.finished or time.time()) - info.submitted
    progress.series = job.throughput() if progress.interrupted else _whole_series(job, info.total)
    progress.events = [
        {
            "t": round(event["time"] - info.submitted, 3),
            "kind": event["kind"],
            "text": event["text"],
        }
        for event in cluster.events()
        if event["time"] >= info.submitted
    ]


def _whole_series(job: Job, total: int) -> list[dict[str, Any]]:
    """The samples of a job that has ended, its last one included."""
    deadline = time.monotonic() + SAMPLE_SECONDS
    series = job.throughput()
    while not (series and series[-1]["done"] >= total) and time.monotonic() < deadline:
        time.sleep(0.05)
        series = job.throughput()
    return series


def _report(progress: Progress, one_process_rate: float | None, cores: int) -> Report:
    return Report(
        title="Palettes of movie posters",
        images=len(progress.made),
        failed=sorted(progress.failed),
        seconds=progress.seconds,
        one_process_rate=one_process_rate,
        cores=cores,
        series=progress.series,
        events=progress.events,
        palettes=[
            (name, progress.todo[name], progress.made[name])
            for name in spread(sorted(progress.made), PICTURED)
        ],
        interrupted=progress.interrupted,
        note=progress.note,
    )


def _tell(progress: Progress, report: Report, output: Output, console: Console) -> None:
    console.print(f"\n{escape(summarise(report))}\n")
    shown = spread(sorted(progress.made), SHOWN)
    console.print(palette_table({name: progress.made[name] for name in shown}))
    for name, message in report.failed[:NAMED]:
        console.print(
            f"[red]failed[/red] {escape(printable_line(name))}: {escape(printable_line(message))}"
        )
    if len(report.failed) > NAMED:
        console.print(f"and {len(report.failed) - NAMED:,} more, which the report names")
    written = escape(str(output.report))
    console.print(f"\nThe cluster has ended. Written: {written}", soft_wrap=True)


def _sentence(error: BaseException) -> str:
    return readable(str(error)) or type(error).__name__


def _how_to_resume(options: Namespace) -> str:
    images = ["--images", str(options.images)] if options.images else []
    count = ["--count", str(options.count)] if not images and options.count != COUNT else []
    words = ["jupyter", "cluster", "demo", *images, *count, "--out", str(options.out), "--resume"]
    return f"To go on with the images that are missing: {escape(shlex.join(words))}"
