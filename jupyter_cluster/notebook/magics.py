"""`%cluster`: the verbs of the terminal in a notebook."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

from IPython.core.error import UsageError as MagicUsageError
from IPython.core.magic import Magics, line_magic, magics_class

from jupyter_cluster.commands import TextRequested, completions, overview, parse, run
from jupyter_cluster.commands.console import Console
from jupyter_cluster.errors import ClusterError, UsageError
from jupyter_cluster.notebook.progress import PROGRAM, NotebookConsole
from jupyter_cluster.notebook.reprs import cluster_bundle, job_bundle

MAGIC = PROGRAM.removeprefix("%")
# A cluster need not be named to these, since the one at hand is meant.
_ABOUT_A_CLUSTER = ("down", "status", "nodes", "jobs", "scale", "logs", "monitor", "cost")


@magics_class
class ClusterMagics(Magics):  # type: ignore[misc]
    """The line magic; its help is that of the parser."""

    @line_magic(MAGIC)  # type: ignore[untyped-decorator]
    def cluster(self, line: str) -> None:
        try:
            run_line(line, _console(self.shell))
        except UsageError as error:
            raise MagicUsageError(str(error)) from None
        except ClusterError as error:
            raise _without_traceback(error) from None

    cluster.__doc__ = f"""Start, watch and end clusters.

Alone it shows the status of the cluster at hand.

examples:
  %cluster up                  a cluster on this machine, which is then at hand
  %cluster up cluster.yaml     the cluster that a file describes
  %cluster                     its status
  %cluster monitor -f          what the autoscaler does, and why
  %cluster down                end it

{overview(PROGRAM)}
"""


def run_line(line: str, console: Console) -> None:
    """Run a line of the magic, and keep the cluster at hand in step with it.

    Raises
    ------
    UsageError
        The line cannot be.
    ClusterError
        It failed.
    """
    try:
        options = parse(_words(line), PROGRAM)
    except TextRequested as text:
        console.show(str(text))
        return
    if options.verb in _ABOUT_A_CLUSTER and options.cluster is None:
        options.cluster = _name_at_hand()
    try:
        answer = run(options, console)
    except KeyboardInterrupt:
        if not getattr(options, "follow", False):
            raise
        return  # to interrupt is how one ends following; the cells below may go on
    _after(options.verb, answer)


def _words(line: str) -> list[str]:
    try:
        return shlex.split(line) or ["status"]
    except ValueError as error:
        raise UsageError(f"{PROGRAM} {line}: {error}") from None


def _session() -> Any:
    """The module that holds the cluster at hand, if anybody has used it yet."""
    return sys.modules.get("jupyter_cluster.client.session")


def _name_at_hand() -> str | None:
    session = _session()
    held = session.at_hand() if session else None
    return held.name if held is not None and held.is_alive else None


def _after(verb: str, answer: Any) -> None:
    if verb in ("up", "connect") and answer is not None:
        from jupyter_cluster.client.cluster import Cluster
        from jupyter_cluster.client.session import use

        use(Cluster(answer))
    session = _session()
    held = session.at_hand() if session else None
    if verb == "down" and held is not None and not held.is_alive:
        session.shutdown()  # what waits for its results must not wait for ever


def _console(shell: Any) -> Console:
    """That of a notebook, or where IPython runs in a terminal that of a terminal."""
    if getattr(shell, "kernel", None) is not None:
        return NotebookConsole()
    from jupyter_cluster.commands.terminal import Terminal

    return Terminal(PROGRAM)


def _without_traceback(error: ClusterError) -> ClusterError:
    """The same error, of which IPython shows the sentence and not our frames."""
    vars(error)["_render_traceback_"] = lambda: [f"{type(error).__name__}: {error}"]
    return error


# -- loading --------------------------------------------------------------------------------------


def _complete(_shell: Any, event: SimpleNamespace) -> list[str]:
    return completions(event.text_until_cursor)


def load(shell: Any) -> None:
    """Give a shell the magic and its completion."""
    shell.register_magics(ClusterMagics)
    shell.set_hook("complete_command", _complete, str_key=PROGRAM)
    if (formatter := getattr(shell, "display_formatter", None)) is not None:
        for (module, name), shown in _SHOWN.items():
            formatter.mimebundle_formatter.for_type_by_name(module, name, shown)


def _show_cluster(cluster: Any, **_ignored: Any) -> dict[str, str] | None:
    try:
        return cluster_bundle(cluster.status())
    except ClusterError:
        return None  # its plain repr will do: it has ended, or its head is away


def _show_job(job: Any, **_ignored: Any) -> dict[str, str] | None:
    try:
        return job_bundle(job.row())
    except ClusterError:
        return None


# By name: the client's modules are not imported before somebody uses them.
_SHOWN: dict[tuple[str, str], Callable[..., dict[str, str] | None]] = {
    ("jupyter_cluster.client.cluster", "Cluster"): _show_cluster,
    ("jupyter_cluster.client.job", "Job"): _show_job,
}


def unload(shell: Any) -> None:
    """Take them away again."""
    shell.magics_manager.magics["line"].pop(MAGIC, None)
    shell.magics_manager.registry.pop(ClusterMagics.__name__, None)
    shell.strdispatchers["complete_command"].strs.pop(PROGRAM, None)
