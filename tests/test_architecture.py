"""Which room may know which, and the names that are public."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

import jupyter_cluster
from jupyter_cluster import ray_names

pytestmark = pytest.mark.unit

PACKAGE = Path(jupyter_cluster.__file__).parent
# Every room, and the rooms it may import. What is not named here may import nothing of ours.
BASE = {
    "described",
    "identity",
    "tracebacks",
    "errors",
    "by_value",
    "raised",
    "model",
    "resources",
    "formats",
    "wire",
    "codec",
    "trust",
    "dask_settings",
    "background",
    "doors",
    "_version",
}
ALLOWED: dict[str, set[str]] = {
    "_version": set(),
    "background": {"errors"},
    "doors": set(),
    "interrupts": set(),
    "described": set(),
    "identity": set(),
    "tracebacks": {"described", "formats"},
    "errors": {"tracebacks"},
    "by_value": {"described", "errors"},
    "raised": {"codec", "described", "errors", "tracebacks"},
    "formats": set(),
    "resources": {"formats"},
    "model": {"resources"},
    "wire": set(),
    "dask_settings": {"background", "doors", "trust"},
    "charts": {"described", "errors", "model", "resources", "formats"},
    "codec": {"by_value", "described", "errors"},
    "trust": set(),
    "config": {"described", "errors", "model", "resources", "formats"},
    "autoscaler": {"errors", "model", "resources", "formats"},
    "simulator": {"errors", "model", "resources", "formats", "autoscaler", "charts"},
    "providers": {"errors", "model", "resources", "formats", "trust", "config"},
    "nodes": BASE | {"ray_names", "config", "providers"},
    "agent": BASE,
    "head": BASE | {"config", "autoscaler", "providers"},
    "client": BASE | {"config", "charts", "providers", "nodes"},
    "viewmodel": BASE | {"client", "charts"},
    "commands": BASE | {"config", "client", "demo", "simulator", "viewmodel"},
    "cli": BASE | {"commands", "interrupts", "server"},
    "demo": BASE | {"config", "client", "charts", "interrupts"},
    "panel": BASE | {"viewmodel"},
    "notebook": BASE | {"config", "client", "commands", "charts", "panel", "viewmodel"},
    "server": BASE | {"charts", "config", "client", "commands", "panel", "providers", "viewmodel"},
    "__init__": {"_version", "client", "notebook", "ray_names", "server"},
    "ray_names": set(),
}


def imports(path: Path) -> set[str]:
    """The rooms that a module imports, anywhere in it."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        names: list[str] = []
        if isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            names = [node.module]
            if node.module == "jupyter_cluster":
                names = [f"jupyter_cluster.{alias.name}" for alias in node.names]
        elif isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        found |= {name.split(".")[1] for name in names if name.startswith("jupyter_cluster.")}
    return found


@pytest.mark.parametrize("path", sorted(PACKAGE.rglob("*.py")), ids=lambda p: str(p.name))
def test_a_room_knows_only_the_rooms_below_it(path: Path) -> None:
    inside = path.relative_to(PACKAGE)
    room = inside.parts[0].removesuffix(".py")
    assert room in ALLOWED, f"{inside}: a new room; say here what it may know"
    forbidden = imports(path) - ALLOWED[room] - {room}
    assert not forbidden, f"{inside} must not import {', '.join(sorted(forbidden))}"


def test_the_pure_rooms_import_no_input_or_output() -> None:
    rooms = [PACKAGE / "autoscaler", PACKAGE / "simulator"]
    for path in (path for room in rooms for path in room.glob("*.py")):
        if path.name == "__main__.py":
            continue  # a command reads its input
        used = set(re.findall(r"^(?:import|from) (\w+)", path.read_text(), re.MULTILINE))
        assert not used & {"time", "os", "asyncio", "threading", "socket", "distributed", "boto3"}


def test_the_public_names_are_these_and_each_can_be_had() -> None:
    assert set(jupyter_cluster.__all__) == {
        "Cluster",
        "Job",
        "Outcome",
        "Ref",
        "__version__",
        "cancel",
        "connect",
        "down",
        "get",
        "init",
        "is_initialized",
        "progress",
        "put",
        "remote",
        "shutdown",
        "up",
        "wait",
    }
    for name in jupyter_cluster.__all__:
        assert getattr(jupyter_cluster, name) is not None


@pytest.mark.parametrize("name", sorted(ray_names.NEAREST))
def test_names_of_ray_are_missed_with_the_nearest_thing(name: str) -> None:
    with pytest.raises(AttributeError, match=f"'{name}', which is Ray's; .+"):
        getattr(jupyter_cluster, name)()  # `nodes` is a package of ours, too


def test_other_names_are_missed_without_a_word() -> None:
    with pytest.raises(AttributeError, match=r"has no attribute 'nothing'$"):
        jupyter_cluster.nothing  # noqa: B018
    assert jupyter_cluster.errors.ClusterError is not None


def test_importing_the_package_imports_nothing_heavy() -> None:
    script = "import sys, jupyter_cluster; print(*sorted(sys.modules))"
    printed = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    ).stdout.split()
    heavy = {
        "tqdm",
        "distributed",
        "dask",
        "plotly",
        "IPython",
        "ipywidgets",
        "pydantic",
        "rich",
        "yaml",
    }
    assert not heavy & set(printed)


def test_the_changelog_has_the_version() -> None:
    changelog = PACKAGE.parent / "CHANGELOG.md"
    assert f"## {jupyter_cluster.__version__}" in changelog.read_text()
