"""`%%remote`: send a cell, show what it shows, bring back what it gives."""

from __future__ import annotations

import argparse
import linecache
import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from jupyter_cluster.errors import (
    ClusterError,
    ConnectionLostError,
    NoClusterError,
    UsageError,
)
from jupyter_cluster.formats import format_bytes, format_seconds
from jupyter_cluster.notebook.cell_errors import (
    CellInterrupted,
    CellSyntaxError,
    remote_error,
    sentence,
)
from jupyter_cluster.notebook.cell_output import PATIENCE_SECONDS, CellOutput, CellStatus
from jupyter_cluster.notebook.names import names_read

if TYPE_CHECKING:
    from jupyter_cluster.client.cell_job import Cell, CellJob
    from jupyter_cluster.client.cluster import Cluster
    from jupyter_cluster.client.remote import TaskOptions
    from jupyter_cluster.codec import Names

# How long to wait for output at a time: Ctrl-C is noticed in between at the latest.
TICK_SECONDS = 0.2
# How often to ask what a cell waits for.
ASK_SECONDS = 1.0
# Of IPython, and different on the other side.
_NOT_SENT = {"In", "Out", "get_ipython", "exit", "quit", "open"}


@dataclass(frozen=True)
class Code:
    """What is to run, as it stands in the notebook.

    Attributes
    ----------
    text : str
        Without the magic.
    raw : str
        The whole cell.
    line : int
        On which line of the cell the text begins, counted from 1.
    number : int
        That in ``In[…]``.
    """

    text: str
    raw: str
    line: int
    number: int


@dataclass(frozen=True)
class Defaults:
    """What holds where the line says nothing else; see ``%config ClusterMagics``."""

    cluster: str
    cpus: float
    gpus: float
    memory: float | None
    timeout: float | None
    max_bytes: int


class RemoteValue:
    """A value that stayed on the cluster: it cannot be pickled, is large, or is of a module that
    is not installed here. It shows what the value looks like."""

    def __init__(self, data: Mapping[str, Any], metadata: Mapping[str, Any]) -> None:
        self._shown = dict(data), dict(metadata)

    def _repr_mimebundle_(self, **_ignored: Any) -> tuple[dict[str, Any], dict[str, Any]]:
        return self._shown

    def __repr__(self) -> str:
        return str(self._shown[0].get("text/plain", "a value that stayed on the cluster"))


def run(shell: Any, options: argparse.Namespace, code: Code, defaults: Defaults) -> Any:
    """Run code on the cluster.

    Returns
    -------
    object
        The value of the last expression, or None where there is none or it ends with a semicolon;
        with ``--all`` a mapping of them by node; with ``--async`` the job.

    Raises
    ------
    BaseException
        What the code has raised; a `ClusterError` where it could not be run.
    """
    cell = _cell(shell, options, code, defaults)
    cluster = _cluster(options.cluster or defaults.cluster)
    job = _submit(cluster, cell, options, defaults)
    if options.is_async:
        job.wait_until_taken()
        return job
    output = CellOutput(job.nodes, options.all)
    status = CellStatus(getattr(shell, "kernel", None) is not None)
    try:
        _follow(job, output, status)
        return _collect(shell, job, output, status, options.all)
    except KeyboardInterrupt:
        output.show(job.stop())
        status.end("stopped after")
        raise CellInterrupted(_where(job), status.seconds) from None
    finally:
        _forget(job)


def _forget(job: CellJob) -> None:
    """The notebook has all of it: the head need not keep it."""
    try:
        job.delete()
    except ClusterError:
        pass  # the head is away, and deletes nothing


# -- sending --------------------------------------------------------------------------------------


def _cell(shell: Any, options: argparse.Namespace, code: Code, defaults: Defaults) -> Cell:
    from jupyter_cluster.client.cell_job import Cell

    source = _python(shell, code)
    try:
        read = names_read(source)
    except SyntaxError as error:
        # Compiled once more under the name that IPython knows it by, so that it shows the line.
        raise _located(shell, source, code) or CellSyntaxError(shell, error) from None
    names = _pickled(shell.user_ns, _chosen(shell, read, options.push), defaults.max_bytes)
    if options.verbose:
        _say_sent(names)
    return Cell(
        source=source,
        raw=code.raw,
        number=code.number,
        names=names,
        pushed=options.push or (),
        outs=options.out,
        is_quiet=shell.displayhook.semicolon_at_end_of_expression(source),
        colors="nocolor" if options.is_async else str(getattr(shell, "colors", "nocolor")),
        sources=tuple(_sources(shell, names.files)),
    )


def _sources(shell: Any, files: Iterable[str]) -> Iterator[tuple[str, int, str]]:
    """File, number and text of those that are cells of the notebook."""
    numbers = getattr(shell.compile, "_filename_map", {})
    for file in files:
        if file in numbers:
            yield file, numbers[file], "".join(linecache.getlines(file))


def _python(shell: Any, code: Code) -> str:
    """As IPython would run it, with as many lines before it as in the cell."""
    blank = len(code.text) - len(code.text.lstrip("\n"))
    try:
        return "\n" * (code.line - 1 + blank) + str(shell.transform_cell(code.text))
    except SyntaxError as error:
        raise CellSyntaxError(shell, error) from None


def _located(shell: Any, source: str, code: Code) -> CellSyntaxError | None:
    import ast

    name = shell.compile.cache(source, code.number, raw_code=code.raw)
    try:
        compile(source, name, "exec", ast.PyCF_ONLY_AST | ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
    except SyntaxError as error:
        return CellSyntaxError(shell, error)
    return None


def _chosen(shell: Any, read: set[str], pushed: tuple[str, ...] | None) -> dict[str, Any]:
    """The variables to send: those that the cell reads, or those that the user names."""
    namespace, hidden = shell.user_ns, shell.user_ns_hidden
    if pushed is not None:
        missing = [name for name in pushed if name not in namespace]
        if missing:
            raise UsageError(f"--push: the notebook has no variable {', '.join(missing)}")
        return {name: namespace[name] for name in pushed}
    return {
        name: namespace[name]
        for name in sorted(read - _NOT_SENT & namespace.keys())
        if name in namespace and hidden.get(name, _ABSENT) is not namespace[name]
    }


_ABSENT = object()


def _pickled(namespace: dict[str, Any], names: dict[str, Any], limit: int) -> Names:
    from jupyter_cluster.client.cluster import Cluster
    from jupyter_cluster.client.job import Job
    from jupyter_cluster.codec import dump_names

    for name, value in names.items():
        if issubclass(type(value), (Cluster, Job)):  # a value may lie about its class
            raise UsageError(
                f"the cell reads {name!r}, a {type(value).__name__}, which is of use in the"
                " notebook only: take what you need from it in a cell before"
            )
    return dump_names(names, namespace, limit)


def _say_sent(names: Names) -> None:
    if not names.sizes:
        print("sent: no variables")
        return
    sizes = sorted(names.sizes.items(), key=lambda pair: -pair[1])
    print("sent: " + ", ".join(f"{name} ({format_bytes(size)})" for name, size in sizes))


def _cluster(name: str) -> Cluster:
    from jupyter_cluster.client import session

    if name:
        return session.connect(name)
    try:
        return session.current(start=False)
    except NoClusterError:
        print("[no cluster is running: starting one on this machine]", file=sys.stderr)
        return session.current()


def _submit(
    cluster: Cluster, cell: Cell, options: argparse.Namespace, defaults: Defaults
) -> CellJob:
    from jupyter_cluster.client.cell_job import submit

    nodes: tuple[str, ...] = ()
    if options.all:
        nodes = tuple(node["id"] for node in cluster.nodes() if node["state"] == "ready")
        if not nodes:
            raise UsageError(
                "--all runs on every node that is up, and none is: have some kept with"
                " `%cluster scale --min-workers TYPE=N`, or leave --all out"
            )
    environment = cluster.environment()
    if options.verbose and environment.digest:
        size = format_bytes(len(environment.archive))
        print(f"modules: {', '.join(environment.names)} ({size})")
    return submit(
        cluster,
        cell,
        _task_options(cluster, options, defaults),
        environment,
        name=options.name or f"In[{cell.number}]",
        nodes=nodes,
        session=options.session or "",
    )


def _task_options(cluster: Cluster, options: argparse.Namespace, defaults: Defaults) -> TaskOptions:
    from jupyter_cluster.client.remote import TaskOptions

    if options.on:
        types = [row["name"] for row in cluster.status()["node_types"]]
        if options.on not in types:
            raise UsageError(f"--on: there is no node type {options.on!r}; there are: {types}")
    return TaskOptions(
        num_cpus=defaults.cpus if options.cpus is None else options.cpus,
        num_gpus=defaults.gpus if options.gpus is None else options.gpus,
        memory=defaults.memory if options.memory is None else options.memory,
        resources=options.resources,
        timeout=defaults.timeout if options.timeout is None else options.timeout,
        on=options.on or "",
    )


# -- following ------------------------------------------------------------------------------------


def _follow(job: CellJob, output: CellOutput, status: CellStatus) -> None:
    """Show what comes until the cell has ended."""
    asked = has_shown = 0.0
    while True:
        events = job.take_events(TICK_SECONDS)
        output.show(events)
        has_shown = has_shown or any(e["type"] in ("stream", "display") for _, e in events)
        if not events and job.is_over:
            return
        if status.seconds < PATIENCE_SECONDS or (has_shown and not status.is_shown):
            continue
        if not job.has_begun:
            if status.seconds - asked >= ASK_SECONDS:
                asked = status.seconds
                status.say(_waiting(job))
        elif status.is_shown or status.seconds > 2 * PATIENCE_SECONDS:
            status.say(_running(job, status.seconds))


def _waiting(job: CellJob) -> str:
    try:
        return job.why_waiting() or "waiting for a node"
    except ConnectionLostError:
        return "the head of the cluster does not answer; waiting for it"
    except ClusterError as error:
        return str(error)


def _running(job: CellJob, seconds: float) -> str:
    count, ended = len(job.nodes), job.done
    where = f"{ended} of {count} nodes have ended" if count > 1 else f"running{_where(job)}"
    return f"{where}, {format_seconds(float(int(seconds)))} so far"


def _where(job: CellJob) -> str:
    nodes = sorted(set(job.nodes.values()))
    if len(nodes) == 1:
        return f" on {nodes[0]}"
    return f" on {len(nodes)} nodes" if nodes else ""


def _collect(
    shell: Any, job: CellJob, output: CellOutput, status: CellStatus, is_many: bool
) -> Any:
    """The values of a cell that has ended, and its variables into the notebook."""
    found: dict[int, Any] = {}
    failed: dict[int, BaseException] = {}
    for index in range(len(job.nodes) if is_many else 1):
        try:
            is_here, value = job.outcome(index)
            found[index] = value if is_here else None
            if (value is None or not is_here) and index in output.results:
                result = output.results[index]
                found[index] = RemoteValue(result["data"], result["metadata"])
        except Exception as error:
            failed[index] = error
    if failed:
        status.end("failed after")
        raise _first_error(job, failed, output) from None
    status.end(f"ran{_where(job)} for")
    _take_variables(shell, job)
    if is_many:
        return {job.nodes[index]: value for index, value in found.items()}
    return found[0]


def _first_error(
    job: CellJob, failed: dict[int, BaseException], output: CellOutput
) -> BaseException:
    index = min(failed)
    where = f" on {job.nodes[index]}" if index in job.nodes else ""
    others = [job.nodes[i] for i in failed if i != index]
    if others:
        where += f"; it failed on {', '.join(others)} too"
    return remote_error(failed[index], output.errors.get(index), where)


def _take_variables(shell: Any, job: CellJob) -> None:
    from jupyter_cluster.client.refs import Ref

    if not job.outs:
        return
    try:
        values = job.values()
    except ClusterError as error:
        raise sentence(error) from None
    shell.push(values)
    for name, value in values.items():
        if type(value) is Ref:
            print(
                f"[{name} is large and stays on the cluster until it is read: jc.get({name}); a"
                " remote cell that reads it has its value]",
                file=sys.stderr,
            )
