"""Ctrl-C where Python cannot raise it, and while another one is on its way out."""

from __future__ import annotations

import gc
import os
import signal
import subprocess
import sys
import threading
import weakref
from collections.abc import Callable, Iterator

import pytest

from jupyter_cluster.interrupts import interrupt, interrupts

pytestmark = pytest.mark.unit


class Thing:
    """What a weak reference can point at."""


@pytest.fixture
def handled() -> Iterator[None]:
    before = signal.signal(signal.SIGINT, interrupt)
    yield
    signal.signal(signal.SIGINT, before)


def press() -> None:
    os.kill(os.getpid(), signal.SIGINT)


def wait_after(callback: Callable[[object], object], seconds: float = 30) -> None:
    """Wait, once the last reference to something with this callback has gone."""
    thing = Thing()
    reference = weakref.ref(thing, callback)
    del thing
    gc.collect()
    assert reference() is None
    threading.Event().wait(seconds)


def end_all(ended: list[str]) -> None:
    try:
        press()
    finally:
        ended.append("first")
        press()
        ended.append("second")


def test_an_interrupt_in_the_callback_of_a_weak_reference_comes_again(
    handled: None, capsys: pytest.CaptureFixture[str]
) -> None:
    with interrupts(), pytest.raises(KeyboardInterrupt):
        wait_after(lambda _: press())
    assert capsys.readouterr().err == ""


def test_what_else_is_raised_there_is_told_as_ever(handled: None) -> None:
    told = []
    hook, sys.unraisablehook = sys.unraisablehook, told.append
    try:
        with interrupts():
            wait_after(lambda _: 1 / 0, seconds=0)
            assert sys.unraisablehook != told.append
        assert sys.unraisablehook == told.append
    finally:
        sys.unraisablehook = hook
    assert [what.exc_type for what in told] == [ZeroDivisionError]


def test_a_second_interrupt_does_not_cut_short_what_the_first_ends(handled: None) -> None:
    ended: list[str] = []
    with pytest.raises(KeyboardInterrupt):
        end_all(ended)
    assert ended == ["first", "second"]


def test_after_one_was_met_the_next_one_interrupts_again(handled: None) -> None:
    for _ in range(2):
        with pytest.raises(KeyboardInterrupt):
            press()


def test_ctrl_c_while_a_program_leaves_says_nothing() -> None:
    """Python's own ending prints where an interrupt meets it."""
    line = """
import atexit, sys, time
from jupyter_cluster.cli import main
atexit.register(lambda: (print("leaving", flush=True), time.sleep(30)))
sys.argv[1:] = ["--version"]
sys.exit(main())
"""
    program = subprocess.Popen(
        [sys.executable, "-c", line], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert program.stdout is not None
    while "leaving" not in program.stdout.readline():
        assert program.poll() is None
    program.send_signal(signal.SIGINT)
    _out, errors = program.communicate(timeout=20)
    assert errors == ""
    assert program.returncode == -signal.SIGINT
