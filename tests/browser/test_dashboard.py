"""`%cluster dashboard`: a page of the Jupyter server, in a tab of its own."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import pytest
from lab import Notebook

import jupyter_cluster as jc

pytestmark = [pytest.mark.browser, pytest.mark.timeout(300)]

Opener = Callable[[str, Sequence[str]], Notebook]


def test_the_page_opens_beside_the_notebook_and_follows_the_cluster(
    open_notebook: Opener, cluster: jc.Cluster, page: Any
) -> None:
    notebook = open_notebook(
        "dashboard.ipynb", ["%load_ext jupyter_cluster", "%cluster dashboard shared"]
    )
    notebook.run_to_end(0)
    notebook.run_to_end(1)
    with page.expect_popup() as popup:
        page.get_by_role("link", name="/jupyter-cluster/shared/").click()
    beside = popup.value
    beside.locator(".jc-pill", has_text="running").wait_for()
    cluster.map(abs, range(7), name="late").results(timeout=60)
    beside.locator(".jc-jobs tr", has_text="late").get_by_text("7 of 7").wait_for()
    beside.locator(".jc-nodes tr", has_text="local-1").wait_for()
    beside.locator(".jc-chart svg").wait_for()
    assert not beside.get_by_role("button").count()  # it shows, and changes nothing
    beside.close()
