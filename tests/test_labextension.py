"""How the JupyterLab extension is built, shipped and found."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import hatch_build
import jupyter_cluster
from hatch_build import CustomBuildHook, Labextension, made_from

ROOT = Path(hatch_build.__file__).parent
INSTALLED = Path(sys.prefix, "share", "jupyter", "labextensions", hatch_build.NAME)
STALE = (
    "the JupyterLab extension of this environment is older than labextension/; rebuild it with:"
    f" {sys.executable} hatch_build.py"
)


@pytest.fixture
def labextension(tmp_path: Path) -> Labextension:
    """A copy of the sources, with a bundle that says it is of them."""
    copy = Labextension(tmp_path / "labextension")
    for name in hatch_build.SOURCES:
        source = ROOT / "labextension" / name
        copy.folder.mkdir(exist_ok=True)
        (shutil.copytree if source.is_dir() else shutil.copy)(source, copy.folder / name)
    copy.bundle.mkdir()
    (copy.bundle / "sources.sha256").write_text(copy.digest())
    return copy


@pytest.mark.unit
def test_the_installed_bundle_is_as_fresh_as_its_sources() -> None:
    made = made_from(INSTALLED)
    if made is None:
        pytest.skip("no bundle here; where one is needed test_jupyter_finds_us fails")
    assert made == Labextension(ROOT / "labextension").digest(), STALE


@pytest.mark.unit
@pytest.mark.parametrize("name", ["src/index.ts", "style/index.css", "schema/plugin.json"])
def test_a_bundle_is_stale_once_a_source_has_changed(labextension: Labextension, name: str) -> None:
    assert labextension.is_fresh()
    source = labextension.folder / name
    text = source.read_text()
    source.write_text(text + "\n")
    assert not labextension.is_fresh()
    source.write_text(text)
    assert labextension.is_fresh()
    source.rename(source.with_stem("other"))
    assert not labextension.is_fresh()


@pytest.mark.unit
def test_tests_are_no_sources(labextension: Labextension) -> None:
    (labextension.folder / "src" / "__tests__" / "more.spec.ts").write_text("")
    assert labextension.is_fresh()


@pytest.mark.unit
def test_node_is_asked_for_only_where_there_is_something_to_build(
    labextension: Labextension,
) -> None:
    hook = CustomBuildHook(
        str(labextension.folder.parent),
        {},
        None,
        None,
        "",
        "wheel",
    )
    assert hook.dependencies() == []
    (labextension.folder / "src" / "index.ts").unlink()
    assert hook.dependencies() == hatch_build.TOOLS


@pytest.mark.unit
def test_the_bundle_has_no_second_copy_of_what_jupyterlab_has() -> None:
    licenses = INSTALLED / "static" / "third-party-licenses.json"
    if not licenses.exists():
        pytest.skip("no bundle here; where one is needed test_jupyter_finds_us fails")
    bundled = {one["name"] for one in json.loads(licenses.read_text())["packages"]}
    assert "@codemirror/lint" in bundled  # JupyterLab has none
    # An editor knows extensions by the classes of these: those of a copy would be none.
    assert bundled.isdisjoint({"@codemirror/state", "@codemirror/view", "react", "react-dom"})


@pytest.mark.unit
def test_one_name_and_one_version() -> None:
    package = json.loads((ROOT / "labextension" / "package.json").read_text())
    assert package["name"] == hatch_build.NAME
    assert package["version"] == jupyter_cluster.__version__


@pytest.mark.local
@pytest.mark.parametrize(
    ("kind", "line"),
    [
        ("labextension", f"{hatch_build.NAME} v{jupyter_cluster.__version__}"),
        ("server extension", f"jupyter_cluster {jupyter_cluster.__version__}"),
    ],
)
def test_jupyter_finds_us(kind: str, line: str) -> None:
    command = [sys.executable, "-m", "jupyter", *kind.split(), "list"]
    listed = subprocess.run(command, capture_output=True, text=True, timeout=60)
    said = (listed.stdout + listed.stderr).splitlines()
    assert [each for each in said if line in each and "OK" in each], "\n".join(said)
