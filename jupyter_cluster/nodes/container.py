"""The docker section as commands for a host. Pure."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from jupyter_cluster.config import ClusterConfig
from jupyter_cluster.nodes.guard import ALIVE_FOLDER

# Of a host's memory, for /dev/shm in the container; as Ray does.
_SHM_SHARE = 0.3
_QUIET = " >/dev/null 2>&1"
# What a host says to all its programs about indexes, proxies and AWS holds in the container too.
_SETTINGS_FILE = "container.env"
_SETTINGS = (
    r"sed -nE 's/^((PIP|UV|AWS)_[A-Z_]+|(https?|no)_proxy|(HTTPS?|NO)_PROXY)="
    r"\"?([^\"]*)\"?$/\1=\5/p' /etc/environment"
)
# A host that has just booted may be at its own first steps and upgrades, which hold apt's locks.
# Of these `apt-get update` waits for none by itself.
_INSTALL = (
    "if command -v cloud-init >/dev/null; then timeout 300 cloud-init status --wait >/dev/null;"
    " fi; if command -v apt-get >/dev/null; then jc_tries=0;"
    " until jc_said=$(sudo -n apt-get update -qq 2>&1 && sudo -n env"
    " DEBIAN_FRONTEND=noninteractive apt-get install -qq -y -o DPkg::Lock::Timeout=300 {apt} 2>&1);"
    " do jc_tries=$((jc_tries + 1)); case $jc_said in *lock*) ;; *) jc_tries=60 ;; esac;"
    ' [ $jc_tries -lt 60 ] || {{ echo "$jc_said" >&2; exit 1; }}; sleep 5; done;'
    " elif command -v dnf >/dev/null; then sudo -n dnf install -q -y {dnf};"
    " else echo 'this image has neither apt-get nor dnf to install {engine} with' >&2; exit 1; fi"
)
# By this label a container is known as the cluster's own: another one of its name is left alone.
LABEL = "jupyter-cluster"


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
    def is_running(self) -> str:
        """Prints ``true`` where it runs."""
        ask = f"container inspect -f '{{{{.State.Running}}}}' {shlex.quote(self.name)}"
        return f"{self._engine(ask)} 2>/dev/null || true"

    @property
    def wake(self) -> str:
        """Start the one that there is, if it has stopped."""
        return self._engine(f"start {shlex.quote(self.name)}") + _QUIET

    @property
    def inspect(self) -> str:
        """Prints the home folder that commands have in the image, and their user and group."""
        who = " ".join(map(shlex.quote, _identity_options(self.options)))
        ask = f"--entrypoint sh {shlex.quote(self.image)} -c 'cd ~ && pwd; id -u; id -g'"
        return self._engine(f"run --rm --network none {who} {ask}")

    def start(self, folder: str, mounts: Mapping[str, str], cluster: str) -> str:
        """Start it anew; what runs in a former one ends.

        Parameters
        ----------
        folder
            Of the cluster on the host, the same path inside.
        mounts
            Paths on the host, by their path inside.
        cluster
            The cluster's id.
        """
        settings = shlex.quote(f"{folder}/{_SETTINGS_FILE}")
        words = ["run", "-d", "--name", shlex.quote(self.name), "--network host", "--init"]
        words += [f"--env-file {settings}", f"--label {LABEL}={shlex.quote(cluster)}"]
        words += [f"-v {shlex.quote(f'{path}:{path}')}" for path in (folder, ALIVE_FOLDER)]
        if self.shm:
            words.append(f"--shm-size={self.shm}b")
        if self.has_gpus:
            words.append("--gpus all" if self.engine == "docker" else "--device nvidia.com/gpu=all")
        words += ["$binds", *self.options, "--entrypoint sh", shlex.quote(self.image)]
        words.append("-c 'while :; do sleep 86400 & wait; done'")
        folders, links = [], []
        for inside, host in mounts.items():
            # A file that is bound keeps its content when another one takes its place: it is a link.
            bind, link = shlex.quote(f"{host}:{inside}"), _link(host, inside)
            is_folder = f"sudo -n test -d {shlex.quote(host)}"
            folders.append(f'if {is_folder}; then set -- "$@" -v {bind}; fi')
            links.append(f"{{ {is_folder} || {self._engine(self._as_root(link))}; }}")
        run = self._engine(" ".join(words)).replace("$binds", '"$@"')
        return " && ".join(["; ".join(["set --", *folders]), self.remove(cluster), run, *links])

    @property
    def settings(self) -> str:
        """Writes what the host's own profile sets into a file of the folder where it is run."""
        return f"umask 077; {{ {_SETTINGS} 2>/dev/null || true; }} >{_SETTINGS_FILE}"

    def _as_root(self, command: str) -> str:
        return f"exec -u 0 {shlex.quote(self.name)} sh -c {shlex.quote(command)}"

    def remove(self, cluster: str) -> str:
        """End it, if there is one; another's container of its name is named and left alone."""
        name = shlex.quote(self.name)
        label = f"container inspect -f '{{{{index .Config.Labels \"{LABEL}\"}}}}' {name}"
        whose = f"jc_whose=$({self._engine(label)} 2>/dev/null)"
        foreign = shlex.quote(
            f"there is a container {self.name} which is not of this cluster: remove it, or choose"
            " another docker.container_name"
        )
        gone = self._engine(f"rm -f {name}") + _QUIET
        return (
            f'if {whose}; then if [ "$jc_whose" = {shlex.quote(cluster)} ]; then {gone};'
            f" else echo {foreign} >&2; false; fi; fi"
        )

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


def _identity_options(options: Sequence[str]) -> list[str]:
    """Those options of ``docker run`` that say who runs commands, and where their home is."""
    found: list[str] = []
    words = iter(shlex.split(" ".join(options)))
    for word in words:
        name, is_joined, _value = word.partition("=")
        if name in ("--user", "-u", "--env", "-e", "--env-file", "--userns", "--group-add"):
            found += [word] if is_joined else [word, next(words, "")]
    return found


def _link(host: str, inside: str) -> str:
    """A link inside to a file in the cluster's folder."""
    target = shlex.quote(inside)
    return (
        f'mkdir -p "$(dirname {target})" && {{ [ ! -d {target} ] || rmdir {target}; }} &&'
        f" ln -sfn {shlex.quote(host)} {target}"
    )
