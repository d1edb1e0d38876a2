"""Errors in a real kernel: the frames of the user, here and on the node, and none of ours."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from kernel import Kernel, kernel

import jupyter_cluster as jc

pytestmark = pytest.mark.notebooks


@pytest.fixture(scope="module")
def book(cluster: jc.Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kernel]:
    with kernel(tmp_path_factory.mktemp("notebook")) as running:
        running.run("%load_ext jupyter_cluster\nimport jupyter_cluster as jc, threading")
        running.run("cluster = jc.connect('shared')\n\ndef inverse(n):\n    return 1 / n")
        yield running


def test_an_error_of_a_task_has_the_cell_it_came_from_and_the_cell_that_asked(
    book: Kernel,
) -> None:
    shown = book.run("job = cluster.map(inverse, [0])\njob.results()")
    assert "----> 2 job.results()" in shown.traceback
    assert "On node local-" in shown.traceback
    assert "line 4, in inverse\n    return 1 / n\n" in shown.traceback
    assert "ZeroDivisionError: division by zero\nRaised in task 0 of job" in shown.traceback
    assert shown.traceback.count("ZeroDivisionError: division by zero") == 1
    assert "jupyter_cluster/" not in shown.traceback


@pytest.mark.parametrize("ask", ["list(job)", "jc.get(ref)", "job.progress().wait(); list(job)"])
def test_it_is_so_however_one_asks(book: Kernel, ask: str) -> None:
    book.run("job = cluster.map(inverse, [0])\nref = cluster.remote(inverse).remote(0)")
    shown = book.run(ask)
    assert "jupyter_cluster/" not in shown.traceback
    assert "in inverse" in shown.traceback


def test_an_error_of_ours_is_a_sentence_and_the_line_that_led_to_it(book: Kernel) -> None:
    shown = book.run(
        "lock = threading.Lock()\ndef guarded(n):\n    with lock: return n\n"
        "cluster.map(guarded, [1])"
    )
    assert "----> 4 cluster.map(guarded, [1])" in shown.traceback
    assert "cannot be sent to the cluster because of the global variable 'lock'" in shown.traceback
    assert "inside the function instead." in shown.traceback
    assert "jupyter_cluster/" not in shown.traceback
    assert "cloudpickle" not in shown.traceback


def test_an_error_of_a_generator_of_the_user_keeps_its_frames(book: Kernel) -> None:
    shown = book.run(
        "def numbers():\n    yield 1\n    raise KeyError('mine')\n"
        "list(cluster.map(inverse, numbers()))"
    )
    assert "----> 3     raise KeyError('mine')" in shown.traceback


def test_an_error_can_be_pickled_and_raised_again(book: Kernel) -> None:
    shown = book.run(
        "import pickle\n"
        "[error] = cluster.map(inverse, [0]).results(errors='return')\n"
        "raise pickle.loads(pickle.dumps(error))"
    )
    assert "ZeroDivisionError: division by zero" in shown.traceback
