"""`%cluster`: the verbs of the terminal in a notebook."""

from __future__ import annotations

import shlex
import sys
from argparse import ArgumentTypeError, Namespace
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

from IPython.core import magic_arguments
from IPython.core.error import UsageError as MagicUsageError
from IPython.core.magic import (
    Magics,
    line_cell_magic,
    line_magic,
    magics_class,
    no_var_expand,
)
from traitlets import Float, Unicode

from jupyter_cluster.commands import TextRequested, overview, parse, run
from jupyter_cluster.commands.console import Console
from jupyter_cluster.commands.parser import in_words
from jupyter_cluster.commands.tasks import seconds
from jupyter_cluster.errors import ClusterError, UsageError
from jupyter_cluster.notebook.cell_errors import sentence
from jupyter_cluster.notebook.options import memory, split, with_arguments
from jupyter_cluster.notebook.progress import PROGRAM, NotebookConsole
from jupyter_cluster.notebook.remote import Code, Defaults
from jupyter_cluster.notebook.remote import run as run_remote
from jupyter_cluster.notebook.reprs import cluster_bundle, job_bundle

MAGIC = PROGRAM.removeprefix("%")
REMOTE = "remote"


@magics_class
class ClusterMagics(Magics):  # type: ignore[misc]
    """`%cluster`, `%remote` and `%%remote`; its traits are the defaults of their options."""

    cluster_name = Unicode("", help="The cluster to use; empty: the one at hand.").tag(config=True)
    cpus = Float(1.0, help="CPUs that a remote cell needs.").tag(config=True)
    gpus = Float(0.0, help="GPUs that a remote cell needs.").tag(config=True)
    memory = Unicode("", help="Memory that a remote cell needs, e.g. 8GB.").tag(config=True)
    timeout = Unicode("", help="Stop a remote cell after this, e.g. 2h.").tag(config=True)
    max_megabytes = Float(
        200.0, help="Refuse to send variables that are larger together, in MB."
    ).tag(config=True)

    @line_magic(MAGIC)
    def cluster(self, line: str) -> None:
        try:
            run_line(line, _console(self.shell), self.cluster_name)
        except UsageError as error:
            raise MagicUsageError(str(error)) from None
        except ClusterError as error:
            raise sentence(error) from None

    cluster.__doc__ = f"""Start, watch and end clusters.

Alone it shows the status of the cluster at hand.

examples:
  %cluster up                  a cluster on this machine, which is then at hand
  %cluster up cluster.yaml     the cluster that a file describes
  %cluster                     its status
  %cluster panel               a live view of it, below this cell
  %cluster monitor -f          what the autoscaler does, and why
  %cluster down                end it

{overview(PROGRAM)}
"""

    @magic_arguments.magic_arguments(REMOTE)
    @with_arguments
    @no_var_expand
    @line_cell_magic
    def remote(self, line: str, cell: str | None = None) -> Any:
        """Run a cell, or an expression, on the cluster.

        The variables that it reads are sent along, what it prints and displays appears here, and
        the value of its last expression is the value of this cell. It runs in an IPython of its
        own with an empty namespace, on a node that has room.

        Options come first, then the code:

            %%remote --cpus 4 --out model
            model = train(data)

            score = %remote --gpus 1 evaluate(model)
        """
        try:
            words, rest = split(line, self.remote.parser)
            options = _parsed(self.remote.parser, words)
            if cell is not None and rest:
                raise UsageError(
                    f"%%remote: {rest!r} is no option; the code goes below the first line"
                )
            if cell is None and not rest:
                raise UsageError("%remote: which code? E.g. %remote f(3); %%remote runs a cell")
            return run_remote(self.shell, options, self._code(line, rest, cell), self._defaults())
        except UsageError as error:
            raise MagicUsageError(str(error)) from None
        except ClusterError as error:
            raise (error if "_render_traceback_" in vars(error) else sentence(error)) from None

    def _code(self, line: str, rest: str, cell: str | None) -> Code:
        number, at = place_in_notebook(self.shell)
        if cell is None:
            return Code(rest, f"%remote {line}", at, number)
        return Code(cell, f"%%remote {line}\n{cell}", 2, number)

    def _defaults(self) -> Defaults:
        try:
            return Defaults(
                cluster=self.cluster_name,
                cpus=self.cpus,
                gpus=self.gpus,
                memory=memory(self.memory) if self.memory else None,
                timeout=seconds(self.timeout) if self.timeout else None,
                max_bytes=int(self.max_megabytes * 1e6),
            )
        except ArgumentTypeError as error:
            raise UsageError(f"%config ClusterMagics: {error}") from None


def _parsed(parser: Any, words: list[str]) -> Namespace:
    try:
        return parser.parse_args(words)  # type: ignore[no-any-return]
    except MagicUsageError as error:
        raise UsageError(in_words(str(error))) from None


def place_in_notebook(shell: Any) -> tuple[int, int]:
    """The number of the cell that runs, and the line of it.

    A shell's own count is one too high while a cell runs, in some versions of IPython.
    """
    names = getattr(shell.compile, "_filename_map", {})
    frame: Any = sys._getframe()
    while frame is not None:
        if (number := names.get(frame.f_code.co_filename)) is not None:
            return int(number), int(frame.f_lineno)
        frame = frame.f_back
    return int(shell.execution_count), 1


def run_line(line: str, console: Console, default: str = "") -> None:
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
    if getattr(options, "cluster", "") is None:
        options.cluster = default or _name_at_hand()
    if options.verb == "down" and (panels := _panels()) is not None:
        panels.look_again()
    try:
        answer = run(options, console)
    except KeyboardInterrupt:
        if not getattr(options, "follow", False):
            raise
        return  # to interrupt is how one ends following; the cells below may go on
    _after(options, answer)


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


def _after(options: Namespace, answer: Any) -> None:
    verb = options.verb
    if verb in ("up", "connect") and answer is not None:
        from jupyter_cluster.client.cluster import Cluster
        from jupyter_cluster.client.session import use

        use(Cluster(answer))
    session = _session()
    held = session.at_hand() if session else None
    if verb == "down" and held is not None and not held.is_alive:
        session.shutdown()  # what waits for its results must not wait for ever
    if verb == "down" and (panels := _panels()) is not None:
        panels.settle_ended()


def _panels() -> Any:
    """The module that holds the panels, if there has been one."""
    return sys.modules.get("jupyter_cluster.notebook.panel.live")


def _console(shell: Any) -> Console:
    """That of a notebook, or where IPython runs in a terminal that of a terminal."""
    if getattr(shell, "kernel", None) is not None:
        return NotebookConsole()
    from jupyter_cluster.commands.terminal import Terminal

    return Terminal(PROGRAM)


# -- loading --------------------------------------------------------------------------------------


def _complete(shell: Any, event: SimpleNamespace) -> list[str]:
    """For the word at the cursor of a line that begins with `%cluster`."""
    from jupyter_cluster.commands.completion import completions

    return completions(event.text_until_cursor, _default_name(shell))


def _complete_remote(shell: Any, event: SimpleNamespace) -> list[str]:
    """For the word at the cursor of a line that begins with `%%remote`."""
    from jupyter_cluster.commands.completion import options, taking, values, words_before

    actions = shell.find_line_magic(REMOTE).parser._actions
    before = words_before(event.text_until_cursor)
    option = taking(actions, before[-1]) if before else None
    if option is not None:
        return values(option, _default_name(shell))
    return options(actions)


def _default_name(shell: Any) -> str | None:
    magics = shell.magics_manager.registry.get(ClusterMagics.__name__)
    return getattr(magics, "cluster_name", "") or _name_at_hand()


_COMPLETERS = {PROGRAM: _complete, f"%{REMOTE}": _complete_remote, f"%%{REMOTE}": _complete_remote}


def load(shell: Any) -> None:
    """Give a shell the magic and its completion."""
    magics = ClusterMagics(shell=shell)
    shell.register_magics(magics)
    shell.configurables.append(magics)  # for %config
    for name, complete in _COMPLETERS.items():
        shell.set_hook("complete_command", complete, str_key=name)
    if (formatter := getattr(shell, "display_formatter", None)) is not None:
        for (module, name), shown in _SHOWN.items():
            formatter.mimebundle_formatter.for_type_by_name(module, name, shown)
        formatter.ipython_display_formatter.for_type_by_name(*_CELL_JOB, _show_cell)


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


def _show_cell(job: Any) -> None:
    from jupyter_cluster.notebook.async_cell import show

    show(job)


_CELL_JOB = ("jupyter_cluster.client.cell_job", "CellJob")
# By name: the client's modules are not imported before somebody uses them.
_SHOWN: dict[tuple[str, str], Callable[..., dict[str, str] | None]] = {
    ("jupyter_cluster.client.cluster", "Cluster"): _show_cluster,
    ("jupyter_cluster.client.job", "Job"): _show_job,
}


def unload(shell: Any) -> None:
    """Take them away again."""
    for kind, name in (("line", MAGIC), ("line", REMOTE), ("cell", REMOTE)):
        shell.magics_manager.magics[kind].pop(name, None)
    shell.configurables[:] = [c for c in shell.configurables if not isinstance(c, ClusterMagics)]
    shell.magics_manager.registry.pop(ClusterMagics.__name__, None)
    for name in _COMPLETERS:
        shell.strdispatchers["complete_command"].strs.pop(name, None)
