"""What has no name on the other side goes by value, and is the same there; or is refused."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from jupyter_cluster.codec import dumps
from jupyter_cluster.errors import SerializationError

pytestmark = pytest.mark.unit

# Sends a function of a script to a Python that has not read the script.
SEND = """
if __name__ == "__main__":
    import subprocess
    from jupyter_cluster.codec import dumps
    from jupyter_cluster.errors import SerializationError
    try:
        data = dumps(task, "the task")
    except SerializationError as error:
        sys.exit(str(error))
    there = "import pickle, sys; print(repr(pickle.load(sys.stdin.buffer)()))"
    subprocess.run([sys.executable, "-c", there], input=data, check=True)
"""


def sent(tmp_path: Path, script: str) -> str:
    """What `task()` of a script returns elsewhere, or why it is refused."""
    path = tmp_path / "script.py"
    path.write_text(f"import functools, sys, types, typing\n{script}\n{SEND}")
    ran = subprocess.run([sys.executable, path], capture_output=True, text=True)
    return (ran.stdout + ran.stderr).strip()


CACHED = """
@functools.lru_cache(maxsize=7)
def fib(n): return n if n < 2 else fib(n - 1) + fib(n - 2)
fib.note = "kept"
"""
DISPATCHING = """
@functools.singledispatch
def kind(x): return "other"
@kind.register
def _(x: int): return "int and " + kind("text")
"""
METHODS = """
class Model:
    @functools.cached_property
    def size(self): return 42
    @functools.cache
    def double(self, x): return 2 * x
    @functools.singledispatchmethod
    def kind(self, x): return "other"
    @kind.register
    def _(self, x: int): return "int"
    half = functools.partialmethod(lambda self, by, x: x // by, 2)
"""
IN_MEMORY = """
made = types.ModuleType("made_in_memory")
exec('''
def twice(x): return add(x, x)
def add(x, y): return x + y
class Box:
    def open(self): return "opened"
''', vars(made))
sys.modules["made_in_memory"] = made
"""
TYPES = """
UserId = typing.NewType("UserId", int)
P = typing.ParamSpec("P")
def of(x: UserId) -> typing.Callable[P, UserId]: return x
"""


@pytest.mark.parametrize(
    ("script", "task", "value"),
    [
        (CACHED, "[fib(20), fib.note, fib.cache_parameters()['maxsize']]", "[6765, 'kept', 7]"),
        (CACHED, "functools.partial(fib, 10)()", "55"),
        (DISPATCHING, "[kind(3), kind(None)]", "['int and other', 'other']"),
        (METHODS, "[Model().size, Model().double(2), Model().half(9)]", "[42, 4, 4]"),
        (METHODS, "[Model().kind(1), Model().kind('')]", "['int', 'other']"),
        (IN_MEMORY, "[made.twice(2), made.Box().open()]", "[4, 'opened']"),
        (TYPES, "[of(UserId(3)), P.__name__]", "[3, 'P']"),
    ],
)
def test_what_the_other_side_does_not_have_goes_by_value(
    tmp_path: Path, script: str, task: str, value: str
) -> None:
    assert sent(tmp_path, f"{script}\ntask = lambda: {task}") == value


def test_a_cached_function_within_a_function_goes_too(tmp_path: Path) -> None:
    script = """
def make():
    @functools.cache
    def inner(x): return x + 1
    return inner
inner = make()
"""
    assert sent(tmp_path, f"{script}\ntask = lambda: inner(1)") == "2"


@pytest.mark.parametrize(
    ("script", "task", "said"),
    [
        (
            "class Missing:\n    def __reduce__(self): return 'MISSING'\nMISSING = Missing()",
            "MISSING",
            "the other side has no 'MISSING' of __main__: define it in a module of its own",
        ),
        ("import __main__", "__main__.sys", "the module __main__ is another one in each process"),
        (
            f"{CACHED}\ndel fib.__wrapped__",
            "fib(1)",
            "has lost the function that it caches",
        ),
    ],
)
def test_what_has_no_value_is_refused_in_words(
    tmp_path: Path, script: str, task: str, said: str
) -> None:
    text = sent(tmp_path, f"{script}\ntask = lambda: {task}")
    assert text.startswith("the task cannot be sent to the cluster because of the global variable")
    assert said in text
    assert "Traceback" not in text


def test_what_the_other_side_has_goes_by_name() -> None:
    import functools
    import re

    import numpy

    for value in (re.compile, functools.partial, numpy.sin, subprocess.run, re._compile):
        assert len(dumps(value, "it")) < 100


def test_a_value_that_steers_when_it_is_pickled_is_refused_in_words() -> None:
    class Odd:
        def __init__(self, error: BaseException) -> None:
            self._error = error

        def __reduce__(self) -> str:
            raise self._error

    for error in (SystemExit(3), StopIteration(), GeneratorExit()):
        with pytest.raises(SerializationError, match=f"it cannot be sent .*{type(error).__name__}"):
            dumps([Odd(error)], "it")
    with pytest.raises(KeyboardInterrupt):  # that may be the user's
        dumps(Odd(KeyboardInterrupt()), "it")


def test_looking_for_what_is_to_blame_touches_nothing_that_hurts() -> None:
    class Odd(dict):  # type: ignore[type-arg]
        def items(self) -> None:  # type: ignore[override]
            raise RuntimeError("no")

        def __reduce_ex__(self, _protocol: object) -> str:
            raise ValueError("cannot be pickled")

    with pytest.raises(SerializationError, match="cannot be pickled"):
        dumps(Odd(), "it")


def test_a_widget_goes_as_a_new_one_of_the_same_state() -> None:
    import pickle

    import ipywidgets

    slider = ipywidgets.IntSlider(value=7, max=9, description="n")
    box = pickle.loads(dumps(ipywidgets.VBox([slider]), "it"))
    (made,) = box.children
    assert (made.value, made.max, made.description) == (7, 9, "n")
    assert made.model_id not in (None, slider.model_id)
