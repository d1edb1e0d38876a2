"""What stays of a panel and of a bar in the notebook, and what there is without widgets."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from kernel import Kernel, kernel

pytestmark = pytest.mark.notebooks

WIDGET = "application/vnd.jupyter.widget-view+json"


@pytest.fixture
def book(home: object, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kernel]:
    with kernel(tmp_path_factory.mktemp("notebook")) as running:
        running.run("%load_ext jupyter_cluster\nimport jupyter_cluster as jc")
        yield running


def test_a_panel_has_three_forms_and_its_last_one_says_that_the_cluster_has_ended(
    book: Kernel,
) -> None:
    book.run("cluster = jc.up(name='shown', cpus=1)")
    shown = book.run("%cluster panel")
    [live] = shown.bundles
    assert set(live) == {"text/plain", "text/html", WIDGET}
    assert re.match(r"Cluster 'shown' on this machine, up [^:]+: running\n", live["text/plain"])
    assert "jc-static" in live["text/html"]
    book.run("cluster.map(abs, range(5), name='five').wait()")
    book.run("%cluster down")
    [last] = shown.bundles
    assert set(last) == {"text/plain", "text/html"}
    assert ">ended<" in last["text/html"]
    assert "data-do=" not in last["text/html"]
    assert "five" in last["text/html"]


def test_a_panel_of_a_cluster_that_is_not_there_is_one_sentence(book: Kernel) -> None:
    shown = book.run("%cluster panel nobody")
    assert shown.traceback.startswith("RegistryError: there is no cluster 'nobody'")


def test_a_bar_leaves_text_in_its_one_output(book: Kernel) -> None:
    book.run("cluster = jc.up(name='bars', cpus=1)")
    shown = book.run("cluster.map(abs, range(5), name='five').progress()")
    [bar] = shown.bundles
    assert bar["text/plain"].startswith("✓ five: 5 of 5 tasks, in ")
    assert "<progress" not in bar["text/html"]
    assert not shown.printed("stderr")
    failing = book.run("list(cluster.map(lambda n: 1 / n, [0], name='bad').progress())")
    [bar] = failing.bundles
    assert bar["text/plain"].startswith("✗ bad: 1 of 1 tasks, 1 failed, in ")
    assert "ZeroDivisionError" in failing.traceback
    aside = book.run("%cluster dashboard")  # no Jupyter server has started this kernel
    assert "No Jupyter server here has pages of clusters" in aside.printed("stdout")
    assert WIDGET in aside.bundles[0]
    book.run("%cluster down")
