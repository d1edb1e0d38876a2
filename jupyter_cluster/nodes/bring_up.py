"""The stages from a host that answers SSH to a running head or agent.

Each stage is announced before it begins, and each is skipped where a node has it already: what it
was made from is noted on the node when it is done. So an interrupted `up` goes on where it was.
"""

from __future__ import annotations

import json
import posixpath
import re
import shlex
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from jupyter_cluster.errors import SetupError
from jupyter_cluster.model import NodeState
from jupyter_cluster.nodes import files
from jupyter_cluster.nodes.container import Container
from jupyter_cluster.nodes.files import Tree
from jupyter_cluster.nodes.guard import ALIVE, ALIVE_FOLDER
from jupyter_cluster.nodes.node import Node
from jupyter_cluster.nodes.python import PythonEnvironment
from jupyter_cluster.nodes.remote.files import MOUNTS
from jupyter_cluster.nodes.session import CommandError

Report = Callable[[NodeState, str], None]
Bring = Callable[[Node, Mapping[str, str]], None]

_STATE = "state.json"
_STAGES = ("initialization", "container", "environment", "setup")
_START_SECONDS = 60.0
_FIRST_STEPS_SECONDS = 300
_NAMES_APT = re.compile(r"\b(apt|apt-get|aptitude|dpkg|get\.docker\.com)\b")
# For the watch on the host, which until now has counted from its boot.
# Hosts that were there before us have no watch, and maybe no sudo.
_SIGN_OF_LIFE = (
    f"{{ sudo -n mkdir -p -m 1777 {ALIVE_FOLDER} && touch {ALIVE}; }} 2>/dev/null || true"
)
_POLL_SECONDS = 0.1


@dataclass
class Recipe:
    """What a node is to become.

    Attributes
    ----------
    kit : mapping
        Files for the cluster's folder: certificates, options, configuration.
    targets : sequence of str
        Where file mounts lie on the nodes.
    bring_files : callable
        Puts the file mounts onto a node; gets the paths of the targets on it, by their keys.
    module : str
        What is started: ``jupyter_cluster.head`` or ``jupyter_cluster.agent``.
    arguments : callable
        Its arguments, given the cluster's folder on the node.
    mirror : str
        Where a Python that the image lacks is fetched from; empty for GitHub.
    adopts : bool
        Whether what runs already keeps what it was set up with, since tasks may run on it.
    started : str
        The file in that folder that appears when it is up; empty where nobody waits for it.
    """

    kit: Mapping[str, bytes]
    targets: Sequence[str]
    bring_files: Bring
    initialization: Sequence[str]
    container: Container | None
    environment: PythonEnvironment
    setup: Sequence[str]
    module: str
    arguments: Callable[[str], Sequence[str]]
    started: str = ""
    restart: bool = False
    skip_setup: bool = False
    skip_start: bool = False
    mirror: str = ""
    adopts: bool = False

    def mark(self, stage: str) -> str | None:
        """What a stage depends on, as a text that is noted when it is done."""
        depends = {
            "initialization": repr(self.initialization) if self.initialization else None,
            "container": repr((self.container, self.targets)) if self.container else None,
            "environment": self.environment.digest,
            "setup": repr(self.setup),
        }
        return depends[stage]


def bring_up(node: Node, recipe: Recipe, report: Report) -> list[str]:
    """Take a node through the stages that it still needs, and start what runs on it.

    Returns
    -------
    list of str
        Where the recipe adopts what runs already: the stages that would be done otherwise by now.

    Raises
    ------
    SetupError
        A stage failed; `stage` names it.
    """
    done: dict[str, Any] = {}
    with _stage("syncing-files", NodeState.SYNCING_FILES, "the cluster's own files", report):
        node.put(recipe.kit)
        node.put_scripts()
        done = node.read_json(_STATE)
        is_adopted = recipe.adopts and _is_kept(node)
    if is_adopted:
        with _stage("syncing-files", NodeState.SYNCING_FILES, "file mounts", report):
            recipe.bring_files(node, outside(node, recipe))
        return [stage for stage in _STAGES if done.get(stage) != recipe.mark(stage)]
    if not recipe.skip_setup:
        _set_up(node, recipe, report, done)
    elif recipe.container is not None:  # a host that was stopped has stopped it too
        node.host(recipe.container.wake, quiet=True)
    node.container = recipe.container
    if not recipe.skip_start:
        with _stage("starting", NodeState.SETTING_UP, f"starting {recipe.module}", report):
            _start(node, recipe)
            node.host(_SIGN_OF_LIFE, quiet=True)
    return []


def _is_kept(node: Node) -> bool:
    """Whether a keeper looks after something of ours there."""
    folder = shlex.quote(node.folder)
    return "kept" in node.look(f"python3 {folder}/remote/stop.py {folder}")


def _set_up(node: Node, recipe: Recipe, report: Report, done: dict[str, Any]) -> None:
    with _stage("syncing-files", NodeState.SYNCING_FILES, "file mounts", report):
        recipe.bring_files(node, outside(node, recipe))
    if recipe.initialization and done.get("initialization") != recipe.mark("initialization"):
        for command in recipe.initialization:
            with _stage("initialization", NodeState.SETTING_UP, command, report):
                _await_first_steps(node, command)
                node.user_command(command, on_host=True)
        _note(node, recipe, done, "initialization")
    if recipe.container is not None:
        _start_container(node, recipe, report, done)
    if done.get("environment") != recipe.mark("environment"):
        _make_environment(node, recipe, report)
        _note(node, recipe, done, "environment")
        done.pop("setup", None)  # what it has installed was in the former environment
    if done.get("setup") != recipe.mark("setup"):
        for command in recipe.setup:
            with _stage("setup", NodeState.SETTING_UP, command, report):
                if recipe.container is None:
                    _await_first_steps(node, command)
                node.user_command(command)
        _note(node, recipe, done, "setup")


def _await_first_steps(node: Node, command: str) -> None:
    """A command that names apt must not meet the host's own upgrades after its first boot."""
    if _NAMES_APT.search(command):
        node.script("first_steps.py", str(_FIRST_STEPS_SECONDS))


def _note(node: Node, recipe: Recipe, done: dict[str, Any], stage: str) -> None:
    done[stage] = recipe.mark(stage)
    node.put({_STATE: json.dumps(done).encode()})


@contextmanager
def _stage(name: str, state: NodeState, text: str, report: Report) -> Any:
    report(state, text)
    try:
        yield
    except SetupError as error:
        error.stage = error.stage or name
        raise


# -- files and container --------------------------------------------------------------------------


def outside(node: Node, recipe: Recipe) -> dict[str, str]:
    """Where targets lie on the host, by their keys; with a container they are bound into it, from
    the cluster's folder, where its user need not know the way to."""
    if recipe.container is None:
        return {files.key_of(one): expanded(one, node.home) for one in recipe.targets}
    keys = map(files.key_of, recipe.targets)
    return {key: f"mounted/{key}" for key in keys}


def expanded(target: str, home: str) -> str:
    below = target.removeprefix("~").lstrip("/") if target.startswith("~") else target
    return posixpath.join(home, below).rstrip("/")


def _start_container(node: Node, recipe: Recipe, report: Report, done: dict[str, Any]) -> None:
    container = recipe.container
    assert container is not None
    node.container = container
    mark = recipe.mark("container")
    with _stage("container", NodeState.SETTING_UP, f"container {container.image}", report):
        is_running = done.get("container") == mark and "true" in node.ask(container.is_running)
        if not is_running:
            node.host(container.install)
            node.host(container.get_image)
            home, user, group = node.ask(container.inspect).split("\n")[:3]
            node.give_to(user, group)
            node.in_folder(container.settings)
            hosts = outside(node, recipe)
            mounts = {
                expanded(one, home): f"{node.folder}/{hosts[files.key_of(one)]}"
                for one in recipe.targets
            }
            node.host(container.start(node.folder, mounts, node.folder.rpartition("/")[2]))
            _note(node, recipe, done, "container")
            done.pop("setup", None)


# -- Python ---------------------------------------------------------------------------------------


def _make_environment(node: Node, recipe: Recipe, report: Report) -> None:
    environment = recipe.environment
    place, uv = f"{node.folder}/environment", f"{node.folder}/bin/uv"
    with _stage("environment", NodeState.SETTING_UP, "uv", report):
        node.put(
            {
                "environment/version": environment.version.encode(),
                "environment/requirements.txt": "\n".join(environment.requirements).encode(),
                f"environment/{environment.wheel_name}": environment.wheel,
            }
        )
        with node.transfer():
            node.script("get_uv.py", "bin/uv")
    settings = (
        f"export UV_CACHE_DIR={node.folder}/cache UV_PYTHON_INSTALL_DIR={node.folder}/pythons"
        f" UV_NO_PROGRESS=1; {_from_mirror(recipe.mirror)}"
    )
    version = environment.version
    what = f"Python {version} with {len(environment.requirements)} packages"
    with _stage("environment", NodeState.SETTING_UP, what, report):
        find = f"{uv} python find --no-python-downloads {version} 2>/dev/null || true"
        is_lacking = not node.ask_inside(f"{settings}{find}").strip()
        if is_lacking:
            whence = recipe.mirror or "GitHub"
            text = f"the image lacks Python {version}: uv fetches it from {whence}"
            report(NodeState.SETTING_UP, text)
        try:
            node.inside(
                f"{settings}{uv} venv --quiet --clear --python {version} {node.folder}/python"
            )
        except CommandError as error:
            if not is_lacking:
                raise
            raise SetupError(
                f"the image lacks Python {version}, and it could not be had from {whence}: name a"
                " mirror of it in python.mirror, or take an image, or a notebook, whose Python is"
                f" of the same minor version\n{error.tail}"
            ) from error
        node.inside(
            f"{settings}{node.folder}/python/bin/python {node.folder}/remote/install.py {uv}"
            f" {place}/requirements.txt {place}/{environment.wheel_name}"
        )


def _from_mirror(mirror: str) -> str:
    return f"export UV_PYTHON_INSTALL_MIRROR={shlex.quote(mirror)}; " if mirror else ""


# -- starting -------------------------------------------------------------------------------------


def _start(node: Node, recipe: Recipe) -> None:
    keeper = "jupyter_cluster.nodes.keeper"
    if recipe.restart:
        node.inside(f"python -P -m {keeper} --hang-up {node.folder}")
    words = ["python", "-P", "-m", keeper, node.folder, recipe.module]
    words += list(recipe.arguments(node.folder))
    node.detach(" ".join(map(shlex.quote, words)), f"{node.folder}/logs/keeper.log")
    if recipe.started:
        _wait_for(node, recipe.started)


def _wait_for(node: Node, name: str) -> None:
    deadline = time.monotonic() + _START_SECONDS
    while not node.read(name):
        if time.monotonic() > deadline:
            log = node.look(f"tail -n 20 {node.folder}/logs/*.log")
            raise SetupError(f"it did not start within {_START_SECONDS:.0f} s:\n{log}", "starting")
        time.sleep(_POLL_SECONDS)


# -- file mounts straight to a node ---------------------------------------------------------------


def send_tree(tree: Tree, report: Callable[[str], None] = lambda _text: None) -> Bring:
    """Brings a tree from here: what the node lacks of it, in one stream."""

    def bring(node: Node, roots: Mapping[str, str]) -> None:
        index = json.loads(node.script("files.py", "have", MOUNTS))
        if files.is_current(tree, index):
            return
        names = files.lacking(tree, index)
        size = sum(tree.files[name][2] for name in names)
        report(f"{len(names)} files, {size / 1e6:.1f} MB")
        if tree.left_out:
            count, some = len(tree.left_out), ", ".join(tree.left_out[:3])
            report(f"pipes, sockets and devices are not copied ({count}): {some}")
        node.script(
            "files.py",
            "take",
            MOUNTS,
            json.dumps(dict(roots)),
            source=files.pack(tree, names, report),
        )

    return bring
