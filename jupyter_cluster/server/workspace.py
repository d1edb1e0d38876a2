"""The files and kernels of the Jupyter server, as far as clusters need them."""

from __future__ import annotations

import asyncio
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

from jupyter_cluster.errors import UsageError
from jupyter_cluster.formats import printable_line, shortened

# What starts and ends clusters; see `operation`.
_MODULE = "jupyter_cluster.server.operation"
_PROBE = f"import importlib.util as u, sys; sys.exit(u.find_spec({_MODULE!r}) is None)"
_PROBE_SECONDS = 30.0


def root_of(contents: Any) -> Path:
    """The folder that a server shows.

    Raises
    ------
    UsageError
        Its files are somewhere else than on its disk.
    """
    root = getattr(contents, "root_dir", "")
    if not root:
        raise UsageError("the files of this Jupyter server are not on its disk")
    return Path(root).expanduser().resolve()


def folder_of(contents: Any, path: str) -> Path:
    """The folder of a file, which need not be there.

    Raises
    ------
    UsageError
        It is outside of what the server shows.
    """
    return _inside(contents, path).parent


def file_of(contents: Any, path: str) -> Path:
    """A file as the contents manager names it.

    Raises
    ------
    UsageError
        There is none, it is hidden, or it is outside of what the server shows.
    """
    from jupyter_core.paths import is_hidden

    file = _inside(contents, path)
    hidden = not contents.allow_hidden and is_hidden(str(file), str(root_of(contents)))
    if hidden or not file.is_file():
        raise UsageError(f"there is no file {_said(path)} in the folder of this Jupyter server")
    return file


def _inside(contents: Any, path: str) -> Path:
    """Where a path leads, links followed."""
    root = root_of(contents)
    try:
        file = root.joinpath(*path.split("/")).resolve()
    except (OSError, ValueError, RuntimeError):  # a loop of links; a NUL byte
        raise UsageError(f"{_said(path)} is no path of a file") from None
    if path.startswith("/") or not file.is_relative_to(root):
        raise UsageError(f"{_said(path)} is outside of the folder of this Jupyter server")
    return file


def _said(path: str) -> str:
    return shortened(printable_line(path), 200)


async def python_of(kernels: Any, name: str | None) -> str:
    """The interpreter of a kernel, which is that of a cluster's tasks on this machine.

    Parameters
    ----------
    kernels
        The server's kernel specs.
    name
        None for the server's default kernel.

    Raises
    ------
    UsageError
        It has no jupyter_cluster.
    """
    from jupyter_client.kernelspec import NoSuchKernel

    try:
        spec = kernels.get_kernel_spec(name or kernels.default_kernel_name)
    except (NoSuchKernel, AttributeError):
        return sys.executable
    program = shutil.which(spec.argv[0]) if spec.language == "python" and spec.argv else None
    if program is None or not Path(program).name.startswith("python"):
        return sys.executable  # a kernel of another language, or one that is launched by something
    if not await asyncio.to_thread(_has_package, program):
        raise UsageError(
            f"the Python of kernel {_said(spec.display_name)!r} has no jupyter_cluster, or an old"
            f" one: `{program} -m pip install -U jupyter-cluster`, or choose another kernel"
        )
    return str(program)


def _has_package(python: str) -> bool:
    if Path(python) == Path(sys.executable):
        return True
    command = [python, "-P", "-c", _PROBE]
    try:
        return subprocess.run(command, timeout=_PROBE_SECONDS, check=False).returncode == 0
    except (OSError, subprocess.TimeoutExpired):
        return False
