"""A host that is being set up: commands on it, commands in its container, files onto it."""

from __future__ import annotations

import contextlib
import io
import json
import math
import shlex
import tarfile
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib import resources
from typing import Any

from jupyter_cluster.errors import SetupError
from jupyter_cluster.nodes.command import OnLine, Who, answering, endable, ending
from jupyter_cluster.nodes.container import Container
from jupyter_cluster.nodes.guard import PROGRESS
from jupyter_cluster.nodes.session import CommandError, OverdueCommandError, Ssh

_SCRIPTS = (
    "files.py",
    "first_steps.py",
    "get_uv.py",
    "install.py",
    "owner.py",
    "share.py",
    "stop.py",
)
_ASK_SECONDS = 60.0
# Python looks for a script by its absolute path, on which its user may not be let through.
_RUN = (
    "import sys; sys.argv[:] = sys.argv[1:]; sys.path.insert(0, 'remote');"
    " exec(compile(open(sys.argv[0]).read(), sys.argv[0], 'exec'), {'__name__': '__main__'})"
)
# Every login finds what the image's own profile sets; cloud images set the proxy or index there.
# It is read as PAM reads it, which is not as a shell would: nothing in it is run.
_READ_PROFILE = (
    'jc_profile() { while IFS= read -r jc_l || [ -n "$jc_l" ]; do'
    ' jc_l="${jc_l#"${jc_l%%[! \t]*}"}"; jc_l="${jc_l#export }"; jc_k="${jc_l%%=*}";'
    ' case "$jc_k" in "$jc_l" | "" | [0-9]* | *[!A-Za-z0-9_]*) continue ;; esac;'
    ' jc_l="${jc_l#*=}"; jc_l="${jc_l%"${jc_l##*[! \t\r]}"}";'
    ' case "$jc_l" in \\"*\\" | \\\'*\\\') jc_l="${jc_l#?}"; jc_l="${jc_l%?}" ;; esac;'
    ' case "$jc_k=$jc_l" in PATH=*$*) continue ;; esac;'  # meant for a shell
    ' export "$jc_k=$jc_l" 2>/dev/null; done; unset jc_l jc_k; };'
    " [ ! -r {0} ] || jc_profile <{0}; "
)


def profile(path: str = "/etc/environment") -> str:
    """A piece of shell that exports what a file of settings says."""
    return _READ_PROFILE.replace("{0}", path)


_PROFILE = profile()


@dataclass
class Node:
    """A host over one SSH connection.

    Attributes
    ----------
    folder : str
        Absolute path of the cluster's folder on it.
    home : str
        Home folder where commands and tasks run: of the SSH user, or of the container.
    is_foreign : bool
        Whether the folder belongs to another user than the one of SSH: that of the container.
    deadline : float or None
        When commands on it must have ended (monotonic clock).
    on_progress : callable
        Called when something has been sent or has come.
    """

    ssh: Ssh
    folder: str
    home: str
    on_line: OnLine = field(default=lambda _line: None)
    container: Container | None = None
    is_foreign: bool = False
    deadline: float | None = None
    on_progress: Callable[[], None] = field(default=lambda: None)

    # -- commands -----------------------------------------------------------------------------

    def host(self, command: str, quiet: bool = False) -> None:
        """Run a command on the host itself."""
        with _named(command):
            on_line = None if quiet else self.on_line
            self.ssh.run(_on_host(answering(command)), on_line, deadline=self.deadline)

    def ask(self, command: str, source: Iterable[bytes] = ()) -> str:
        """What a command on the host itself answers on stdout."""
        with _named(command):
            return self._ask(_on_host(answering(command)), source)

    def inside(self, command: str) -> None:
        """Run a command where tasks run: in the container, if there is one."""
        with _named(command):
            self.ssh.run(self._inside(command), self.on_line, deadline=self.deadline)

    def ask_inside(self, command: str, source: Iterable[bytes] = ()) -> str:
        """What a command answers on stdout, run where tasks run."""
        with _named(command):
            return self._ask(self._inside(command), source)

    def read_inside(self, command: str) -> Iterator[bytes]:
        """What a command writes, piece by piece."""
        return self.ssh.stream(self._inside(command))

    def inside_home(self) -> str:
        """The home folder where tasks run."""
        return self.ask_inside("pwd").strip()

    def _ask(self, line: str, source: Iterable[bytes]) -> str:
        """Questions have an end of their own."""
        if not source:
            until = time.monotonic() + _ASK_SECONDS
            until = until if self.deadline is None else self.deadline
            return self.ssh.ask(line, deadline=until, on_piece=self.on_progress)
        with self.transfer():
            return self.ssh.ask(line, self._told(source), on_piece=self.on_progress)

    def _told(self, source: Iterable[bytes]) -> Iterator[bytes]:
        for piece in source:
            self.on_progress()
            yield piece

    def go_on(self) -> None:
        """It waits for others, which get on: here and on the host that counts as progress."""
        self.on_progress()
        self.host(f"touch -c {PROGRESS} 2>/dev/null || true", quiet=True)

    @contextmanager
    def transfer(self) -> Iterator[None]:
        """What is sent or fetched takes as long as the network does: the deadline waits.

        The host's watch waits too, as long as something arrives (`nodes.guard`).
        """
        began, deadline = time.monotonic(), self.deadline
        self.deadline = math.inf
        try:
            yield
        finally:
            self.deadline = None if deadline is None else deadline + time.monotonic() - began

    def shell(self) -> str:
        """The command of an interactive shell where tasks run."""
        return self.terminal("exec bash -i")

    def terminal(self, command: str) -> str:
        """The command line of a user's command where tasks run, for a terminal."""
        return self._inside(command, self._endable, is_interactive=True)

    def program(self, command: str) -> str:
        """The command line of a user's command where tasks run, for pipes."""
        return self._inside(command, self._endable)

    def _endable(self, command: str) -> str:
        return endable(command, "bash" if self.container is None else "sh")

    def _inside(
        self,
        command: str,
        begin: Callable[[str], str] = answering,
        is_interactive: bool = False,
    ) -> str:
        script = f"{self._setting()}{begin(command)}"
        if self.container is not None:
            return self.container.inside(script, is_interactive=is_interactive)
        return f"bash -c {shlex.quote(script)}"

    def _setting(self) -> str:
        """The node's Python comes first on the path, so that `pip install` lands in it."""
        path = f"{self.folder}/python/bin:{self.folder}/bin"
        registry = f"{self.folder}/registry"
        return f'{_PROFILE}export PATH="{path}:$PATH" JUPYTER_CLUSTER_HOME={registry}; cd ~; '

    def user_command(self, command: str, on_host: bool = False) -> None:
        """A command from the YAML: an error names it; one that is overdue is ended.

        Parameters
        ----------
        on_host
            On the host itself, and not in its container.

        Raises
        ------
        CommandError
            It failed, or took too long.
        """
        script = f"export JUPYTER_CLUSTER_HOME={self.folder}/registry; {endable(command)}"
        line = _on_host(script) if on_host else self.program(command)
        try:
            self.ssh.run(line, self.on_line, deadline=self.deadline)
        except CommandError as error:
            if isinstance(error, OverdueCommandError) and error.who is not None:
                with contextlib.suppress(SetupError):
                    self.end(error.who, "KILL", on_host)
            what = f"{command!r} {_how(error)}:\n{error.tail}"
            raise CommandError(what, error.code, error.tail) from None

    def end(self, who: Who, signal: str, on_host: bool = False) -> None:
        """Send a signal to a user's command and all that it has started."""
        script = answering(ending(who, signal))
        if self.container is not None and not on_host:
            line = self.container.inside(script)
        else:
            line = _on_host(script)
        self.ssh.ask(line, deadline=time.monotonic() + _ASK_SECONDS)

    def detach(self, command: str, log: str) -> None:
        """Start something that goes on when we are gone."""
        script = f"{self._setting()}exec {command} >>{shlex.quote(log)} 2>&1 </dev/null"
        if self.container is not None:
            self.host(self.container.inside(script, is_detached=True), quiet=True)
        else:
            inner = shlex.quote(script)
            self.host(f"setsid nohup bash -c {inner} >/dev/null 2>&1 </dev/null &", quiet=True)

    # -- files --------------------------------------------------------------------------------

    def put(self, files: Mapping[str, bytes]) -> None:
        """Write files into the cluster's folder, readable by its owner only, in one go."""
        archive = io.BytesIO()
        with tarfile.open(fileobj=archive, mode="w") as tar:
            for name, content in files.items():
                info = tarfile.TarInfo(name)
                info.size, info.mode, info.mtime = len(content), 0o600, int(time.time())
                tar.addfile(info, io.BytesIO(content))
        if not self.is_foreign:
            self.ask(f"umask 077; mkdir -p {shlex.quote(self.folder)}")
        self.in_folder("umask 077; tar -x --no-same-owner -f -", [archive.getvalue()])

    def in_folder(self, command: str, source: Iterable[bytes] = ()) -> str:
        """What a command on the host answers, in the cluster's folder and as its owner."""
        folder = shlex.quote(self.folder)
        if not self.is_foreign:
            return self.ask(f"cd {folder} && {{ {command}; }}", source)
        owner = f"sudo -n python3 {folder}/remote/owner.py {folder}"
        return self.ask(f"{owner} sh -c {shlex.quote(command)}", source)

    def give_to(self, user: str, group: str) -> None:
        """Let the folder belong to the user of a container; root may read it anyway."""
        folder = shlex.quote(self.folder)
        ours, our_group, owner = self.ask(f"id -u; id -g; stat -c %u {folder}").split()
        wanted, its_group = (ours, our_group) if user == "0" else (user, group)
        if owner != wanted:
            self.host(f"sudo -n chown -R {wanted}:{its_group} {folder}")
        self.is_foreign = wanted != ours

    def put_scripts(self) -> None:
        """Bring our scripts for bare hosts, and make the folder for logs."""
        place = resources.files("jupyter_cluster.nodes.remote")
        scripts = {f"remote/{name}": place.joinpath(name).read_bytes() for name in _SCRIPTS}
        self.put({**scripts, "logs/.keep": b""})

    def script(self, name: str, *words: str, source: Iterable[bytes] = ()) -> str:
        """Run one of them with the host's own Python, in the folder; returns what it printed."""
        how = ("-c", _RUN) if self.is_foreign else ()
        command = " ".join(map(shlex.quote, ("python3", *how, f"remote/{name}", *words)))
        return self.in_folder(f"{_PROFILE}exec {command}", source)

    def read(self, name: str) -> str:
        """A file of the cluster's folder; empty where there is none."""
        return self.look(f"cat {shlex.quote(f'{self.folder}/{name}')}")

    def look(self, command: str) -> str:
        """What a command on the host tells; nothing where it fails.

        What was started in a container may belong to root.
        """
        asked = shlex.quote(command)
        tries = [f"{who}sh -c {asked} 2>/dev/null" for who in ("", "sudo -n ")]
        return self.ask(" || ".join([*tries, "true"]))

    def read_json(self, name: str) -> dict[str, Any]:
        """A JSON file of the cluster's folder; empty where there is none."""
        try:
            return json.loads(self.read(name) or "{}")  # type: ignore[no-any-return]
        except ValueError:
            return {}


def _on_host(script: str) -> str:
    return f"sh -c {shlex.quote(script)}"


@contextmanager
def _named(command: str) -> Iterator[None]:
    """Errors name the command as it was meant, without what is around it."""
    try:
        yield
    except CommandError as error:
        text = command.removeprefix(_PROFILE)
        short = text if len(text) <= 200 else text[:197] + "..."
        what = f"{short!r} {_how(error)}:\n{error.tail}"
        raise CommandError(what, error.code, error.tail) from None


def _how(error: CommandError) -> str:
    if isinstance(error, OverdueCommandError):
        return "did not end in time"
    return f"ended with code {error.code}"


def open_node(ssh: Ssh, cluster_id: str, on_line: OnLine, deadline: float | None = None) -> Node:
    """A host with the cluster's folder, which lies in the home of the SSH user."""
    until = time.monotonic() + _ASK_SECONDS
    asked = (
        f"pwd; id -u; stat -c %u .jupyter_cluster/{shlex.quote(cluster_id)} 2>/dev/null || id -u"
    )
    lines = ssh.ask(_on_host(answering(asked)), deadline=until).splitlines()
    if len(lines) != 3 or not lines[0].startswith("/"):
        said = "\n".join(lines)
        raise SetupError(f"the shell on {ssh.address} does not say where its home is: {said!r}")
    home, user, owner = lines
    folder = f"{home}/.jupyter_cluster/{cluster_id}"
    return Node(ssh, folder, home, on_line, is_foreign=owner != user, deadline=deadline)
