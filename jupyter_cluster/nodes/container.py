"""The docker section as commands for a host. Pure."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from dataclasses import dataclass

from jupyter_cluster.config import ClusterConfig
from jupyter_cluster.nodes.guard import ALIVE_FOLDER

# Of a host's memory, for /dev/shm in the container; as Ray does.
_SHM_SHARE = 0.3
_QUIET = " >/dev/null 2>&1"
# What a host says to all its programs about indexes, proxies and AWS holds in the container too.
_SETTINGS = (
    r"sed -nE 's/^((PIP|UV|AWS)_[A-Z_]+|(https?|no)_proxy|(HTTPS?|NO)_PROXY)="
    r"\"?([^\"]*)\"?$/\1=\5/p' /etc/environment"
)
_INSTALL = (
    "if command -v apt-get >/dev/null; then sudo -n apt-get update -qq &&"
    # A host that has just booted may be at its own upgrades, which hold the lock.
    " sudo -n env DEBIAN_FRONTEND=noninteractive apt-get install -qq -y"
    " -o DPkg::Lock::Timeout=300 {apt};"
    " elif command -v dnf >/dev/null; then sudo -n dnf install -q -y {dnf};"
    " else echo 'this image has neither apt-get nor dnf to install {engine} with' >&2; exit 1; fi"
)


@dataclass(frozen=True)
class Container:
    """The container of a node.

    Attributes
    ----------
    engine : str
        ``docker`` or ``podman``.
    has_gpus : bool
        Whether the host's GPUs are passed on.
    shm : int
        Bytes of /dev/shm; 0 for the engine's own default.
    """

    engine: str
    image: str
    name: str
    pull: bool
    options: tuple[str, ...]
    has_gpus: bool
    shm: int

    @property
    def install(self) -> str:
        """Make sure that the host has the engine and that it runs."""
        packages = {"docker": ("docker.io", "docker"), "podman": ("podman", "podman")}
        apt, dnf = packages[self.engine]
        lines = f"command -v {self.engine} >/dev/null || {{ {_install(self.engine, apt, dnf)}; }}"
        if self.engine == "docker":
            lines += (
                " && { sudo -n docker info >/dev/null 2>&1 ||"
                " { command -v systemctl >/dev/null && sudo -n systemctl start docker; } ||"
                " sudo -n service docker start; }"
            )
        return lines

    def _engine(self, words: str) -> str:
        return f"sudo -n {self.engine} {words}"

    @property
    def get_image(self) -> str:
        """Pull the image, or only where the host lacks it."""
        pull = self._engine(f"pull -q {shlex.quote(self.image)}")
        has = self._engine(f"image inspect {shlex.quote(self.image)} >/dev/null 2>&1")
        return pull if self.pull else f"{has} || {pull}"

    @property
    def inspect(self) -> str:
        """Prints the home folder that commands have in the image."""
        ask = f"--rm --entrypoint sh {shlex.quote(self.image)} -c 'cd ~ && pwd'"
        return self._engine(f"run --network none {ask}")

    def start(self, folder: str, mounts: Mapping[str, str]) -> str:
        """Start it anew; what runs in a former one ends.

        Parameters
        ----------
        folder
            Of the cluster on the host, the same path inside.
        mounts
            Paths on the host, by their path inside.
        """
        name = shlex.quote(self.name)
        binds = {folder: folder, ALIVE_FOLDER: ALIVE_FOLDER}
        binds |= mounts
        settings = shlex.quote(f"{folder}/container.env")
        words = ["run", "-d", "--name", name, "--network host", "--init", f"--env-file {settings}"]
        words += [f"-v {shlex.quote(f'{host}:{inside}')}" for inside, host in binds.items()]
        if self.shm:
            words.append(f"--shm-size={self.shm}b")
        if self.has_gpus:
            words.append("--gpus all" if self.engine == "docker" else "--device nvidia.com/gpu=all")
        words += [*self.options, "--entrypoint sh", shlex.quote(self.image)]
        words.append("-c 'while :; do sleep 86400 & wait; done'")
        lines = [f"{_SETTINGS} >{settings} 2>/dev/null", self._engine(f"rm -f {name}") + _QUIET]
        return "; ".join([*lines, self._engine(" ".join(words))])

    def inside(self, command: str, is_detached: bool = False, is_interactive: bool = False) -> str:
        """A shell command as it is run in the container."""
        how = "-d " if is_detached else "-it " if is_interactive else "-i "
        return self._engine(f"exec {how}{shlex.quote(self.name)} sh -c {shlex.quote(command)}")


def _install(engine: str, apt: str, dnf: str) -> str:
    return _INSTALL.format(engine=engine, apt=apt, dnf=dnf)


def container_of(
    config: ClusterConfig, node_type: str, is_head: bool, gpus: float, memory: float
) -> Container | None:
    """The container that the YAML asks for on a node; None for none."""
    docker = config.docker if is_head else config.worker_docker(node_type)
    image = (docker.head_image if is_head else docker.worker_image) or docker.image
    if not image:
        return None
    more = docker.head_run_options if is_head else docker.worker_run_options
    return Container(
        engine="podman" if docker.use_podman else "docker",
        image=image,
        name=docker.container_name or f"jupyter-cluster-{config.cluster_name}",
        pull=docker.pull_before_run,
        options=(*docker.run_options, *more),
        has_gpus=gpus > 0 and not docker.disable_automatic_runtime_detection,
        shm=0 if docker.disable_shm_size_detection else int(memory * _SHM_SHARE),
    )
