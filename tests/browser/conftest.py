"""A page of JupyterLab for each test; one server and one browser for all."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import lab
import pytest

# What JupyterLab 4.6 throws when a kernel ends while it is asked for something.
OF_JUPYTERLAB = "Error: Canceled future for"
# What it throws of its own requests when its server is away; code of ours is in the stack of ours.
AWAY, OURS = "TypeError: Failed to fetch", "/extensions/jupyter-cluster/"
NO_BROWSER = "no Chromium on this machine: apt-get install chromium"


@pytest.fixture(scope="session")
def chromium() -> Iterator[Any]:
    """The browser; without one the tests are left out, where nobody has asked for them."""
    path = lab.browser_path()
    if path is None:
        if os.environ.get("JUPYTER_CLUSTER_REQUIRE_ALL"):
            pytest.fail(NO_BROWSER)
        pytest.skip(NO_BROWSER)
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=lab.FLAGS)
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def folder(home: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the server keeps everything; its kernels see the clusters of this module."""
    return tmp_path_factory.mktemp("lab")


@pytest.fixture(scope="module")
def address(folder: Path) -> Iterator[str]:
    """A running server."""
    with lab.server(folder) as running:
        yield running


@pytest.fixture
def page(chromium: Any) -> Iterator[Any]:
    """A page; what it logs as an error fails the test."""
    page = chromium.new_page(viewport={"width": 1280, "height": 1300})
    page.set_default_timeout(30_000)
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(f"{error}\n{error.stack}"))
    yield page
    page.close()
    assert not [error for error in errors if not _is_of_jupyterlab(error)]


def _is_of_jupyterlab(error: str) -> bool:
    return error.startswith(OF_JUPYTERLAB) or (AWAY in error and OURS not in error)


@pytest.fixture
def open_notebook(
    page: Any, address: str, folder: Path
) -> Iterator[Callable[[str, Sequence[str]], lab.Notebook]]:
    """Opens notebooks; their kernels end with the test."""
    yield lab.opener(page, address, folder / "notebooks")
    lab.end_kernels(page)
