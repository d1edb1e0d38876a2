"""A host that is being set up: commands on it, commands in its container, files onto it."""

from __future__ import annotations

import io
import json
import shlex
import tarfile
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from importlib import resources
from typing import Any

from jupyter_cluster.errors import SetupError
from jupyter_cluster.nodes.container import Container
from jupyter_cluster.nodes.ssh import CommandError, OnLine, Ssh

_SCRIPTS = ("files.py", "get_uv.py", "install.py", "share.py")
# Every login finds what the image's own profile sets; cloud images set the proxy or index there.
_PROFILE = "set -a; [ ! -r /etc/environment ] || . /etc/environment; set +a; "


@dataclass
class Node:
    """A host over one SSH connection.

    Attributes
    ----------
    folder : str
        Absolute path of the cluster's folder on it.
    home : str
        Home folder where commands and tasks run: of the SSH user, or of the container.
    """

    ssh: Ssh
    folder: str
    home: str
    on_line: OnLine = field(default=lambda _line: None)
    container: Container | None = None

    # -- commands -----------------------------------------------------------------------------

    def host(self, command: str, source: Iterable[bytes] = (), quiet: bool = False) -> str:
        """Run a command on the host itself."""
        return self.ssh.run(
            f"sh -c {shlex.quote(command)}", None if quiet else self.on_line, source
        )

    def inside(self, command: str, timeout: float | None = None) -> str:
        """Run a command where tasks run: in the container, if there is one."""
        return self.ssh.run(self._inside(command), self.on_line, timeout=timeout)

    def quiet_inside(self, command: str) -> str:
        """As `inside`; nobody is shown what it prints."""
        return self.ssh.run(self._inside(command))

    def inside_from(self, command: str, source: Iterable[bytes]) -> str:
        """As `quiet_inside`, with something for the command's input."""
        return self.ssh.run(self._inside(command), source=source)

    def read_inside(self, command: str) -> Iterator[bytes]:
        """What a command writes, piece by piece."""
        return self.ssh.stream(self._inside(command))

    def try_inside(self, command: str) -> int:
        """Run a command where tasks run; returns its exit code."""
        return self.ssh.try_to_run(self._inside(command), self.on_line)[0]

    def inside_home(self) -> str:
        """The home folder where tasks run."""
        return self.quiet_inside("pwd").strip().splitlines()[-1]

    def shell(self) -> str:
        """The command of an interactive shell where tasks run."""
        script = f"{self._setting()}exec bash -i"
        if self.container is not None:
            return self.container.inside(script, is_interactive=True)
        return f"bash -c {shlex.quote(script)}"

    def _inside(self, command: str) -> str:
        script = f"{self._setting()}{command}"
        if self.container is not None:
            return self.container.inside(script)
        return f"bash -c {shlex.quote(script)}"

    def _setting(self) -> str:
        """The node's Python comes first on the path, so that `pip install` lands in it."""
        path = f"{self.folder}/python/bin:{self.folder}/bin"
        registry = f"{self.folder}/registry"
        return f'{_PROFILE}export PATH="{path}:$PATH" JUPYTER_CLUSTER_HOME={registry}; cd ~ && '

    def user_command(self, command: str, timeout: float | None = None) -> None:
        """A command from the YAML: an error names it.

        Raises
        ------
        CommandError
            It failed, or took too long.
        """
        try:
            self.inside(command, timeout)
        except CommandError as error:
            what = "did not end in time" if error.code == 124 else f"ended with code {error.code}"
            raise CommandError(
                f"{command!r} {what}:\n{error.tail}", error.code, error.tail
            ) from None

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
        """Write files into the cluster's folder, readable by their owner only, in one go."""
        archive = io.BytesIO()
        with tarfile.open(fileobj=archive, mode="w") as tar:
            for name, content in files.items():
                info = tarfile.TarInfo(name)
                info.size, info.mode, info.mtime = len(content), 0o600, int(time.time())
                tar.addfile(info, io.BytesIO(content))
        target = shlex.quote(self.folder)
        self.host(
            f"umask 077; mkdir -p {target} && tar -x -f - -C {target}",
            source=[archive.getvalue()],
            quiet=True,
        )

    def put_scripts(self) -> None:
        """Bring our scripts for bare hosts, and make the folder for logs."""
        place = resources.files("jupyter_cluster.nodes.remote")
        scripts = {f"remote/{name}": place.joinpath(name).read_bytes() for name in _SCRIPTS}
        self.put({**scripts, "logs/.keep": b""})

    def script(self, name: str, *words: str, source: Iterable[bytes] = ()) -> str:
        """Run one of them with the host's own Python; returns what it printed."""
        path = shlex.quote(f"{self.folder}/remote/{name}")
        quoted = " ".join(shlex.quote(word) for word in words)
        return self.host(f"{_PROFILE}exec python3 {path} {quoted}", source, quiet=True)

    def read(self, name: str) -> str:
        """A file of the cluster's folder; empty where there is none."""
        return self.look(f"cat {shlex.quote(f'{self.folder}/{name}')}")

    def look(self, command: str) -> str:
        """What a command on the host tells; nothing where it fails.

        What was started in a container may belong to root.
        """
        asked = shlex.quote(command)
        tries = [f"{who}sh -c {asked} 2>/dev/null" for who in ("", "sudo -n ")]
        return self.host(" || ".join([*tries, "true"]), quiet=True)

    def read_json(self, name: str) -> dict[str, Any]:
        """A JSON file of the cluster's folder; empty where there is none."""
        try:
            return json.loads(self.read(name) or "{}")  # type: ignore[no-any-return]
        except ValueError:
            return {}


def folder_of(ssh: Ssh, cluster_id: str) -> tuple[str, str]:
    """The home folder of the SSH user and the cluster's folder in it, as absolute paths."""
    home = ssh.run("pwd", timeout=30).strip().splitlines()[-1]
    if not home.startswith("/"):
        raise SetupError(f"the shell on {ssh.address} does not say where its home is: {home!r}")
    return home, f"{home}/.jupyter_cluster/{cluster_id}"
