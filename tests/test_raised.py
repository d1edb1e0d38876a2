"""Exceptions of tasks on their way to the reader: of their own type, or said in words."""

from __future__ import annotations

import asyncio
import concurrent.futures
import threading
from typing import Any

import pytest

from jupyter_cluster.errors import ControlFlowError, RemoteTraceback, TaskError
from jupyter_cluster.raised import MAX_BYTES, dump_error, load_error

pytestmark = pytest.mark.unit


def sent(error: BaseException) -> BaseException:
    """An exception after its way."""
    try:
        raise error
    except BaseException as raised:
        return load_error(dump_error(raised), "job", 3, "node-1")


class Leave(SystemExit): ...


class StopValue(StopIteration, ValueError): ...


@pytest.mark.parametrize(
    "error",
    [
        StopIteration(5),
        StopAsyncIteration(),
        GeneratorExit(),
        SystemExit(3),
        Leave("bye"),
        StopValue("end"),
        KeyboardInterrupt(),
        asyncio.CancelledError(),
        concurrent.futures.CancelledError(),
        BaseExceptionGroup("several", [SystemExit(3), ValueError("x")]),
    ],
    ids=lambda error: type(error).__name__,
)
def test_control_flow_comes_in_words_with_the_exception_as_cause(error: BaseException) -> None:
    raised = sent(error)
    assert isinstance(raised, ControlFlowError)
    assert raised.raised.rpartition(".")[2] == type(error).__name__
    assert f"task 3 of job 'job' on node node-1 raised {raised.raised}" in str(raised)
    assert type(raised.__cause__) is type(error)
    assert isinstance(raised.__cause__.__cause__, RemoteTraceback)


def test_an_ordinary_exception_keeps_its_type_though_control_flow_is_in_it() -> None:
    raised = sent(ExceptionGroup("several", [ValueError("x"), StopIteration()]))
    assert type(raised) is ExceptionGroup
    assert isinstance(raised.__cause__, RemoteTraceback)


class NeedsMore(Exception):
    def __init__(self, code: int, *, where: str) -> None:
        super().__init__(f"{code} at {where}")
        self.code = code


class NeedsLess(Exception):
    def __init__(self) -> None:
        super().__init__("made of", "two")


@pytest.mark.parametrize("error", [NeedsMore(7, where="home"), NeedsLess()])
def test_an_exception_whose_init_takes_something_else_keeps_its_type(error: Any) -> None:
    raised = sent(error)
    assert type(raised) is type(error)
    assert raised.args == error.args
    assert getattr(raised, "code", 7) == 7


class NoStr(Exception):
    def __str__(self) -> str:
        return str(self.args[5])


class NoRepr(Exception):
    def __repr__(self) -> str:
        raise KeyboardInterrupt


@pytest.mark.parametrize("error", [NoStr("x"), NoRepr("x")])
def test_what_cannot_be_shown_comes_in_words(error: Exception) -> None:
    raised = sent(error)
    assert type(raised) is TaskError
    assert type(error).__name__ in str(raised)


def test_a_str_that_raises_is_said() -> None:
    assert "<str() of this NoStr raised IndexError>" in str(sent(NoStr("x")))


class Refuses(Exception):
    """Refuses all that is done to an exception that is passed on."""

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(name)

    def add_note(self, note: str) -> None:
        raise SystemExit


class Blind(Exception):
    @property
    def __cause__(self) -> Any:
        raise GeneratorExit


class Unreducible(Exception):
    def __reduce__(self) -> Any:
        raise KeyboardInterrupt


@pytest.mark.parametrize("kind", [Refuses, Blind])
def test_an_exception_that_refuses_keeps_its_type(kind: type[Exception]) -> None:
    raised = sent(kind("said"))
    assert type(raised) is kind
    assert str(raised) == "said"
    with pytest.raises(kind) as caught:
        raise raised
    assert "Raised in task 3" in caught.value.__notes__[0]


def test_an_exception_that_cannot_be_pickled_says_what_it_was() -> None:
    raised = sent(Unreducible("said"))
    assert type(raised) in (TaskError, Unreducible)
    assert "said" in str(raised)


class OfItsArgs(ValueError):
    """Shows what a picture of it does not have."""

    def __init__(self, number: int, lock: object) -> None:
        super().__init__(number, lock)
        self.number = number

    def __str__(self) -> str:
        return f"number {self.number}"


def test_what_holds_something_that_cannot_be_sent_keeps_its_class_and_its_message() -> None:
    locked = KeyError("holds a lock")
    locked.lock = threading.Lock()  # type: ignore[attr-defined]
    raised = sent(locked)
    assert type(raised) is KeyError
    assert "holds a lock" in str(raised)
    assert not hasattr(raised, "lock")
    assert any("Only its class and its message" in note for note in raised.__notes__)
    assert isinstance(raised.__cause__, RemoteTraceback)
    lost = sent(OfItsArgs(5, threading.Lock()))
    assert type(lost) is TaskError, "it cannot be shown any more"
    assert "OfItsArgs: number 5" in str(lost)


def test_causes_in_a_circle_end() -> None:
    one, two = ValueError("one"), ValueError("two")
    one.__cause__, two.__cause__ = two, one
    assert str(sent(one)) == "one"


def test_a_chain_of_many_causes_is_shortened() -> None:
    error: BaseException = ValueError("first")
    for number in range(3000):
        error, cause = ValueError(f"number {number}"), error
        error.__cause__ = cause
    raised = sent(error)
    assert str(raised) == "number 2999"
    assert len(str(raised.__cause__)) < 200_000


def test_an_enormous_exception_comes_as_its_class_and_a_part_of_its_message() -> None:
    data = dump_error(ValueError("m" * 2 * MAX_BYTES))
    assert len(data) < 1_000_000
    raised = load_error(data, "job", 3, "")
    assert type(raised) is ValueError
    assert str(raised).startswith("mmm")
    assert "characters left out" in str(raised)
    assert any("Only its class and its message" in note for note in raised.__notes__)


def test_the_name_of_a_class_is_read_from_the_class() -> None:
    class Meta(type):
        def __getattribute__(cls, name: str) -> Any:
            if name in ("__qualname__", "__module__"):
                raise SystemExit
            return super().__getattribute__(name)

    class Masked(Exception, metaclass=Meta): ...

    assert "Masked" in str(sent(Masked("said")))


def test_control_flow_can_be_sent_on() -> None:
    first = sent(StopIteration())
    assert isinstance(first, ControlFlowError)
    again = sent(first)
    assert isinstance(again, ControlFlowError)
    assert again.raised == "StopIteration"
