"""The files and kernels of a Jupyter server: what is in its folder, which Python a kernel has."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import sysconfig
from pathlib import Path
from types import SimpleNamespace

import pytest
from jupyter_client.kernelspec import KernelSpecManager

from jupyter_cluster.errors import UsageError
from jupyter_cluster.server.workspace import file_of, folder_of, python_of

pytestmark = pytest.mark.unit


def contents(root: Path, allow_hidden: bool = False) -> SimpleNamespace:
    """As much of a contents manager as is asked."""
    return SimpleNamespace(root_dir=str(root), allow_hidden=allow_hidden)


def test_files_are_those_in_the_folder_of_the_server(tmp_path: Path) -> None:
    root, outside = tmp_path / "root", tmp_path / "outside.yaml"
    (root / "sub").mkdir(parents=True)
    for file in (root / "a.yaml", root / "sub" / "b.yaml", root / ".c.yaml", outside):
        file.write_text("x")
    (root / "link.yaml").symlink_to(outside)
    (root / "inner.yaml").symlink_to(root / "a.yaml")
    (root / "loop.yaml").symlink_to(root / "loop.yaml")
    held = contents(root)
    assert file_of(held, "sub/b.yaml") == root / "sub" / "b.yaml"
    assert file_of(held, "inner.yaml") == root / "a.yaml"
    assert file_of(contents(root, allow_hidden=True), ".c.yaml") == root / ".c.yaml"
    for path, why in (
        ("../outside.yaml", "outside of the folder"),
        ("/a.yaml", "outside of the folder"),
        ("sub/../../outside.yaml", "outside of the folder"),
        ("link.yaml", "outside of the folder"),
        (".c.yaml", "there is no file"),
        ("none.yaml", "there is no file"),
        ("sub", "there is no file"),
        ("a\0.yaml", "no path of a file"),
        ("loop.yaml", r"no path of a file|there is no file"),
    ):
        with pytest.raises(UsageError, match=why):
            file_of(held, path)
    assert folder_of(held, "sub/not-saved-yet.yaml") == root / "sub"
    with pytest.raises(UsageError, match="not on its disk"):
        file_of(SimpleNamespace(allow_hidden=False), "a.yaml")


@pytest.fixture
def kernels(tmp_path: Path) -> KernelSpecManager:
    """Kernels that a server offers: two Pythons, one without the package, and another language."""
    empty = tmp_path / "empty"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", empty], check=True)
    packages = sysconfig.get_paths()["purelib"]
    other = tmp_path / "other"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", other], check=True)
    [folder] = (other / "lib").glob("python3*/site-packages")
    (folder / "as-the-first.pth").write_text(f"import site; site.addsitedir({packages!r})\n")
    for name, program, language in (
        ("same", sys.executable, "python"),
        ("other", other / "bin" / "python", "python"),
        ("empty", empty / "bin" / "python", "python"),
        ("launched", "/bin/sh", "python"),
        ("julia", "/bin/sh", "julia"),
    ):
        spec = {"argv": [str(program), "-m", "x"], "display_name": name, "language": language}
        (tmp_path / "kernels" / name).mkdir(parents=True)
        (tmp_path / "kernels" / name / "kernel.json").write_text(json.dumps(spec))
    return KernelSpecManager(kernel_dirs=[str(tmp_path / "kernels")])


def test_a_cluster_gets_the_python_of_its_notebook(
    kernels: KernelSpecManager, tmp_path: Path
) -> None:
    def python(name: str | None) -> str:
        return asyncio.run(python_of(kernels, name))

    assert python("same") == sys.executable
    assert python("other") == str(tmp_path / "other" / "bin" / "python")
    for name in ("launched", "julia", "nobody", None):
        assert python(name) == sys.executable
    with pytest.raises(UsageError, match=r"kernel 'empty' has no jupyter_cluster, or an old one"):
        python("empty")
